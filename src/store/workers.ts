/**
 * Which worker processes live. Each holds a session advisory lock, which Postgres lets go of within milliseconds of the
 * process' death, and beats; one that is stopped, or cut off without a word, keeps the lock but beats no more. Who is
 * dead is for the peers that watch it to say (worker/peers.ts), and what becomes of its jobs is in rescue.ts.
 */
import { hostname } from 'node:os';
import { sql } from 'drizzle-orm';
import type postgres from 'postgres';
import type { Database, Executor } from './database.ts';

/** The advisory lock of a process is the hash of this and its pool id. */
export const LOCK_NAME = 'herald worker ';

/** A peer as one beat saw it. */
export interface Sighting {
  /** graphile-worker's `locked_by`. */
  readonly poolId: string;
  /** Its last heartbeat in epoch milliseconds of the database's clock: a value that changes, not a time to compare. */
  readonly beat: string;
  /** How long ago that was, in ms of the database's clock. */
  readonly ageMs: number;
  /** Whether its session, and with it its lock, is there. */
  readonly locked: boolean;
}

export interface Beat {
  /** Which session beat: another than the last one means that the connection was lost between. */
  readonly session: number;
  /** Own pools that were unknown: new ones, and those that peers took for dead and buried. */
  readonly fresh: readonly string[];
  readonly peers: readonly Sighting[];
}

/** What a pool is doing, for people. */
export interface Load {
  /** Attempts in flight. */
  readonly running: number;
  /** Attempts that may be in flight. */
  readonly concurrency: number;
}

/**
 * Reports in for `own` pools and looks at all others, in one statement on the single connection of `client`. Takes the
 * locks of pools that this session does not hold yet, or lost with its connection.
 */
export async function beat(
  client: postgres.Sql,
  own: readonly string[],
  loadOf: (poolId: string) => Load = () => ({ running: 0, concurrency: 0 }),
): Promise<Beat> {
  const name = `${hostname()}/${process.pid}`;
  const loads = own.map((poolId) => ({ poolId, ...loadOf(poolId) }));
  const rows = await client<(Sighting & { session: number; own: boolean; fresh: boolean; held: boolean })[]>`
    with locks as materialized (
      select classid::bigint << 32 | objid::bigint as key, bool_or(pid = pg_backend_pid()) as held
        from pg_locks
        where locktype = 'advisory' and objsubid = 1 and granted
          and database = (select oid from pg_database where datname = current_database())
        group by 1
    ),
    reported as (
      insert into herald.workers (pool_id, name, running, concurrency)
        select o."poolId", ${name}, o.running, o.concurrency
          from json_to_recordset(${JSON.stringify(loads)}::text::json)
            as o("poolId" text, running integer, concurrency integer)
        on conflict (pool_id) do update set
          heartbeat_at = clock_timestamp(), running = excluded.running, concurrency = excluded.concurrency
        returning pool_id, xmax = 0 as fresh
    ),
    seen as (
      select pool_id, true as own, fresh, '' as beat, 0::float8 as age from reported
      union all
      select
          w.pool_id, false, false, ((extract(epoch from w.heartbeat_at) * 1000)::bigint)::text,
          (extract(epoch from clock_timestamp() - w.heartbeat_at) * 1000)::float8
        from herald.workers w
        where not exists (select from reported r where r.pool_id = w.pool_id)
    )
    select
        pg_backend_pid() as session, s.pool_id as "poolId", s.own, s.fresh, s.beat, s.age as "ageMs",
        l.key is not null as locked, coalesce(l.held, false) as held
      from (select) as always
      left join seen s on true
      left join locks l on l.key = hashtextextended(${LOCK_NAME} || s.pool_id, 0)`;
  const mine = rows.filter((row) => row.own);
  for (const { poolId, held } of mine) {
    // Where it is not to be had, a session of ours that broke has not ended yet: the next beat tries again.
    if (!held) await client`select pg_try_advisory_lock(hashtextextended(${LOCK_NAME + poolId}, 0))`;
  }
  return {
    session: rows[0]?.session ?? 0,
    fresh: mine.filter((row) => row.fresh).map(({ poolId }) => poolId),
    peers: rows
      .filter((row) => row.own === false)
      .map(({ poolId, beat: value, ageMs, locked }) => ({ poolId, beat: value, ageMs, locked })),
  };
}

/** Signs off; not where jobs are left, which are then taken over as a dead process' are. */
export async function signOff(client: postgres.Sql, poolId: string): Promise<void> {
  await client`
    delete from herald.workers
      where pool_id = ${poolId}
        and not exists (select from graphile_worker._private_jobs where locked_by = ${poolId})`;
}

/**
 * When the first waiting job that is due after `since` (by default now) falls due, and what time the database has: all
 * epoch milliseconds; null where none is planned.
 */
export async function readNextDue(
  db: Database,
  since: number | null,
): Promise<{ readonly due: number | null; readonly now: number }> {
  // All our jobs have priority 0, so this is one step into the queue's own index (priority, run_at).
  const [row] = await db.execute<{ due: number | null; now: number }>(sql`
    select
        (extract(epoch from clock_timestamp()) * 1000)::float8 as now,
        (select (extract(epoch from nullif(min(j.run_at), 'infinity')) * 1000)::float8
          from graphile_worker._private_jobs j
          where j.is_available and j.priority = 0 and j.run_at > coalesce(to_timestamp(${since}::float8 / 1000), now())) as due`);
  if (row === undefined) throw new Error('reading the clock returned no row');
  return row;
}

/** A worker process, for people. */
export interface WorkerRow extends Load {
  readonly name: string;
  readonly startedAt: Date;
  readonly heartbeatAt: Date;
}

/** Processes that reported in within half a minute, after which the others take one for dead. */
export async function listWorkers(db: Executor): Promise<readonly WorkerRow[]> {
  const rows = await db.execute<{
    name: string;
    started: string;
    beat: string;
    running: number;
    concurrency: number;
  }>(sql`
    select
        w.name, min(w.started_at) as started, max(w.heartbeat_at) as beat, sum(w.running)::int as running,
        max(w.concurrency) as concurrency
      from herald.workers w
      where w.heartbeat_at > now() - interval '30 seconds'
      group by w.name
      order by w.name`);
  return rows.map(({ name, started, beat: at, running, concurrency }) => ({
    ...{ name, running, concurrency },
    startedAt: new Date(started),
    heartbeatAt: new Date(at),
  }));
}
