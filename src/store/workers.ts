/**
 * Which worker processes live, and what becomes of a dead one's jobs. graphile-worker alone frees them after 4 hours.
 * Each process holds a session advisory lock; Postgres lets go of it within milliseconds of the process' death. One
 * that is stopped, or cut off without a word, keeps the lock but no longer reports in. Should it come back, its late
 * results are discarded (`settle`).
 */
import { hostname } from 'node:os';
import { sql } from 'drizzle-orm';
import type postgres from 'postgres';
import type { Database } from './database.ts';

/** The advisory lock of a process is the hash of this and its pool id. */
const LOCK_NAME = 'herald worker ';
/** A process that has not reported in for this long is stopped or cut off, even if its lock is still held. */
const HEARTBEAT_TIMEOUT_SECONDS = 30;

/** Registers this process as `poolId` and holds its lock on `client`, which must have a single connection. */
export async function registerWorker(client: postgres.Sql, poolId: string): Promise<void> {
  // The lock comes first: a row without its lock would be taken for dead.
  await client`select pg_advisory_lock(${lockKey(client, poolId)})`;
  await reportIn(client, poolId);
}

/** Reports in, and takes the lock again where the connection was lost, and with it the lock. */
export async function keepWorkerAlive(client: postgres.Sql, poolId: string): Promise<void> {
  if (!(await reportIn(client, poolId))) await registerWorker(client, poolId);
}

/** Writes the heartbeat; whether the lock is held. A row that others took away while we were stopped comes back. */
async function reportIn(client: postgres.Sql, poolId: string): Promise<boolean> {
  const name = `${hostname()}/${process.pid}`;
  const [row] = await client<{ held: boolean }[]>`
    insert into herald.workers (pool_id, name) values (${poolId}, ${name})
      on conflict (pool_id) do update set heartbeat_at = now()
      returning exists (
        select from pg_locks
          where locktype = 'advisory' and pid = pg_backend_pid()
            and (classid::bigint << 32 | objid::bigint) = ${lockKey(client, poolId)}
      ) as held`;
  return row?.held === true;
}

/** Lets go of `poolId`, whose queue has ended although the process lives: what it left behind is taken over. */
export async function abandonWorker(client: postgres.Sql, poolId: string): Promise<void> {
  await client`select pg_advisory_unlock(${lockKey(client, poolId)})`;
}

/** Signs off. Ends with the connection if it does not come to that. */
export async function unregisterWorker(client: postgres.Sql, poolId: string): Promise<void> {
  await client`delete from herald.workers where pool_id = ${poolId}`;
}

export interface Rescue {
  /** Processes found dead. */
  readonly workers: number;
  /** Their jobs, now free, and jobs that had run out of attempts through faults of ours. */
  readonly jobs: number;
}

/** Attempts in a row that may be lost with their process before they count as failed: an event may be what kills it. */
const FREE_LOSSES = 3;

/**
 * Frees the jobs of dead processes and gives the lost attempt back: it was counted when the job was locked. An attempt
 * that was shown as RUNNING becomes ABANDONED, and its invocation gets one more, unless it was lost too often. A job
 * whose attempt was recorded but not yet re-planned keeps the time its invocation shows.
 */
export async function rescueJobs(db: Database): Promise<Rescue> {
  const [row] = await db.execute<{ workers: number; jobs: number }>(sql`
    with dead as materialized (
      select w.pool_id from herald.workers w
        where w.heartbeat_at < now() - make_interval(secs => ${HEARTBEAT_TIMEOUT_SECONDS})
          or pg_try_advisory_xact_lock(hashtextextended(${LOCK_NAME} || w.pool_id, 0))
    ),
    held as materialized (
      select j.id as job_id, (j.payload ->> 'invocation')::uuid as invocation_id
        from graphile_worker._private_jobs j
        join dead d on j.locked_by = d.pool_id
        where j.key is not null
    ),
    abandoned as (
      update herald.attempts a
        set
          status = 'ABANDONED', error_code = 'WORKER_LOST', finished_at = now(),
          error_message = 'the process that made this attempt died; whether the receiver saw it is unknown'
        from held h
        where a.invocation_id = h.invocation_id and a.status = 'RUNNING'
        returning a.invocation_id, a.number
    ),
    judged as materialized (
      select
          i.id, i.event_id, i.trigger_id, t.status = 'PAUSED' as paused, a.number,
          i.max_attempts + (lost.in_a_row < ${FREE_LOSSES})::int as max_attempts
        from abandoned a
        join herald.invocations i on i.id = a.invocation_id
        join herald.triggers t on t.id = i.trigger_id
        cross join lateral (
          select count(*) as in_a_row from herald.attempts l
            where l.invocation_id = i.id and l.status = 'ABANDONED' and l.number >= a.number - ${FREE_LOSSES}
        ) lost
        where i.status = 'RUNNING'
        for update of i
    ),
    given_back as (
      update herald.invocations i
        set
          status = case when i.attempt_count >= j.max_attempts then 'FAILED' when j.paused then 'HELD' else 'RETRYING' end,
          failure_reason = case when i.attempt_count >= j.max_attempts then 'RETRIES_EXHAUSTED' end,
          finished_at = case when i.attempt_count >= j.max_attempts then now() end,
          max_attempts = j.max_attempts,
          next_attempt_at = case when i.attempt_count < j.max_attempts and not j.paused then now() end,
          last_error_code = 'WORKER_LOST', last_status_code = null, updated_at = now()
        from judged j
        where i.id = j.id
        returning i.id, i.status
    ),
    recorded as (
      insert into herald.changes (entries)
      select json_agg(json_build_object(
            'kind', 'INVOCATION', 'event', j.event_id, 'invocation', j.id, 'trigger', j.trigger_id,
            'project', e.project, 'type', e.type, 'from', 'RUNNING', 'to', g.status, 'attempt', j.number))::text
        from judged j
        join given_back g on g.id = j.id
        join herald.events e on e.id = j.event_id
        having count(*) > 0
    ),
    freed as (
      update graphile_worker._private_jobs j
        set
          locked_by = null, locked_at = null, attempts = greatest(0, j.attempts - 1),
          run_at = greatest(j.run_at, i.next_attempt_at), updated_at = now()
        from held h, herald.invocations i
        where j.id = h.job_id and i.id = h.invocation_id
        returning j.id
    ),
    -- Jobs that were replaced while they ran have no key any more: their successor does the work.
    replaced as (
      delete from graphile_worker._private_jobs j using dead d where j.locked_by = d.pool_id and j.key is null
    ),
    stranded as (
      update graphile_worker._private_jobs j
        set attempts = j.max_attempts - 1, updated_at = now()
        where j.locked_at is null and j.attempts >= j.max_attempts and j.key is not null
        returning j.id
    ),
    buried as (
      delete from herald.workers w using dead d where w.pool_id = d.pool_id
    ),
    counted as (
      select (select count(*)::int from dead) as workers,
        (select count(*)::int from freed) + (select count(*)::int from stranded) as jobs
    )
    select c.workers, c.jobs, case when c.jobs > 0 then herald.announce(clock_timestamp()) end from counted c`);
  return { workers: row?.workers ?? 0, jobs: row?.jobs ?? 0 };
}

/** When the next job falls due, and what time the database has: both epoch milliseconds; null where none is planned. */
export async function readNextDue(
  db: Database,
): Promise<{ readonly due: number | null; readonly now: number }> {
  // All our jobs have priority 0, so this is one step into the queue's own index (priority, run_at).
  const [row] = await db.execute<{ due: number | null; now: number }>(sql`
    select
        (extract(epoch from clock_timestamp()) * 1000)::float8 as now,
        (select (extract(epoch from nullif(min(j.run_at), 'infinity')) * 1000)::float8
          from graphile_worker._private_jobs j
          where j.is_available and j.priority = 0 and j.run_at > now()) as due`);
  if (row === undefined) throw new Error('reading the clock returned no row');
  return row;
}

function lockKey(client: postgres.Sql, poolId: string): postgres.Fragment {
  return client`hashtextextended(${LOCK_NAME + poolId}, 0)`;
}
