/**
 * Which worker processes live, and what becomes of a dead one's jobs. graphile-worker alone frees them after 4 hours.
 * Each process holds a session advisory lock; Postgres lets go of it within milliseconds of the process' death.
 */
import { hostname } from 'node:os';
import { sql } from 'drizzle-orm';
import type postgres from 'postgres';
import type { Database } from './database.ts';

/** Registers this process as `poolId` and holds its lock on `client`, which must have a single connection. */
export async function registerWorker(client: postgres.Sql, poolId: string): Promise<void> {
  // The lock comes first: a row without its lock would be taken for dead.
  await client`select pg_advisory_lock(${lockKey(client, poolId)})`;
  const name = `${hostname()}/${process.pid}`;
  await client`insert into herald.workers (pool_id, name) values (${poolId}, ${name}) on conflict do nothing`;
}

/** Takes the lock again where the connection was lost, and with it the lock. */
export async function keepWorkerAlive(client: postgres.Sql, poolId: string): Promise<void> {
  const [held] = await client`
    select from pg_locks
      where locktype = 'advisory' and pid = pg_backend_pid()
        and (classid::bigint << 32 | objid::bigint) = ${lockKey(client, poolId)}`;
  if (held === undefined) await registerWorker(client, poolId);
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

/**
 * Frees the jobs of dead processes and gives the lost attempt back: it was counted when the job was locked. A job
 * whose attempt was recorded but not yet re-planned keeps the time its invocation shows.
 */
export async function rescueJobs(db: Database): Promise<Rescue> {
  const [row] = await db.execute<{ workers: number; jobs: number }>(sql`
    with dead as materialized (
      select w.pool_id from herald.workers w
        where pg_try_advisory_xact_lock(hashtextextended('herald worker ' || w.pool_id, 0))
    ),
    freed as (
      update graphile_worker._private_jobs j
        set
          locked_by = null, locked_at = null, attempts = greatest(0, j.attempts - 1),
          run_at = greatest(j.run_at, i.next_attempt_at), updated_at = now()
        from dead d, herald.invocations i
        where j.locked_by = d.pool_id and j.key is not null and i.id = (j.payload ->> 'invocation')::uuid
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
  return row ?? { workers: 0, jobs: 0 };
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
  return client`hashtextextended('herald worker ' || ${poolId}::text, 0)`;
}
