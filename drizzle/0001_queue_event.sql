-- The one door for queueing. GraphQL, REST and `select herald.queue_event(…)` in a user's own transaction all end
-- here, so event, invocations, jobs and announcement are committed or rolled back together.

insert into herald.projects (name) values ('default');
--> statement-breakpoint
insert into herald.installation (source) values (gen_random_uuid()::text);
--> statement-breakpoint

-- PostgreSQL 18 brings uuidv7(), monotonic within a connection; older servers get the same layout (RFC 9562
-- section 5.7) with random bits after the millisecond.
do $migration$
begin
  if current_setting('server_version_num')::int >= 180000 then
    create function herald.uuid_v7() returns uuid language sql volatile parallel safe
    as 'select uuidv7()';
  else
    create function herald.uuid_v7() returns uuid language sql volatile parallel safe
    as $body$
      select encode(
        set_bit(set_bit(
          overlay(uuid_send(gen_random_uuid())
            placing substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
            from 1 for 6),
          52, 1), 53, 1),
        'hex')::uuid
    $body$;
  end if;
end
$migration$;
--> statement-breakpoint

-- An event on its way in, with the id it will have.
create type herald.new_event as (
  position integer,
  id uuid,
  type text,
  data text,
  delay double precision,
  "timestamp" timestamptz,
  project text,
  source text,
  idempotency_key text,
  traceparent text,
  tracestate text,
  origin text,
  replay_of uuid,
  -- What the idempotency key stands for, where that is more than the values above.
  fingerprint text
);
--> statement-breakpoint

-- A trigger that matched, with the id of the invocation it makes.
create type herald.new_invocation as (
  id uuid,
  trigger_id uuid,
  trigger_name text,
  max_attempts integer,
  held boolean
);
--> statement-breakpoint

create function herald.fingerprint(event herald.new_event) returns bytea language sql stable
as $$
  select sha256(convert_to(
    -- The epoch, because a timestamptz reads differently in every time zone.
    coalesce(event.fingerprint, json_build_array(
      event.type, event.data, event.delay, extract(epoch from event."timestamp"), event.source)::text), 'UTF8'))
$$;
--> statement-breakpoint

-- Raises 22023 for the first event that breaks a rule of domain/event.ts. Callers in Herald have checked before and
-- told the caller more kindly; this is for everybody who comes through SQL.
create function herald.check_new_events(asked herald.new_event[]) returns void language plpgsql stable
as $$
declare
  wrong text;
begin
  select case
      when e.type is null or char_length(e.type) not between 1 and 255
        then 'expected type to have 1 to 255 characters'
      when e.type ~ '[[:cntrl:]]' then 'expected type to be free of control characters'
      when octet_length(e.data) > 262144
        then format('expected data of at most 262144 bytes, got %s', octet_length(e.data))
      when e.delay < 0 or e.delay = 'NaN' then format('expected delay to be 0 or more seconds, got %s', e.delay)
      when extract(epoch from coalesce(e."timestamp", now()) - now()) + e.delay > 3650 * 86400.0
        then 'expected delivery to be due within 3650 days from now'
      when e.idempotency_key !~ '^[!-~]{1,255}$'
        then 'expected idempotency_key to be 1 to 255 visible ASCII characters'
      when e.source = '' or e.source ~ '[^[:graph:]]' or char_length(e.source) > 2048
        then 'expected source to be a URI reference of 1 to 2048 characters'
      when e.traceparent !~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'
        then 'expected traceparent to be a W3C Trace Context header, version 00'
    end
    into wrong
    from unnest(asked) e
    order by 1 nulls last
    limit 1;
  if wrong is not null then
    raise exception using errcode = '22023', message = 'herald: ' || wrong;
  end if;
  perform count(e.data::json) from unnest(asked) e;
end
$$;
--> statement-breakpoint

-- Takes the idempotency keys of `asked`; a key taken within 24 hours stays with its first event. Waits for another
-- transaction that is taking the same key. Keys are taken in order, so two batches cannot deadlock.
create function herald.take_idempotency_keys(asked herald.new_event[]) returns void language sql volatile
as $$
  insert into herald.idempotency_keys (project, key, fingerprint, event_id)
  select distinct on (e.project, e.idempotency_key)
      e.project, e.idempotency_key, herald.fingerprint(e), e.id
    from unnest(asked) e
    join herald.projects p on p.name = e.project
    where e.idempotency_key is not null
    order by e.project, e.idempotency_key, e.position
  on conflict (project, key) do update
    set fingerprint = excluded.fingerprint, event_id = excluded.event_id, created_at = now()
    where idempotency_keys.created_at < now() - interval '24 hours'
$$;
--> statement-breakpoint

-- Queues a batch in one go. `batch` is a JSON array of objects with the arguments of herald.queue_event as keys;
-- `data` is JSON *text*, i.e. a string, so that every character of it survives. One row comes back for each event:
--   QUEUED           stored, with its invocations as [{"id", "trigger"}]
--   DUPLICATE        the idempotency key was used for the same event before: that event
--   KEY_REUSED       the idempotency key was used for another event: nothing stored
--   UNKNOWN_PROJECT  no such project: nothing stored
create function herald.queue_events(batch json)
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
security definer set search_path = pg_catalog, pg_temp
as $$
declare
  -- Whole milliseconds, rounded down: a due time must not lie ahead of the clock that fetches the job.
  moment constant timestamptz := date_trunc('milliseconds', clock_timestamp());
  asked herald.new_event[];
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
    perform herald.take_idempotency_keys(asked);
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
            and t.deleted_at is null and t.status <> 'DISABLED'
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
  listed as (
    select json_build_object(
        'kind', 'EVENT_QUEUED', 'event', a.id, 'project', a.project, 'type', a.type,
        'invocations', cardinality(a.matches)) as entry
      from accepted a
    union all
    select json_build_object(
        'kind', 'INVOCATION', 'event', m.event_id, 'invocation', m.id, 'trigger', m.trigger_id,
        'project', m.project, 'type', m.type, 'from', null,
        'to', case when m.held then 'HELD' when m.due > moment then 'SCHEDULED' else 'QUEUED' end,
        'attempt', null)
      from matched m
  ),
  announced as (
    insert into herald.changes (entries)
    select json_agg(l.entry)::text from listed l having count(*) > 0
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
--> statement-breakpoint

-- Wakes everybody who listens: readers of herald.changes, and workers that must know of a due time ahead. Equal
-- payloads of one transaction are sent once, and ids are never sent: a NOTIFY ends at 7999 bytes and is lost while a
-- listener reconnects, so listeners re-read.
create function herald.announce(next_due timestamptz default null) returns void language sql volatile
as $$
  select pg_notify('herald', coalesce((extract(epoch from next_due) * 1000)::bigint::text, ''))
$$;
--> statement-breakpoint

-- Queues one event and returns its id, in the caller's own transaction:
--   select herald.queue_event('order.paid', '{"id": 42}', delay => 3600);
-- Errors: 22023 for a value out of range, 22P02 where `data` is not JSON, P0002 for an unknown project, 23505 where
-- the idempotency key was used for another event within 24 hours.
create function herald.queue_event(
  type text,
  data text default 'null',
  delay double precision default 0,
  "timestamp" timestamptz default null,
  project text default 'default',
  source text default null,
  idempotency_key text default null,
  traceparent text default null
)
returns uuid
language plpgsql volatile
security definer set search_path = pg_catalog, pg_temp
as $$
declare
  answer record;
begin
  select * into answer from herald.queue_events(json_build_array(json_build_object(
    'type', queue_event.type, 'data', queue_event.data, 'delay', queue_event.delay,
    'timestamp', queue_event."timestamp", 'project', queue_event.project, 'source', queue_event.source,
    'idempotencyKey', queue_event.idempotency_key, 'traceparent', queue_event.traceparent)));
  case answer.outcome
    when 'UNKNOWN_PROJECT' then
      raise exception using errcode = 'P0002', message = format('herald: no project %L', queue_event.project);
    when 'KEY_REUSED' then
      raise exception using errcode = '23505',
        message = format('herald: idempotency key %L was used for another event', queue_event.idempotency_key);
    else
      return answer.event_id;
  end case;
end
$$;
--> statement-breakpoint

-- Whoever may queue is told so: grant usage on schema herald, and execute on herald.queue_event, to the role.
revoke execute on all functions in schema herald from public;
--> statement-breakpoint

-- Jobs whose attempts were used up by faults of ours (a crash counts as one) while their invocation is unfinished:
-- nearly always none, so that looking for them costs nothing (see store/workers.ts).
create index jobs_stranded on graphile_worker._private_jobs (id) where locked_at is null and attempts >= max_attempts;
