-- The migrator keeps its own journal in this schema, so it may be there already.
CREATE SCHEMA IF NOT EXISTS "herald";
--> statement-breakpoint
CREATE TABLE "herald"."attempts" (
	"invocation_id" uuid NOT NULL,
	"number" smallint NOT NULL,
	"id" uuid NOT NULL,
	"status" text NOT NULL,
	"cause" text NOT NULL,
	"error_code" text,
	"error_message" text,
	"started_at" timestamptz(3) NOT NULL,
	"finished_at" timestamptz(3),
	"dns_ms" real,
	"connect_ms" real,
	"tls_ms" real,
	"first_byte_ms" real,
	"total_ms" real,
	"request_url" text NOT NULL,
	"request_headers" text NOT NULL,
	"request_body_size" integer NOT NULL,
	"content_mode" text NOT NULL,
	"spec_version" text NOT NULL,
	"response_status" smallint,
	"response_headers" text,
	"response_body" "bytea",
	"response_body_truncated" boolean,
	"remote_address" text,
	CONSTRAINT "attempts_invocation_id_number_pk" PRIMARY KEY("invocation_id","number"),
	CONSTRAINT "attempts_status_is_known" CHECK ("herald"."attempts"."status" in ('RUNNING', 'SUCCEEDED', 'FAILED', 'ABANDONED')),
	CONSTRAINT "attempts_cause_is_known" CHECK ("herald"."attempts"."cause" in ('INITIAL', 'RETRY', 'MANUAL', 'TEST')),
	CONSTRAINT "attempts_error_code_is_known" CHECK ("herald"."attempts"."error_code" in ('HTTP_STATUS', 'REDIRECT', 'GONE', 'RATE_LIMITED', 'TIMEOUT', 'DNS_NOT_FOUND', 'DNS_FAILURE', 'CONNECTION_REFUSED', 'CONNECTION_RESET', 'NETWORK', 'TLS', 'BLOCKED_ADDRESS', 'PROTOCOL', 'WORKER_LOST', 'INVALID_REQUEST')),
	CONSTRAINT "attempts_failure_has_a_code" CHECK (("herald"."attempts"."status" in ('FAILED', 'ABANDONED')) = ("herald"."attempts"."error_code" is not null)),
	CONSTRAINT "attempts_running_has_no_end" CHECK (("herald"."attempts"."status" = 'RUNNING') = ("herald"."attempts"."finished_at" is null)),
	CONSTRAINT "attempts_number_counts_from_1" CHECK ("herald"."attempts"."number" >= 1)
);
--> statement-breakpoint
CREATE TABLE "herald"."changes" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "herald"."changes_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"xid" "xid8" DEFAULT pg_current_xact_id() NOT NULL,
	"at" timestamptz(3) DEFAULT now() NOT NULL,
	"entries" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "herald"."events" (
	"id" uuid PRIMARY KEY NOT NULL,
	"project" text NOT NULL,
	"type" text NOT NULL,
	"source" text NOT NULL,
	"data" text,
	"data_size" integer NOT NULL,
	"received_at" timestamptz(3) NOT NULL,
	"due_at" timestamptz(3) NOT NULL,
	"origin" text NOT NULL,
	"idempotency_key" text,
	"traceparent" text,
	"tracestate" text,
	"replay_of" uuid,
	"invocation_count" integer NOT NULL,
	CONSTRAINT "events_type_has_1_to_255_characters" CHECK (char_length("herald"."events"."type") between 1 and 255),
	CONSTRAINT "events_origin_is_known" CHECK ("herald"."events"."origin" in ('GRAPHQL', 'REST', 'SQL', 'CONSOLE', 'REPLAY'))
);
--> statement-breakpoint
CREATE TABLE "herald"."idempotency_keys" (
	"project" text NOT NULL,
	"key" text NOT NULL,
	"fingerprint" "bytea" NOT NULL,
	"event_id" uuid NOT NULL,
	"created_at" timestamptz(3) DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_keys_project_key_pk" PRIMARY KEY("project","key")
);
--> statement-breakpoint
CREATE TABLE "herald"."installation" (
	"singleton" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"source" text NOT NULL,
	"encryption_check" text,
	"created_at" timestamptz(3) DEFAULT now() NOT NULL,
	CONSTRAINT "installation_is_one_row" CHECK ("herald"."installation"."singleton")
);
--> statement-breakpoint
CREATE TABLE "herald"."invocations" (
	"id" uuid PRIMARY KEY NOT NULL,
	"event_id" uuid NOT NULL,
	"trigger_id" uuid NOT NULL,
	"trigger_name" text NOT NULL,
	"status" text NOT NULL,
	"failure_reason" text,
	"attempt_count" smallint DEFAULT 0 NOT NULL,
	"max_attempts" smallint NOT NULL,
	"next_attempt_at" timestamptz(3),
	"created_at" timestamptz(3) NOT NULL,
	"updated_at" timestamptz(3) NOT NULL,
	"finished_at" timestamptz(3),
	"last_error_code" text,
	"last_status_code" smallint,
	CONSTRAINT "invocations_status_is_known" CHECK ("herald"."invocations"."status" in ('PENDING', 'HELD', 'RUNNING', 'RETRYING', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
	CONSTRAINT "invocations_final_means_finished" CHECK (("herald"."invocations"."status" in ('SUCCEEDED', 'FAILED', 'CANCELLED')) = ("herald"."invocations"."finished_at" is not null)),
	CONSTRAINT "invocations_failed_has_a_reason" CHECK (("herald"."invocations"."status" = 'FAILED') = ("herald"."invocations"."failure_reason" is not null)),
	CONSTRAINT "invocations_failure_reason_is_known" CHECK ("herald"."invocations"."failure_reason" in ('RETRIES_EXHAUSTED', 'RECEIVER_GONE', 'BLOCKED', 'TRIGGER_REMOVED', 'INVALID_REQUEST')),
	CONSTRAINT "invocations_waiting_has_a_next_attempt" CHECK (("herald"."invocations"."status" in ('PENDING', 'RETRYING')) = ("herald"."invocations"."next_attempt_at" is not null)),
	CONSTRAINT "invocations_attempts_within_maximum" CHECK ("herald"."invocations"."attempt_count" between 0 and "herald"."invocations"."max_attempts")
);
--> statement-breakpoint
CREATE TABLE "herald"."projects" (
	"name" text PRIMARY KEY NOT NULL,
	"created_at" timestamptz(3) DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "herald"."signing_keys" (
	"id" uuid PRIMARY KEY NOT NULL,
	"trigger_id" uuid NOT NULL,
	"algorithm" text NOT NULL,
	"secret" text NOT NULL,
	"created_at" timestamptz(3) DEFAULT now() NOT NULL,
	"expires_at" timestamptz(3),
	CONSTRAINT "signing_keys_algorithm_is_known" CHECK ("herald"."signing_keys"."algorithm" in ('HMAC_SHA256')),
	CONSTRAINT "signing_keys_secret_is_encrypted" CHECK ("herald"."signing_keys"."secret" like 'v1.%')
);
--> statement-breakpoint
CREATE TABLE "herald"."triggers" (
	"id" uuid PRIMARY KEY NOT NULL,
	"project" text NOT NULL,
	"name" text NOT NULL,
	"description" text,
	"type" text NOT NULL,
	"url" text NOT NULL,
	"retries" integer NOT NULL,
	"timeout_ms" integer NOT NULL,
	"retry_schedule" integer[],
	"status" text DEFAULT 'ACTIVE' NOT NULL,
	"status_reason" text,
	"status_changed_at" timestamptz(3) DEFAULT now() NOT NULL,
	"content_mode" text NOT NULL,
	"spec_version" text NOT NULL,
	"headers" text NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamptz(3) DEFAULT now() NOT NULL,
	"updated_at" timestamptz(3) DEFAULT now() NOT NULL,
	"deleted_at" timestamptz(3),
	CONSTRAINT "triggers_status_is_known" CHECK ("herald"."triggers"."status" in ('ACTIVE', 'PAUSED', 'DISABLED')),
	CONSTRAINT "triggers_status_reason_is_known" CHECK ("herald"."triggers"."status_reason" in ('MANUAL', 'RECEIVER_GONE')),
	CONSTRAINT "triggers_active_has_no_reason" CHECK (("herald"."triggers"."status" = 'ACTIVE') = ("herald"."triggers"."status_reason" is null)),
	CONSTRAINT "triggers_content_mode_is_known" CHECK ("herald"."triggers"."content_mode" in ('JSON', 'STRUCTURED', 'BINARY')),
	CONSTRAINT "triggers_spec_version_is_known" CHECK ("herald"."triggers"."spec_version" in ('1.0-rc1', '1.0')),
	CONSTRAINT "triggers_retries_in_range" CHECK ("herald"."triggers"."retries" between 0 and 1000),
	CONSTRAINT "triggers_timeout_in_range" CHECK ("herald"."triggers"."timeout_ms" > 0)
);
--> statement-breakpoint
CREATE TABLE "herald"."workers" (
	"pool_id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"started_at" timestamptz(3) DEFAULT now() NOT NULL,
	"heartbeat_at" timestamptz(3) DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "herald"."signing_keys" ADD CONSTRAINT "signing_keys_trigger_id_triggers_id_fk" FOREIGN KEY ("trigger_id") REFERENCES "herald"."triggers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "herald"."triggers" ADD CONSTRAINT "triggers_project_projects_name_fk" FOREIGN KEY ("project") REFERENCES "herald"."projects"("name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "changes_by_transaction" ON "herald"."changes" USING btree ("xid","id");--> statement-breakpoint
CREATE INDEX "changes_by_time" ON "herald"."changes" USING btree ("at");--> statement-breakpoint
CREATE INDEX "events_by_type" ON "herald"."events" USING btree ("type","id");--> statement-breakpoint
CREATE INDEX "events_by_due" ON "herald"."events" USING btree ("due_at","id");--> statement-breakpoint
CREATE INDEX "events_unmatched" ON "herald"."events" USING btree ("id") WHERE "herald"."events"."invocation_count" = 0;--> statement-breakpoint
CREATE INDEX "idempotency_keys_by_age" ON "herald"."idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "invocations_by_event" ON "herald"."invocations" USING btree ("event_id");--> statement-breakpoint
CREATE INDEX "invocations_by_trigger" ON "herald"."invocations" USING btree ("trigger_id","id");--> statement-breakpoint
CREATE INDEX "invocations_unfinished" ON "herald"."invocations" USING btree ("next_attempt_at","id") WHERE status not in ('SUCCEEDED', 'FAILED', 'CANCELLED');--> statement-breakpoint
CREATE INDEX "invocations_held" ON "herald"."invocations" USING btree ("trigger_id") WHERE "herald"."invocations"."status" = 'HELD';--> statement-breakpoint
CREATE INDEX "invocations_failed" ON "herald"."invocations" USING btree ("id") WHERE "herald"."invocations"."status" = 'FAILED';--> statement-breakpoint
CREATE INDEX "signing_keys_by_trigger" ON "herald"."signing_keys" USING btree ("trigger_id");--> statement-breakpoint
CREATE UNIQUE INDEX "triggers_name_is_taken_once" ON "herald"."triggers" USING btree ("project","name") WHERE "herald"."triggers"."deleted_at" is null;--> statement-breakpoint
CREATE INDEX "triggers_by_type" ON "herald"."triggers" USING btree ("project","type") WHERE "herald"."triggers"."deleted_at" is null;