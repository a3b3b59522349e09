/**
 * What becomes of the jobs of a dead process. graphile-worker alone frees them after 4 hours. Should the process come
 * back, its late results are discarded (`settle`).
 *
 * A process dies with up to 1,500 jobs in its hands, most of which it had only fetched. Those whose attempt was shown as
 * RUNNING are known to be lost. The others count in their payload how often they were `lost`; one that was in dead hands
 * again and again is suspected of killing its process, and is marked as `begun` before it runs (worker/suspects.ts), so
 * that the next death proves it guilty.
 */
import { sql } from 'drizzle-orm';
import { idArray } from './arrays.ts';
import type { Database } from './database.ts';
import { LOCK_NAME } from './workers.ts';

/** A process taken for dead, as it was seen last. */
export interface Suspect {
  readonly poolId: string;
  /** Its heartbeat then: one that moved since proves it alive. Null for a pool of our own, which we know has ended. */
  readonly beat: string | null;
  /** Whether its lock was free: it must still be. */
  readonly unlocked: boolean;
}

export interface Rescue {
  /** Processes that were dead indeed, and that nobody else buried meanwhile. */
  readonly workers: number;
  /** Their jobs, now free. */
  readonly jobs: number;
}

/** Attempts in a row that may be lost with their process before they count as failed: an event may be what kills it. */
const FREE_LOSSES = 3;
const LOST = 'the process that made this attempt died; whether the receiver saw it is unknown';
/** Seconds that a suspect waits after each of its losses in a row, so that others get by. */
const SECONDS_PER_LOSS = 1;
/** A suspect waits for that many of them at most. */
const MAX_LOSS_STEPS = 10;

/**
 * Judges again under lock, frees the jobs of the dead, and gives the lost attempt back: it was counted when the job was
 * locked. An attempt that is known to be lost becomes ABANDONED, and its invocation gets one more, unless it was lost
 * too often. A job whose attempt was recorded but not yet re-planned keeps the time its invocation shows.
 */
export async function rescueJobs(db: Database, suspects: readonly Suspect[]): Promise<Rescue> {
  const [row] = await db.execute<{ workers: number; jobs: number }>(sql`
    with given as materialized (
      select * from json_to_recordset(${JSON.stringify(suspects)}::text::json)
        as g("poolId" text, beat bigint, unlocked boolean)
    ),
    dead as materialized (
      select w.pool_id from herald.workers w
        join given g on g."poolId" = w.pool_id
        where (g.beat is null or (extract(epoch from w.heartbeat_at) * 1000)::bigint = g.beat)
          and (not g.unlocked or pg_try_advisory_xact_lock(hashtextextended(${LOCK_NAME} || w.pool_id, 0)))
        for update of w skip locked
    ),
    -- Not on the list: it ended before it had signed on, or a crash of the server lost its row.
    unlisted as (
      select g."poolId" as pool_id from given g
        where not exists (select from herald.workers w where w.pool_id = g."poolId")
    ),
    ended as materialized (
      select pool_id from dead union all select pool_id from unlisted
    ),
    held as materialized (
      select
          j.id as job_id, (j.payload ->> 'invocation')::uuid as invocation_id,
          coalesce((j.payload ->> 'lost')::int, 0) as lost,
          -- Marked in this very run of the job: each counts one attempt.
          coalesce((j.payload ->> 'begun')::int = j.attempts, false) as begun
        from graphile_worker._private_jobs j
        -- One pass, however many have ended.
        where j.locked_by = any(array(select d.pool_id from ended d)) and j.key is not null
    ),
    known as materialized (
      select
          i.id, i.trigger_id, i.status, i.max_attempts, i.attempt_count, i.manual_attempt, i.next_attempt_at, h.begun,
          i.status = 'RUNNING' as shown, i.attempt_count + (i.status <> 'RUNNING')::int as number
        from held h
        join herald.invocations i on i.id = h.invocation_id
        where i.finished_at is null and (i.status = 'RUNNING' or h.begun)
        for update of i
    ),
    abandoned as (
      insert into herald.attempts as a (
        invocation_id, number, id, status, cause, error_code, error_message, started_at, finished_at, request_url,
        request_headers, request_body_size, content_mode, spec_version)
      select
          k.id, k.number, herald.uuid_v7(), 'ABANDONED',
          case k.number when k.manual_attempt then 'MANUAL' when 1 then 'INITIAL' else 'RETRY' end,
          'WORKER_LOST', ${LOST},
          now(), now(), t.url, '', 0, t.content_mode, t.spec_version
        from known k
        join herald.triggers t on t.id = k.trigger_id
      on conflict (invocation_id, number) do update set
        status = excluded.status, error_code = excluded.error_code, error_message = excluded.error_message,
        finished_at = excluded.finished_at
        where a.status = 'RUNNING'
      returning a.invocation_id as id
    ),
    -- Cancelled while it was in flight: nobody will record its end.
    unrecorded as (
      update herald.attempts a
        set status = 'ABANDONED', error_code = 'WORKER_LOST', error_message = ${LOST}, finished_at = now()
        from held h
        join herald.invocations i on i.id = h.invocation_id
        where a.invocation_id = i.id and a.number = i.attempt_count and a.status = 'RUNNING' and i.finished_at is not null
        returning i.id, i.trigger_id, i.status, a.number
    ),
    judged as materialized (
      select
          k.*, t.status = 'PAUSED' or k.status = 'HELD' as held, lost.in_a_row + 1 as losses,
          k.max_attempts + (lost.in_a_row < ${FREE_LOSSES})::int as attempts_allowed
        from abandoned a
        join known k on k.id = a.id
        join herald.triggers t on t.id = k.trigger_id
        cross join lateral (
          select count(*)::int as in_a_row from herald.attempts l
            where l.invocation_id = k.id and l.status = 'ABANDONED'
              and l.number between k.number - ${MAX_LOSS_STEPS} and k.number - 1
              and l.number > coalesce((
                select max(o.number) from herald.attempts o
                  where o.invocation_id = k.id and o.status in ('SUCCEEDED', 'FAILED')), 0)
        ) lost
    ),
    given_back as (
      update herald.invocations i
        set
          status = case when j.number >= j.attempts_allowed then 'FAILED' when j.held then 'HELD' else 'RETRYING' end,
          failure_reason = case when j.number >= j.attempts_allowed then 'WORKER_LOST' end,
          finished_at = case when j.number >= j.attempts_allowed then now() end,
          attempt_count = j.number,
          max_attempts = j.attempts_allowed,
          next_attempt_at = case when j.number < j.attempts_allowed and not j.held then now() + case
            when j.begun then least(j.losses, ${MAX_LOSS_STEPS}) * ${SECONDS_PER_LOSS} * interval '1 second'
            else interval '0' end end,
          last_error_code = 'WORKER_LOST', last_status_code = null, updated_at = now()
        from judged j
        where i.id = j.id
        returning i.id, i.status, i.next_attempt_at
    ),
    ended_attempts as materialized (
      select
          j.id, j.trigger_id, j.number, g.status, j.number >= j.attempts_allowed as failed,
          case when j.status <> 'PENDING' then j.status
            when j.next_attempt_at > now() then 'SCHEDULED' else 'QUEUED' end as previous
        from judged j
        join given_back g on g.id = j.id
      union all
      select u.id, u.trigger_id, u.number, u.status, false, u.status from unrecorded u
    ),
    recorded as (
      insert into herald.changes (entries)
      select string_agg(herald.invocation_change(e.id, e.previous, e.status, e.number), '')
        from ended_attempts e
        having count(*) > 0
    ),
    tallied as (
      insert into herald.tallies (trigger_id, attempts, attempts_failed, retries, failed)
      select
          e.trigger_id, count(*), count(*), count(*) filter (where e.number > 1), count(*) filter (where e.failed)
        from ended_attempts e
        group by e.trigger_id
    ),
    freed as (
      update graphile_worker._private_jobs j
        set
          locked_by = null, locked_at = null, attempts = greatest(0, j.attempts - 1),
          run_at = case g.status
            when 'HELD' then 'infinity'
            -- Its next run finds it finished and ends the job.
            when 'FAILED' then now()
            else greatest(j.run_at, coalesce(g.next_attempt_at, i.next_attempt_at)) end,
          payload = json_build_object('invocation', i.id, 'lost', h.lost + (g.id is null or h.lost = 0)::int),
          updated_at = now()
        from held h
        join herald.invocations i on i.id = h.invocation_id
        left join given_back g on g.id = h.invocation_id
        where j.id = h.job_id
        returning j.id
    ),
    -- Jobs that were replaced while they ran have no key any more: their successor does the work.
    replaced as (
      delete from graphile_worker._private_jobs j using ended d where j.locked_by = d.pool_id and j.key is null
    ),
    buried as (
      delete from herald.workers w using dead d where w.pool_id = d.pool_id
    ),
    counted as (
      select (select count(*)::int from dead) as workers, (select count(*)::int from freed) as jobs
    )
    select c.workers, c.jobs, case when c.jobs > 0 then herald.announce(clock_timestamp()) end from counted c`);
  return { workers: row?.workers ?? 0, jobs: row?.jobs ?? 0 };
}

/** Jobs locked for as long as this by a process that is not on the list are nobody's: whoever lives signs on before. */
const ORPHAN_SECONDS = 5;

/** Processes that have jobs locked and are not on the list, as suspects for `rescueJobs`. */
export async function findOrphans(db: Database): Promise<readonly Suspect[]> {
  const rows = await db.execute<{ pool_id: string }>(sql`
    select distinct j.locked_by as pool_id from graphile_worker._private_jobs j
      where j.locked_at < now() - make_interval(secs => ${ORPHAN_SECONDS})
        and not exists (select from herald.workers w where w.pool_id = j.locked_by)`);
  // A heartbeat that is nobody's: one that signs on now is spared.
  return rows.map((row) => ({ poolId: row.pool_id, beat: '0', unlocked: false }));
}

/**
 * Hands back what `poolId` has fetched but not `kept` (ids of jobs), as if it had never been locked, so that others
 * take it at once. Only jobs locked for longer than `minAgeMs`. Returns how many.
 */
export async function handBackJobs(
  db: Database,
  poolId: string,
  kept: readonly string[],
  minAgeMs = 0,
): Promise<number> {
  const [row] = await db.execute<{ count: number }>(sql`
    with held as materialized (
      select j.id, j.key is null as replaced, (j.payload ->> 'invocation')::uuid as invocation_id
        from graphile_worker._private_jobs j
        where j.locked_by = ${poolId} and j.locked_at <= now() - ${minAgeMs} * interval '1 millisecond'
          and j.id <> all(${sql.param(idArray(kept))}::bigint[])
        for update skip locked
    ),
    -- Their successors do the work; only their write-off can have been lost.
    replaced as (
      delete from graphile_worker._private_jobs j using held h where j.id = h.id and h.replaced
    ),
    freed as (
      update graphile_worker._private_jobs j
        set
          locked_by = null, locked_at = null, attempts = greatest(0, j.attempts - 1),
          -- A retry that is recorded, but whose job has not been failed yet, keeps its time.
          run_at = greatest(j.run_at, i.next_attempt_at), updated_at = now()
        from held h
        join herald.invocations i on i.id = h.invocation_id
        where j.id = h.id and not h.replaced
        returning j.id
    )
    select count(*)::int as count, case when count(*) > 0 then herald.announce(clock_timestamp()) end from freed`);
  return row?.count ?? 0;
}

/** Marks a job as begun in this run of it, before anything else is done. False where it is not `poolId`'s any more. */
export async function markBegun(db: Database, poolId: string, jobId: string): Promise<boolean> {
  const rows = await db.execute(sql`
    update graphile_worker._private_jobs
      set payload = (payload::jsonb || jsonb_build_object('begun', attempts))::json
      where id = ${jobId}::bigint and locked_by = ${poolId}
      returning id`);
  return rows.length > 0;
}
