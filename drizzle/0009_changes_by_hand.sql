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
	"abandoned" boolean DEFAULT false NOT NULL,
	"error_message" text,
	CONSTRAINT "bulk_operations_kind_is_known" CHECK ("herald"."bulk_operations"."kind" in ('RETRY_INVOCATIONS', 'CANCEL_EVENTS', 'REPLAY_EVENTS')),
	CONSTRAINT "bulk_operations_status_is_known" CHECK ("herald"."bulk_operations"."status" in ('RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED')),
	CONSTRAINT "bulk_operations_final_means_finished" CHECK (("herald"."bulk_operations"."status" = 'RUNNING') = ("herald"."bulk_operations"."finished_at" is null))
);
--> statement-breakpoint
CREATE INDEX "bulk_operations_running" ON "herald"."bulk_operations" USING btree ("id") WHERE "herald"."bulk_operations"."status" = 'RUNNING';--> statement-breakpoint

-- The checks that get wider are not validated: every row passed the narrower ones, and looking at all holds the table.
ALTER TABLE "herald"."audit_log" DROP CONSTRAINT "audit_log_action_is_known";--> statement-breakpoint
ALTER TABLE "herald"."audit_log" ADD CONSTRAINT "audit_log_action_is_known" CHECK ("herald"."audit_log"."action" in ('TRIGGER_CREATED', 'TRIGGER_UPDATED', 'TRIGGER_DELETED', 'TRIGGER_PAUSED', 'TRIGGER_RESUMED', 'TRIGGER_SECRET_ROTATED', 'TRIGGER_TESTED', 'EVENT_CANCELLED', 'EVENT_RESCHEDULED', 'INVOCATION_CANCELLED', 'INVOCATION_RETRIED', 'BULK_OPERATION_STARTED', 'BULK_OPERATION_CANCELLED', 'API_KEY_CREATED', 'API_KEY_REVOKED')) NOT VALID;--> statement-breakpoint
ALTER TABLE "herald"."invocations" ADD COLUMN "manual_attempt" smallint;--> statement-breakpoint
ALTER TABLE "herald"."invocations" ADD COLUMN "attempts_before_reset" smallint DEFAULT 0 NOT NULL;--> statement-breakpoint

-- How the attempts of each trigger end, kept by whoever folds the statistics, so that a trigger whose every attempt has
-- failed for days can be paused. Nothing is known of what came before: periods begin with this release, and the former
-- one, which would not know the new reason, is gone when the first of them ends. It folds without these columns meanwhile.
-- The fold locks trigger_counts first and then triggers, and so does this.
ALTER TABLE "herald"."trigger_counts" ADD COLUMN "succeeded_at" timestamptz(3);--> statement-breakpoint
ALTER TABLE "herald"."trigger_counts" ADD COLUMN "failing_since" timestamptz(3);--> statement-breakpoint
ALTER TABLE "herald"."trigger_counts" ADD COLUMN "failed_at" timestamptz(3);--> statement-breakpoint
ALTER TABLE "herald"."triggers" DROP CONSTRAINT "triggers_status_reason_is_known";--> statement-breakpoint
ALTER TABLE "herald"."triggers" ADD CONSTRAINT "triggers_status_reason_is_known" CHECK ("herald"."triggers"."status_reason" in ('MANUAL', 'RECEIVER_GONE', 'CONSECUTIVE_FAILURES')) NOT VALID;--> statement-breakpoint

-- As before, but where a transaction has set herald.only_triggers, an array of ids, no other trigger fires for what it
-- queues: replays for some triggers come through the one door too. And a key that is not to be had in time is told apart.
create or replace function herald.queue_events(batch json)
returns table (
  "position" integer,
  outcome text,
  event_id uuid,
  source text,
  received_at timestamptz,
  due_at timestamptz,
  invocations json
)
language plpgsql volatile
-- Runs as its owner, so that a role that may call it needs no rights on the tables, ours or graphile-worker's.
security definer
set search_path = pg_catalog, pg_temp
-- Planned once a connection, always by index: planning anew took 1.5 of a single call's 2.6 ms, and the planner cannot
-- know how many rows an array has anyway.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  -- Whole milliseconds, rounded down: a due time must not lie ahead of the clock that fetches the job.
  moment constant timestamptz := date_trunc('milliseconds', clock_timestamp());
  asked herald.new_event[];
  targets constant uuid[] := nullif(current_setting('herald.only_triggers', true), '')::uuid[];
begin
  select array_agg((
        a.ordinality, herald.uuid_v7(), a.type, coalesce(a.data, 'null'), coalesce(a.delay, 0), a."timestamp",
        coalesce(a.project, 'default'), a.source, a."idempotencyKey", a.traceparent, a.tracestate,
        coalesce(a.origin, 'SQL'), a."replayOf", a.fingerprint
      )::herald.new_event order by a.ordinality)
    into asked
    from rows from (json_to_recordset(batch) as (
      type text, data text, delay double precision, "timestamp" timestamptz, project text, source text,
      "idempotencyKey" text, traceparent text, tracestate text, origin text, "replayOf" uuid,
      fingerprint text
    )) with ordinality a;

  perform herald.check_new_events(asked);
  if exists (select from unnest(asked) e where e.idempotency_key is not null) then
    begin
      perform herald.take_idempotency_keys(asked);
    exception when lock_not_available then
      -- A code of its own: a table that is not to be had is another matter.
      raise exception using errcode = 'HK001', message = 'herald: a transaction with the same idempotency_key is still open';
    end;
  end if;

  -- Everything about an event stays in its row: joining it back by id costs 200 µs an event in a batch of 200,
  -- because the planner cannot know how many rows unnest returns and loops over all for each.
  return query
  with judged as materialized (
    select
        e.position, e.id, e.type, e.data, e.delay, e."timestamp", e.project, coalesce(e.source, i.source) as source,
        e.idempotency_key, e.traceparent, e.tracestate, e.origin, e.replay_of,
        date_trunc('milliseconds', greatest(
          moment, coalesce(e."timestamp", moment) + e.delay * interval '1 second')) as due,
        k.event_id as earlier,
        case
          when not exists (select from herald.projects p where p.name = e.project) then 'UNKNOWN_PROJECT'
          when k.event_id is null or k.event_id = e.id then 'QUEUED'
          when k.fingerprint = herald.fingerprint(e) then 'DUPLICATE'
          else 'KEY_REUSED'
        end as outcome
      from unnest(asked) e
      cross join herald.installation i
      left join lateral (
        select t.event_id, t.fingerprint from herald.idempotency_keys t
          where e.idempotency_key is not null and t.project = e.project and t.key = e.idempotency_key
      ) k on true
  ),
  answered as materialized (
    select j.*, coalesce(t.matches, '{}') as matches
      from judged j
      left join lateral (
        select array_agg((
              herald.uuid_v7(), t.id, t.name, t.retries + 1, t.status = 'PAUSED')::herald.new_invocation) as matches
          from herald.triggers t
          where j.outcome = 'QUEUED' and t.project = j.project and t.type = j.type
            and t.deleted_at is null and t.status <> 'DISABLED' and (targets is null or t.id = any(targets))
      ) t on true
  ),
  accepted as (
    select * from answered a where a.outcome = 'QUEUED'
  ),
  matched as materialized (
    select a.id as event_id, a.project, a.type, a.due, m.*
      from accepted a
      cross join lateral unnest(a.matches) m
  ),
  stored_events as (
    insert into herald.events (
      id, project, type, source, data, data_size, received_at, due_at, origin, idempotency_key, traceparent,
      tracestate, replay_of, invocation_count)
    select
        a.id, a.project, a.type, a.source, a.data, octet_length(a.data), moment, a.due, a.origin,
        a.idempotency_key, a.traceparent, a.tracestate, a.replay_of, cardinality(a.matches)
      from accepted a
  ),
  stored_invocations as (
    insert into herald.invocations (
      id, event_id, trigger_id, trigger_name, status, max_attempts, next_attempt_at, created_at, updated_at)
    select
        m.id, m.event_id, m.trigger_id, m.trigger_name,
        case when m.held then 'HELD' else 'PENDING' end,
        m.max_attempts,
        case when not m.held then m.due end,
        moment, moment
      from matched m
  ),
  scheduled as (
    select count(*) from graphile_worker.add_jobs((
      select array_agg((
            'deliver', json_build_object('invocation', m.id), null,
            case when m.held then 'infinity' else m.due end,
            m.max_attempts, m.id::text, null, null
          )::graphile_worker.job_spec)
        from matched m
    ))
  ),
  announced as (
    insert into herald.changes (entries)
    select string_agg(l.entry, '') from (
        select herald.event_change(a.id, cardinality(a.matches)) as entry from accepted a
        union all
        select herald.invocation_change(
            m.id, null, case when m.held then 'HELD' when m.due > moment then 'SCHEDULED' else 'QUEUED' end, null)
          from matched m
      ) l
      having count(*) > 0
  ),
  woken as (
    select herald.announce((select min(m.due) from matched m where not m.held and m.due > moment))
  )
  select
      a.position, a.outcome, coalesce(a.earlier, a.id), a.source, moment, a.due,
      case a.outcome
        when 'QUEUED' then (
          select coalesce(json_agg(json_build_object('id', m.id, 'trigger', m.trigger_name)), '[]')
            from unnest(a.matches) m)
        when 'DUPLICATE' then (
          select coalesce(json_agg(json_build_object('id', i.id, 'trigger', i.trigger_name) order by i.id), '[]')
            from herald.invocations i
            where i.event_id = a.earlier)
      end
    from answered a
    cross join scheduled
    cross join woken
    order by 1;
end
$$;
