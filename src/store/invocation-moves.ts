/**
 * Invocations that change other than by being delivered: the state, the job and the announcement in one statement. A
 * job whose attempt may be in flight keeps its row, and the end of that attempt finds what the invocation has become.
 */
import { type SQL, sql } from 'drizzle-orm';
import { FINAL_STATES } from '../domain/invocation.ts';
import { wordList } from './arrays.ts';
import type { Transaction } from './database.ts';

/** The final states, for `in (…)`. */
export const FINAL_LIST = sql.raw(wordList(FINAL_STATES));

/** Invocations that were moved together. */
export interface Chunk {
  readonly moved: number;
  /** The job that stands in the middle of those which are due now; null where none is. */
  readonly middleJob: string | null;
}

/** Each is looked up by itself. Statistics of tables that grew a moment ago let the planner read them whole. */
export async function readByIndex(tx: Transaction): Promise<void> {
  await tx.execute(sql`
    select set_config(name, 'off', true) from unnest(array['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin']) name`);
}

/** Cancels those that `before` selects (`id`, `status`, `next_attempt_at`, locked). Returns how many. */
export async function cancel(tx: Transaction, before: SQL): Promise<number> {
  const [row] = await tx.execute<{ count: number }>(sql`
    with before as materialized (${before}),
    moved as (
      update herald.invocations i
        set status = 'CANCELLED', next_attempt_at = null, finished_at = now(), updated_at = now()
        from before b
        where i.id = b.id
        returning i.id, i.status, i.next_attempt_at, b.status as old_status,
          b.next_attempt_at as old_next_attempt_at
    ),
    removed as (
      delete from graphile_worker._private_jobs j using moved m
        where j.key = m.id::text and j.locked_at is null
        returning j.key
    ),
    ${giveTurnsBack(sql`removed`)},
    ${recordChanges}
    select c.count, case when c.count > 0 then herald.announce() end
      from (select count(*)::int as count from moved) c`);
  return row?.count ?? 0;
}

/**
 * Moves those that `before` selects (the same, and `at` and `place`, for `to`) to another state or time, and their jobs
 * with them.
 */
export async function move(
  tx: Transaction,
  before: SQL,
  to: { readonly set: SQL; readonly runAt: SQL },
): Promise<Chunk> {
  const [row] = await tx.execute<{ count: number; middle: string | null }>(sql`
    with before as materialized (${before}),
    moved as (
      update herald.invocations i set ${to.set}, updated_at = now()
        from before b
        where i.id = b.id
        returning i.id, i.status, i.next_attempt_at, b.status as old_status,
          b.next_attempt_at as old_next_attempt_at, b.place, i.max_attempts - i.attempt_count as left
    ),
    -- A job whose attempt is in flight keeps its row; settle re-plans it. One that stood in line leaves it.
    planned as (
      update graphile_worker._private_jobs j
        set
          run_at = ${to.runAt}, attempts = 0, max_attempts = greatest(m.left, 1), updated_at = now(),
          payload = (j.payload::jsonb - '{begun,turn,waits}'::text[])::json
        from moved m
        where j.key = m.id::text and j.locked_at is null
        returning j.key, j.run_at
    ),
    ${giveTurnsBack(sql`planned`)},
    due as (
      select p.key, row_number() over (order by p.run_at) as place, count(*) over () as count
        from planned p
        where p.run_at <= clock_timestamp() + interval '10 milliseconds'
    ),
    ${recordChanges}
    select c.count, (select d.key from due d where d.place = (d.count + 1) / 2) as middle,
        case when c.count > 0 then herald.announce((select min(m.next_attempt_at) from moved m)) end
      from (select count(*)::int as count from moved) c`);
  return { moved: row?.count ?? 0, middleJob: row?.middle ?? null };
}

/**
 * Plans the next attempts of those that `before` selects (the same, `at`, and `allowed`, the attempts that each may have
 * in all), and notes that somebody asked for them. The new jobs take the place of those that are planned, or are still
 * being written off. Returns how many.
 */
export async function renew(tx: Transaction, before: SQL): Promise<number> {
  const [row] = await tx.execute<{ count: number }>(sql`
    with before as materialized (${before}),
    moved as (
      update herald.invocations i
        set
          status = case b.status when 'FAILED' then 'PENDING' else b.status end, failure_reason = null,
          finished_at = null, next_attempt_at = date_trunc('milliseconds', b.at), max_attempts = b.allowed,
          manual_attempt = i.attempt_count + 1, updated_at = now()
        from before b
        where i.id = b.id
        returning i.id, i.status, i.next_attempt_at, i.max_attempts - i.attempt_count as left,
          b.status as old_status, b.next_attempt_at as old_next_attempt_at
    ),
    planned as (
      select count(*) from graphile_worker.add_jobs((
        select array_agg((
              'deliver',
              -- How often it was lost with dead processes stays known (rescue.ts).
              coalesce(
                (select (j.payload::jsonb - '{begun,turn,waits}'::text[])::json
                  from graphile_worker._private_jobs j where j.key = m.id::text),
                json_build_object('invocation', m.id)),
              null, m.next_attempt_at, m.left, m.id::text, null, null
            )::graphile_worker.job_spec)
          from moved m))
    ),
    ${recordChanges}
    select c.count, case when c.count > 0 then herald.announce((select min(m.next_attempt_at) from moved m)) end
      from (select count(*)::int as count from moved) c, planned`);
  return row?.count ?? 0;
}

/**
 * Turns that jobs, named by the column `key` of `those`, were given in line and do not take: the next one's. Whoever has
 * a turn's row is clearing it away.
 */
const giveTurnsBack = (those: SQL) => sql`
    returned as (
      delete from herald.turns u
        where u.ctid = any(array(
          select t.ctid
            from ${those} g
            join herald.turns t on t.invocation_id = g.key::uuid
            for update of t skip locked))
    )`;

/** What `moved` did, as a row of herald.changes. */
const recordChanges = sql`
    recorded as (
      insert into herald.changes (entries)
      select string_agg(herald.invocation_change(
            m.id,
            case when m.old_status <> 'PENDING' then m.old_status
              when m.old_next_attempt_at > now() then 'SCHEDULED' else 'QUEUED' end,
            case when m.status <> 'PENDING' then m.status
              when m.next_attempt_at > clock_timestamp() then 'SCHEDULED' else 'QUEUED' end,
            null), '')
        from moved m
        having count(*) > 0
    )`;
