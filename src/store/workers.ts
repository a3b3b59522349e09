/**
 * Which worker processes live. Each holds a session advisory lock, which Postgres lets go of within milliseconds of the
 * process' death, and beats; one that is stopped, or cut off without a word, keeps the lock but beats no more. Who is
 * dead is for the peers that watch it to say (worker/peers.ts), and what becomes of its jobs is in rescue.ts.
 */
import { hostname } from 'node:os';
import { sql } from 'drizzle-orm';
import type postgres from 'postgres';
import type { Database } from './database.ts';

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

/**
 * Reports in for `own` pools and looks at all others, in one statement on the single connection of `client`. Takes the
 * locks of pools that this session does not hold yet, or lost with its connection.
 */
export async function beat(client: postgres.Sql, own: readonly string[]): Promise<Beat> {
  const name = `${hostname()}/${process.pid}`;
  const rows = await client<(Sighting & { session: number; own: boolean; fresh: boolean; held: boolean })[]>`
    with locks as materialized (
      select classid::bigint << 32 | objid::bigint as key, bool_or(pid = pg_backend_pid()) as held
        from pg_locks
        where locktype = 'advisory' and objsubid = 1 and granted
          and database = (select oid from pg_database where datname = current_database())
        group by 1
    ),
    reported as (
      insert into herald.workers (pool_id, name)
        select pool_id, ${name} from json_array_elements_text(${JSON.stringify(own)}::text::json) as o(pool_id)
        on conflict (pool_id) do update set heartbeat_at = clock_timestamp()
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

/** A job to come back later: the invocation stays as it is, only its turn moves. */
export interface Postponement {
  readonly invocationId: string;
  readonly delayMs: number;
}

/**
 * Plans the jobs of deliveries that have no slot anew. The new job takes the key over, so the old one, which is still
 * locked, can end; what it counted is forgotten with it.
 */
export async function postponeJobs(db: Database, batch: readonly Postponement[]): Promise<void> {
  await db.execute(sql`
    with given as materialized (
      select * from json_to_recordset(${JSON.stringify(batch)}::json)
        as g("invocationId" uuid, "delayMs" double precision)
    ),
    planned as materialized (
      select i.id, clock_timestamp() + g."delayMs" * interval '1 millisecond' as run_at,
          greatest(i.max_attempts - i.attempt_count, 1) as jobs_left,
          -- Where it was lost with dead processes, it keeps that count (rescue.ts).
          coalesce(
            (select (j.payload::jsonb - 'begun')::json from graphile_worker._private_jobs j where j.key = i.id::text),
            json_build_object('invocation', i.id)) as payload
        from given g
        join herald.invocations i on i.id = g."invocationId"
        where i.finished_at is null
    ),
    added as (
      select count(*) from graphile_worker.add_jobs((
        select array_agg((
              'deliver', p.payload, null, p.run_at, p.jobs_left, p.id::text, null, null
            )::graphile_worker.job_spec)
          from planned p
      ))
    )
    select herald.announce((select min(p.run_at) from planned p)) from added`);
}
