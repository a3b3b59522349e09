/**
 * What becomes of a trigger's unfinished invocations, and of their jobs, when people change the trigger. There may be
 * hundreds of thousands, so they are moved in chunks. What remains to be moved is what does not match the trigger's
 * row, so a crash loses nothing: PAUSED with waiting ones, ACTIVE with held ones, deleted with unfinished ones.
 */
import { type SQL, sql } from 'drizzle-orm';
import { MAX_ATTEMPTS } from '../domain/invocation.ts';
import type { Executor, Transaction } from './database.ts';
import { type Chunk, cancel, move, readByIndex } from './invocation-moves.ts';

/** Invocations moved in one transaction: some 50 ms, which people who change the trigger meanwhile wait for. */
export const CHUNK_SIZE = 1000;

const NOTHING: Chunk = { moved: 0, middleJob: null };

/** Moves the next invocations of the trigger to where its row says they belong. */
export async function moveInvocations(tx: Transaction, triggerId: string): Promise<Chunk> {
  await readByIndex(tx);
  // Locked, so that nobody pauses while others are let go; the next statement sees what the lock waited for.
  const [trigger] = await tx.execute<{ status: string; cancelled: boolean }>(sql`
    select t.status, t.pending_policy is not distinct from 'CANCEL' as cancelled
      from herald.triggers t
      where t.id = ${triggerId}
      for share of t`);
  if (trigger === undefined) return NOTHING;
  if (trigger.cancelled) return cancelInvocations(tx, triggerId);
  if (trigger.status === 'PAUSED') return holdInvocations(tx, triggerId);
  return trigger.status === 'ACTIVE' ? releaseInvocations(tx, triggerId) : NOTHING;
}

/** Whether a due job has not been fetched yet. */
export async function isJobWaiting(db: Executor, key: string): Promise<boolean> {
  const rows = await db.execute(sql`
    select from graphile_worker._private_jobs j
      where j.key = ${key} and j.locked_at is null and j.run_at <= now()`);
  return rows.length > 0;
}

export async function countHeld(db: Executor, triggerId: string): Promise<number> {
  return count(db, sql`i.trigger_id = ${triggerId} and i.next_attempt_at is null and i.status = 'HELD'`);
}

export async function countUnfinished(db: Executor, triggerId: string): Promise<number> {
  return count(db, sql`i.trigger_id = ${triggerId} and i.status not in ('SUCCEEDED', 'FAILED', 'CANCELLED')`);
}

/** Triggers whose row and invocations do not match; those who change a trigger see to it, this is the net. */
export async function findUnmoved(db: Executor): Promise<readonly string[]> {
  const rows = await db.execute<{ id: string }>(sql`
    select t.id from herald.triggers t
      where
        (t.status = 'ACTIVE' and exists (
          select from herald.invocations i
            where i.trigger_id = t.id and i.next_attempt_at is null and i.status = 'HELD'))
        or (t.status = 'PAUSED' and exists (
          select from herald.invocations i
            where i.trigger_id = t.id and i.next_attempt_at is not null
              and i.status not in ('SUCCEEDED', 'FAILED', 'CANCELLED')))
        -- Nothing is added to a trigger that is gone for long.
        or (t.pending_policy = 'CANCEL' and t.deleted_at > now() - interval '1 day' and exists (
          select from herald.invocations i
            where i.trigger_id = t.id and i.status not in ('SUCCEEDED', 'FAILED', 'CANCELLED')))
    union
    select c.trigger_id from herald.retry_changes c`);
  return rows.map(({ id }) => id);
}

/** Notes that unfinished invocations are to get as many attempts as the trigger's new number of retries allows. */
export async function noteRetriesChange(
  tx: Transaction,
  triggerId: string,
  difference: number,
): Promise<void> {
  await tx.execute(sql`
    insert into herald.retry_changes (trigger_id, difference, done_to, made_at)
    values (${triggerId}, ${difference}, '00000000-0000-0000-0000-000000000000', clock_timestamp())`);
}

/**
 * Holds waiting invocations, the next due ones first: their jobs leave the queue, to `infinity`. Those whose attempt is
 * in flight are held when it ends (`settle`).
 */
async function holdInvocations(tx: Transaction, triggerId: string): Promise<Chunk> {
  return move(
    tx,
    sql`
      select i.id, i.status, i.next_attempt_at, null::timestamptz as at, 0 as place
        from herald.invocations i
        where i.trigger_id = ${triggerId} and i.next_attempt_at is not null and i.status in ('PENDING', 'RETRYING')
        order by i.next_attempt_at, i.id
        limit ${CHUNK_SIZE}
        for update skip locked`,
    { set: sql`status = 'HELD', next_attempt_at = null`, runAt: sql`'infinity'::timestamptz` },
  );
}

/**
 * Lets held invocations go in the order in which they were queued, at their due time where that is still ahead. Those
 * that are due come a microsecond apart in the order of their due times, which is the order in which they are fetched.
 */
async function releaseInvocations(tx: Transaction, triggerId: string): Promise<Chunk> {
  return move(
    tx,
    sql`
      select
          h.id, h.status, h.next_attempt_at,
          greatest(
            date_trunc('milliseconds', clock_timestamp()),
            -- What was attempted, or asked for before its time, waits for it no more.
            case when h.attempt_count = 0 and h.manual_attempt is null then h.due_at end) as at,
          row_number() over (order by h.due_at, h.id) as place
        from (
          select i.id, i.status, i.next_attempt_at, i.attempt_count, i.manual_attempt, e.due_at
            from herald.invocations i
            join herald.events e on e.id = i.event_id
            where i.trigger_id = ${triggerId} and i.next_attempt_at is null and i.status = 'HELD'
            -- The index's order; there is no next attempt.
            order by i.next_attempt_at, i.id
            limit ${CHUNK_SIZE}
            for update of i skip locked
        ) h`,
    {
      set: sql`status = 'PENDING', next_attempt_at = b.at`,
      runAt: sql`m.next_attempt_at + m.place * interval '1 microsecond'`,
    },
  );
}

/** Cancels unfinished invocations, the next due ones first, and takes their jobs away. */
async function cancelInvocations(tx: Transaction, triggerId: string): Promise<Chunk> {
  const moved = await cancel(
    tx,
    sql`
      select i.id, i.status, i.next_attempt_at from herald.invocations i
        where i.trigger_id = ${triggerId} and i.status not in ('SUCCEEDED', 'FAILED', 'CANCELLED')
        order by i.next_attempt_at, i.id
        limit ${CHUNK_SIZE}
        for update skip locked`,
  );
  return { moved, middleJob: null };
}

/** Gives the next invocations what the oldest change of retries says. Returns whether there is more to do. */
export async function changeMaxAttempts(tx: Transaction, triggerId: string): Promise<boolean> {
  await readByIndex(tx);
  const [row] = await tx.execute<{ count: number }>(sql`
    with change as materialized (
      select c.* from herald.retry_changes c where c.trigger_id = ${triggerId} order by c.id limit 1
        for update skip locked
    ),
    reached as materialized (
      select i.id
        from change c
        join herald.invocations i
          on i.trigger_id = c.trigger_id and i.id > c.done_to and i.created_at <= c.made_at
        order by i.id
        limit ${CHUNK_SIZE}
    ),
    changed as (
      update herald.invocations i
        set max_attempts = greatest(least(i.max_attempts + c.difference, ${MAX_ATTEMPTS}), i.attempt_count + 1)
        from change c, reached r
        where i.id = r.id and i.status not in ('SUCCEEDED', 'FAILED', 'CANCELLED')
    ),
    counted as materialized (
      select count(*)::int as count from reached
    ),
    gone_on as (
      update herald.retry_changes rc
        set done_to = (select r.id from reached r order by r.id desc limit 1)
        from change c, counted n
        where rc.id = c.id and n.count = ${CHUNK_SIZE}
    ),
    done as (
      delete from herald.retry_changes rc
        using change c, counted n
        where rc.id = c.id and n.count < ${CHUNK_SIZE}
    )
    select n.count from counted n, change`);
  return row !== undefined;
}

async function count(db: Executor, condition: SQL): Promise<number> {
  const [row] = await db.execute<{ count: number }>(
    sql`select count(*)::int as count from herald.invocations i where ${condition}`,
  );
  return row?.count ?? 0;
}
