CREATE TABLE "herald"."api_keys" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"prefix" text NOT NULL,
	"digest" text NOT NULL,
	"scopes" text[] NOT NULL,
	"projects" text[],
	"created_at" timestamptz(3) DEFAULT now() NOT NULL,
	"expires_at" timestamptz(3),
	"last_used_at" timestamptz(3),
	"revoked_at" timestamptz(3),
	CONSTRAINT "api_keys_digest_is_sha256" CHECK ("herald"."api_keys"."digest" ~ '^[0-9a-f]{64}$'),
	CONSTRAINT "api_keys_scopes_are_known" CHECK (cardinality("herald"."api_keys"."scopes") > 0 and "herald"."api_keys"."scopes" <@ array['EVENTS_WRITE', 'EVENTS_READ', 'EVENTS_RETRY', 'TRIGGERS_READ', 'TRIGGERS_WRITE', 'SECRETS_READ', 'ADMIN']),
	CONSTRAINT "api_keys_projects_are_some_or_all" CHECK (cardinality("herald"."api_keys"."projects") > 0)
);
--> statement-breakpoint
CREATE TABLE "herald"."audit_log" (
	"id" uuid PRIMARY KEY DEFAULT herald.uuid_v7() NOT NULL,
	"at" timestamptz(3) DEFAULT now() NOT NULL,
	"actor_id" text NOT NULL,
	"actor_name" text NOT NULL,
	"action" text NOT NULL,
	"project" text,
	"subject_id" text NOT NULL,
	"subject_name" text NOT NULL,
	"changes" text NOT NULL,
	CONSTRAINT "audit_log_action_is_known" CHECK ("herald"."audit_log"."action" in ('TRIGGER_CREATED', 'TRIGGER_UPDATED', 'TRIGGER_DELETED', 'TRIGGER_PAUSED', 'TRIGGER_RESUMED', 'TRIGGER_SECRET_ROTATED', 'EVENT_CANCELLED', 'EVENT_RESCHEDULED', 'INVOCATION_CANCELLED', 'INVOCATION_RETRIED', 'BULK_OPERATION_STARTED', 'API_KEY_CREATED', 'API_KEY_REVOKED'))
);
--> statement-breakpoint
CREATE UNIQUE INDEX "api_keys_by_digest" ON "herald"."api_keys" USING btree ("digest");--> statement-breakpoint
CREATE INDEX "audit_log_by_project" ON "herald"."audit_log" USING btree ("project","id");--> statement-breakpoint
CREATE INDEX "audit_log_by_subject" ON "herald"."audit_log" USING btree ("subject_id","id");