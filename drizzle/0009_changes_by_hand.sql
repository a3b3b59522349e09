CREATE TABLE "herald"."bulk_operations" (
	"id" uuid PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"status" text DEFAULT 'RUNNING' NOT NULL,
	"filter" text NOT NULL,
	"projects" text[],
	"max_per_minute" integer,
	"matched" bigint,
	"processed" bigint DEFAULT 0 NOT NULL,
	"skipped" bigint DEFAULT 0 NOT NULL,
	"done_to" uuid DEFAULT '00000000-0000-0000-0000-000000000000' NOT NULL,
	"created_at" timestamptz(3) DEFAULT now() NOT NULL,
	"next_at" timestamptz(3) DEFAULT now() NOT NULL,
	"finished_at" timestamptz(3),
	CONSTRAINT "bulk_operations_kind_is_known" CHECK ("herald"."bulk_operations"."kind" in ('RETRY_INVOCATIONS', 'CANCEL_EVENTS')),
	CONSTRAINT "bulk_operations_status_is_known" CHECK ("herald"."bulk_operations"."status" in ('RUNNING', 'COMPLETED', 'FAILED')),
	CONSTRAINT "bulk_operations_final_means_finished" CHECK (("herald"."bulk_operations"."status" = 'RUNNING') = ("herald"."bulk_operations"."finished_at" is null))
);
--> statement-breakpoint
ALTER TABLE "herald"."invocations" ADD COLUMN "manual_attempt" smallint;--> statement-breakpoint
ALTER TABLE "herald"."invocations" ADD COLUMN "attempts_before_reset" smallint DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX "bulk_operations_running" ON "herald"."bulk_operations" USING btree ("id") WHERE "herald"."bulk_operations"."status" = 'RUNNING';