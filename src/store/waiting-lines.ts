/**
 * Waiting lines: jobs of a trigger that may not be attempted now, because it has its share of the slots in flight or
 * is at a limit of its own. A job in line is marked in its payload (`waits`) and its `run_at` lies an hour ahead, so
 * that the queue does not fetch it; it is called when its turn comes, so a backlog costs two writes a job whatever its
 * length. A called job carries `turn`, by which a process learns that the trigger has a line.
 */
import { sql } from 'drizzle-orm';
import { idArray } from './arrays.ts';
import { type Database, type Executor, inTransaction } from './database.ts';
import { lockPaces, TURN_MARGIN_SECONDS, type Waiter } from './turns.ts';

/** Latest that a job in line comes back by itself, in seconds: the net under lines that nobody calls. */
const LINE_SECONDS = 3600;
/** Due jobs that one sweep looks at. */
const SWEEP_SIZE = 5000;
/** How far ahead turns of a trigger with `max_per_minute` are given out, in seconds: callers come twice as often. */
const HORIZON_SECONDS = 2;

/**
 * Puts deliveries whose jobs are locked in line. The new job takes the key over, so the old one can end; what it
 * counted is forgotten with it. One that was held meanwhile leaves the queue instead.
 */
export async function standInLine(db: Executor, batch: readonly Waiter[]): Promise<void> {
  await db.execute(sql`
    with given as materialized (
      select * from json_to_recordset(${JSON.stringify(batch)}::json) as g("invocationId" uuid, "triggerId" uuid)
    ),
    planned as materialized (
      select
          i.id, greatest(i.max_attempts - i.attempt_count, 1) as jobs_left,
          case when i.status = 'HELD' then 'infinity' else clock_timestamp() + ${LINE_SECONDS} * interval '1 second' end
            as run_at,
          -- How often it was lost with dead processes stays known (rescue.ts).
          (jsonb_build_object('invocation', i.id) || coalesce(j.payload::jsonb - '{begun,turn,waits}'::text[], '{}')
            || case when i.status = 'HELD' then '{}' else jsonb_build_object('waits', i.trigger_id) end)::json as payload
        from given g
        join herald.invocations i on i.id = g."invocationId"
        left join graphile_worker._private_jobs j on j.key = i.id::text
        where i.finished_at is null
    )
    select count(*) from graphile_worker.add_jobs((
      select array_agg((
            'deliver', p.payload, null, p.run_at, p.jobs_left, p.id::text, null, null
          )::graphile_worker.job_spec)
        from planned p))`);
}

/**
 * Puts those of the next due jobs that belong to `triggerIds` in line before they are fetched: behind a receiver that
 * hangs stand thousands, and fetching them one by one would hold up everybody else. Returns how many.
 */
export async function sweepIntoLine(db: Executor, triggerIds: readonly string[]): Promise<number> {
  const [row] = await db.execute<{ count: number }>(sql`
    with front as materialized (
      select j.id, j.run_at, (j.payload ->> 'invocation')::uuid as invocation_id
        from graphile_worker._private_jobs j
        where j.is_available and j.priority = 0 and j.run_at <= now() and j.key is not null
          and j.payload ->> 'turn' is null
        order by j.priority, j.run_at
        limit ${SWEEP_SIZE}
    ),
    -- The limits say what the planner cannot know: look each up by its id. It took statistics of a time in which the
    -- trigger had no invocations for good, and compared all it has with all that is due.
    found as materialized (
      select f.id, f.run_at, i.trigger_id
        from front f
        cross join lateral (
          select v.trigger_id from herald.invocations v where v.id = f.invocation_id limit 1
        ) i
        where i.trigger_id = any(${idArray(triggerIds)}::uuid[])
    ),
    -- Only these are locked: fetching skips locked jobs, and the others' must not be skipped.
    theirs as materialized (
      select f.*
        from found f
        cross join lateral (
          select from graphile_worker._private_jobs j
            where j.id = f.id and j.is_available and j.run_at <= now()
            limit 1
            for update skip locked
        ) j
    ),
    moved as (
      update graphile_worker._private_jobs j
        set
          -- A microsecond apart: the line keeps their order.
          run_at = now() + ${LINE_SECONDS} * interval '1 second' + t.place * interval '1 microsecond',
          payload = (j.payload::jsonb || jsonb_build_object('waits', t.trigger_id))::json,
          updated_at = now()
        from (select id, trigger_id, row_number() over (order by run_at) as place from theirs) t
        where j.id = t.id
        returning j.id
    )
    select count(*)::int as count from moved`);
  return row?.count ?? 0;
}

/** How many of a trigger's line may come. */
export interface Call {
  readonly triggerId: string;
  readonly count: number;
}

export interface Called {
  readonly triggerId: string;
  readonly called: number;
  /** Whether the line goes on behind those that were called. */
  readonly more: boolean;
}

/**
 * Calls the first of each line, as many as asked for and as the trigger's own limits allow: `max_concurrency` counts
 * turns that are given, `max_per_minute` gives each its moment, evenly spaced, within the next two seconds.
 */
export async function callFromLine(db: Database, calls: readonly Call[]): Promise<readonly Called[]> {
  return inTransaction(db, async (tx) => {
    await lockPaces(
      tx,
      calls.map(({ triggerId }) => triggerId),
    );
    const rows = await tx.execute<{ trigger_id: string; called: number; more: boolean }>(sql`
      with asked as materialized (
        select * from json_to_recordset(${JSON.stringify(calls)}::json) as a("triggerId" uuid, count integer)
      ),
      room as materialized (
        select
            a."triggerId" as trigger_id, t.timeout_ms, t.max_concurrency, t.max_per_minute, m.moment, m.start, m.each,
            least(
              a.count,
              t.max_concurrency - (
                select count(*) from herald.turns u where u.trigger_id = t.id and u.until > m.moment),
              ceil((${HORIZON_SECONDS} - extract(epoch from m.start - m.moment)) / m.each)
            ) as count
          from asked a
          join herald.triggers t on t.id = a."triggerId"
          left join herald.paces p on p.trigger_id = t.id
          cross join lateral (
            select clock_timestamp() as moment, greatest(p.next_at, clock_timestamp()) as start,
              60.0 / t.max_per_minute as each
          ) m
          where t.status <> 'PAUSED'
      ),
      picked as materialized (
        select
            r.*, j.id as job_id, j.invocation_id,
            case when r.each is null then r.moment else r.start + (j.place - 1) * r.each * interval '1 second' end as at
          from room r
          cross join lateral (
            select f.id, f.invocation_id, row_number() over (order by f.run_at) as place
              from (
                select j.id, j.run_at, (j.payload ->> 'invocation')::uuid as invocation_id
                  from graphile_worker._private_jobs j
                  where j.payload ->> 'waits' = r.trigger_id::text and j.locked_at is null
                  order by j.run_at
                  limit greatest(r.count, 0)::integer
                  for update skip locked
              ) f
          ) j
      ),
      called as (
        update graphile_worker._private_jobs j
          set
            run_at = p.at, updated_at = now(),
            payload = (j.payload::jsonb - 'waits' || '{"turn": true}')::json
          from picked p
          where j.id = p.job_id
      ),
      given as (
        insert into herald.turns (invocation_id, trigger_id, until)
        select p.invocation_id, p.trigger_id, p.at + p.timeout_ms * interval '1 millisecond' + ${TURN_MARGIN_SECONDS} * interval '1 second'
          from picked p
          where p.max_concurrency is not null
        on conflict (invocation_id) do update set until = excluded.until
      ),
      paced as (
        update herald.paces p
          set next_at = c.start + c.called * c.each * interval '1 second'
          from (select trigger_id, start, each, count(*) as called from picked where each is not null group by 1, 2, 3) c
          where p.trigger_id = c.trigger_id
      ),
      counted as materialized (
        select a."triggerId" as trigger_id, count(p.job_id)::int as called, min(p.at) as first
          from asked a
          left join picked p on p.trigger_id = a."triggerId"
          group by a."triggerId"
      )
      select c.trigger_id, c.called,
          -- Those who are called stand there still for this statement. One step into the index each.
          (
            select count(*) from (
              select from graphile_worker._private_jobs j
                where j.payload ->> 'waits' = c.trigger_id::text
                limit c.called + 1
            ) w
          ) > c.called as more,
          (select herald.announce(min(n.first)) from counted n having min(n.first) is not null) as announced
        from counted c`);
    return rows.map(({ trigger_id, called, more }) => ({ triggerId: trigger_id, called, more }));
  });
}

/** The triggers that have a line. */
export async function findLines(db: Executor): Promise<readonly string[]> {
  // One step into the index a line: each asks for the next greater trigger.
  const rows = await db.execute<{ trigger_id: string }>(sql`
    with recursive lines as (
      (select j.payload ->> 'waits' as trigger_id from graphile_worker._private_jobs j
        where j.payload ->> 'waits' is not null order by 1 limit 1)
      union all
      select (
          select j.payload ->> 'waits' from graphile_worker._private_jobs j
            where j.payload ->> 'waits' > l.trigger_id order by 1 limit 1)
        from lines l
        where l.trigger_id is not null
    )
    select trigger_id from lines where trigger_id is not null`);
  return rows.map((row) => row.trigger_id);
}
