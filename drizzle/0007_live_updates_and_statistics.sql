CREATE TABLE "herald"."change_marks" (
	"at" timestamptz(3) PRIMARY KEY DEFAULT now() NOT NULL,
	"snapshot" text DEFAULT pg_current_snapshot()::text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "herald"."event_tallies" (
	"project" text NOT NULL,
	"type" text NOT NULL,
	"at" timestamptz(3) NOT NULL,
	"count" integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE "herald"."event_type_hours" (
	"project" text NOT NULL,
	"type" text NOT NULL,
	"hour" timestamptz(3) NOT NULL,
	"count" bigint NOT NULL,
	CONSTRAINT "event_type_hours_project_type_hour_pk" PRIMARY KEY("project","type","hour")
);
--> statement-breakpoint
CREATE TABLE "herald"."event_types" (
	"project" text NOT NULL,
	"type" text NOT NULL,
	"last_seen_at" timestamptz(3) NOT NULL,
	CONSTRAINT "event_types_project_type_pk" PRIMARY KEY("project","type")
);
--> statement-breakpoint
CREATE TABLE "herald"."stats" (
	"scope" text NOT NULL,
	"grain" smallint NOT NULL,
	"start" timestamptz(3) NOT NULL,
	"events" bigint NOT NULL,
	"attempts" bigint NOT NULL,
	"attempts_failed" bigint NOT NULL,
	"retries" bigint NOT NULL,
	"succeeded" bigint NOT NULL,
	"failed" bigint NOT NULL,
	"durations" text NOT NULL,
	"latencies" text NOT NULL,
	CONSTRAINT "stats_scope_grain_start_pk" PRIMARY KEY("scope","grain","start")
);
--> statement-breakpoint
CREATE TABLE "herald"."tallies" (
	"trigger_id" uuid NOT NULL,
	"at" timestamptz(3) DEFAULT now() NOT NULL,
	"events" integer DEFAULT 0 NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"attempts_failed" integer DEFAULT 0 NOT NULL,
	"retries" integer DEFAULT 0 NOT NULL,
	"succeeded" integer DEFAULT 0 NOT NULL,
	"failed" integer DEFAULT 0 NOT NULL,
	"durations" real[],
	"latencies" real[],
	"pending" integer DEFAULT 0 NOT NULL,
	"held" integer DEFAULT 0 NOT NULL,
	"running" integer DEFAULT 0 NOT NULL,
	"retrying" integer DEFAULT 0 NOT NULL,
	"dead_letters" integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "herald"."trigger_counts" (
	"trigger_id" uuid PRIMARY KEY NOT NULL,
	"pending" bigint NOT NULL,
	"held" bigint NOT NULL,
	"running" bigint NOT NULL,
	"retrying" bigint NOT NULL,
	"dead_letters" bigint NOT NULL
);
--> statement-breakpoint
DROP INDEX "herald"."changes_by_time";--> statement-breakpoint
ALTER TABLE "herald"."workers" ADD COLUMN "running" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "herald"."workers" ADD COLUMN "concurrency" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX "event_type_hours_by_age" ON "herald"."event_type_hours" USING btree ("hour");--> statement-breakpoint
CREATE INDEX "event_types_by_age" ON "herald"."event_types" USING btree ("last_seen_at");--> statement-breakpoint
CREATE INDEX "stats_by_age" ON "herald"."stats" USING btree ("grain","start");--> statement-breakpoint

-- Nothing has been removed that anybody has a cursor for.
insert into herald.change_marks (at, snapshot) values ('-infinity', '1:1:');
--> statement-breakpoint

-- Both are emptied every few seconds.
alter table herald.tallies set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
--> statement-breakpoint
alter table herald.event_tallies set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
--> statement-breakpoint

-- Numbers are kept by triggers, so that they hold whoever queues, moves, retries, cancels or prunes: once a statement,
-- whatever it touches. Attempts are counted by `settle`, which knows how long they took.
create function herald.tally_events() returns trigger language plpgsql
as $$
begin
  insert into herald.event_tallies (project, type, at, count)
  select q.project, q.type, date_trunc('minute', q.received_at), count(*) from queued q group by 1, 2, 3;
  return null;
end
$$;
--> statement-breakpoint
create trigger events_are_tallied after insert on herald.events
  referencing new table as queued for each statement execute function herald.tally_events();
--> statement-breakpoint

create function herald.tally_new_invocations() returns trigger language plpgsql
as $$
begin
  insert into herald.tallies (trigger_id, at, events, pending, held, running, retrying, dead_letters)
  select
      n.trigger_id, date_trunc('minute', n.created_at), count(*),
      count(*) filter (where n.status = 'PENDING'), count(*) filter (where n.status = 'HELD'),
      count(*) filter (where n.status = 'RUNNING'), count(*) filter (where n.status = 'RETRYING'),
      count(*) filter (where n.status = 'FAILED')
    from added n
    group by 1, 2;
  return null;
end
$$;
--> statement-breakpoint
create trigger new_invocations_are_tallied after insert on herald.invocations
  referencing new table as added for each statement execute function herald.tally_new_invocations();
--> statement-breakpoint

create function herald.tally_changed_invocations() returns trigger language plpgsql
as $$
begin
  insert into herald.tallies (trigger_id, pending, held, running, retrying, dead_letters)
  select * from (
      select
          c.trigger_id,
          coalesce(sum(c.one) filter (where c.status = 'PENDING'), 0) as pending,
          coalesce(sum(c.one) filter (where c.status = 'HELD'), 0) as held,
          coalesce(sum(c.one) filter (where c.status = 'RUNNING'), 0) as running,
          coalesce(sum(c.one) filter (where c.status = 'RETRYING'), 0) as retrying,
          coalesce(sum(c.one) filter (where c.status = 'FAILED'), 0) as dead_letters
        from (
          select trigger_id, status, 1 as one from after
          union all
          select trigger_id, status, -1 from before
        ) c
        group by 1
    ) n
    where (n.pending, n.held, n.running, n.retrying, n.dead_letters) <> (0, 0, 0, 0, 0);
  return null;
end
$$;
--> statement-breakpoint
create trigger changed_invocations_are_tallied after update on herald.invocations
  referencing old table as before new table as after
  for each statement execute function herald.tally_changed_invocations();
--> statement-breakpoint

create function herald.tally_removed_invocations() returns trigger language plpgsql
as $$
begin
  insert into herald.tallies (trigger_id, pending, held, running, retrying, dead_letters)
  select
      o.trigger_id,
      -count(*) filter (where o.status = 'PENDING'), -count(*) filter (where o.status = 'HELD'),
      -count(*) filter (where o.status = 'RUNNING'), -count(*) filter (where o.status = 'RETRYING'),
      -count(*) filter (where o.status = 'FAILED')
    from removed o
    where o.status not in ('SUCCEEDED', 'CANCELLED')
    group by 1;
  return null;
end
$$;
--> statement-breakpoint
create trigger removed_invocations_are_tallied after delete on herald.invocations
  referencing old table as removed for each statement execute function herald.tally_removed_invocations();
--> statement-breakpoint
revoke execute on function
  herald.tally_events, herald.tally_new_invocations, herald.tally_changed_invocations, herald.tally_removed_invocations
  from public;
--> statement-breakpoint

-- What there is already. Statistics begin with this release; these numbers must hold for what came before it. The
-- triggers above have locked the table, so that nothing changes between.
insert into herald.trigger_counts (trigger_id, pending, held, running, retrying, dead_letters)
select
    i.trigger_id,
    count(*) filter (where i.status = 'PENDING'), count(*) filter (where i.status = 'HELD'),
    count(*) filter (where i.status = 'RUNNING'), count(*) filter (where i.status = 'RETRYING'),
    count(*) filter (where i.status = 'FAILED')
  from herald.invocations i
  where i.status not in ('SUCCEEDED', 'CANCELLED')
  group by 1;
