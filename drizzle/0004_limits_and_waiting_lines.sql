CREATE TABLE "herald"."paces" (
	"trigger_id" uuid PRIMARY KEY NOT NULL,
	"next_at" timestamptz(3) DEFAULT '-infinity' NOT NULL
);
--> statement-breakpoint
CREATE TABLE "herald"."retry_changes" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "herald"."retry_changes_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"trigger_id" uuid NOT NULL,
	"difference" integer NOT NULL,
	"done_to" uuid NOT NULL,
	"made_at" timestamptz(3) NOT NULL
);
--> statement-breakpoint
CREATE TABLE "herald"."turns" (
	"invocation_id" uuid PRIMARY KEY NOT NULL,
	"trigger_id" uuid NOT NULL,
	"until" timestamptz(3) NOT NULL
);
--> statement-breakpoint
DROP INDEX "herald"."invocations_held";--> statement-breakpoint
ALTER TABLE "herald"."triggers" ADD COLUMN "max_concurrency" integer;--> statement-breakpoint
ALTER TABLE "herald"."triggers" ADD COLUMN "max_per_minute" integer;--> statement-breakpoint
ALTER TABLE "herald"."triggers" ADD COLUMN "pending_policy" text;--> statement-breakpoint
CREATE INDEX "retry_changes_by_trigger" ON "herald"."retry_changes" USING btree ("trigger_id","id");--> statement-breakpoint
CREATE INDEX "turns_by_trigger" ON "herald"."turns" USING btree ("trigger_id","until");--> statement-breakpoint
CREATE INDEX "turns_by_end" ON "herald"."turns" USING btree ("until");--> statement-breakpoint
CREATE INDEX "invocations_unfinished_of_trigger" ON "herald"."invocations" USING btree ("trigger_id","next_attempt_at","id") WHERE status not in ('SUCCEEDED', 'FAILED', 'CANCELLED');--> statement-breakpoint
ALTER TABLE "herald"."triggers" ADD CONSTRAINT "triggers_max_concurrency_in_range" CHECK ("herald"."triggers"."max_concurrency" > 0);--> statement-breakpoint
ALTER TABLE "herald"."triggers" ADD CONSTRAINT "triggers_max_per_minute_in_range" CHECK ("herald"."triggers"."max_per_minute" > 0);--> statement-breakpoint
ALTER TABLE "herald"."triggers" ADD CONSTRAINT "triggers_pending_policy_is_known" CHECK ("herald"."triggers"."pending_policy" in ('CANCEL', 'FINISH'));