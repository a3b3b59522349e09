-- How the attempts of each trigger end, kept by whoever folds the statistics, so that a trigger whose every attempt has
-- failed for days can be paused. Nothing is known of what came before: periods begin with this release, and the former
-- one, which would not know the new reason, is gone when the first of them ends. It folds without these columns meanwhile.
-- The reason's check is not validated: every row passed the narrower one. The fold locks trigger_counts first and then
-- triggers, and so does this.
ALTER TABLE "herald"."trigger_counts" ADD COLUMN "succeeded_at" timestamptz(3);--> statement-breakpoint
ALTER TABLE "herald"."trigger_counts" ADD COLUMN "failing_since" timestamptz(3);--> statement-breakpoint
ALTER TABLE "herald"."trigger_counts" ADD COLUMN "failed_at" timestamptz(3);--> statement-breakpoint
ALTER TABLE "herald"."triggers" DROP CONSTRAINT "triggers_status_reason_is_known";--> statement-breakpoint
ALTER TABLE "herald"."triggers" ADD CONSTRAINT "triggers_status_reason_is_known" CHECK ("herald"."triggers"."status_reason" in ('MANUAL', 'RECEIVER_GONE', 'CONSECUTIVE_FAILURES')) NOT VALID;
