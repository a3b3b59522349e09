/** What becomes of a trigger's unfinished invocations, and of their jobs, when people change the trigger. */
import { and, eq, type SQL, sql } from 'drizzle-orm';
import type { Transaction } from './database.ts';
import { invocations } from './schema.ts';

/**
 * Holds the trigger's waiting invocations: their jobs move out of the way, to `infinity`. Those whose attempt is in
 * flight are held when it ends (`settle`). Returns how many were held.
 */
export async function holdInvocations(tx: Transaction, triggerId: string): Promise<number> {
  return moveInvocations(tx, triggerId, {
    from: sql`('PENDING', 'RETRYING')`,
    set: sql`status = 'HELD', next_attempt_at = null`,
    runAt: sql`'infinity'::timestamptz`,
  });
}

/** Lets the trigger's held invocations go, at their due time where that is still ahead. Returns how many. */
export async function releaseInvocations(tx: Transaction, triggerId: string): Promise<number> {
  return moveInvocations(tx, triggerId, {
    from: sql`('HELD')`,
    set: sql`status = 'PENDING', next_attempt_at = greatest(
      date_trunc('milliseconds', clock_timestamp()), (select e.due_at from herald.events e where e.id = i.event_id))`,
    runAt: sql`m.next_attempt_at`,
  });
}

/** Cancels the trigger's unfinished invocations and takes their jobs away. Returns how many. */
export async function cancelInvocations(tx: Transaction, triggerId: string): Promise<number> {
  const [row] = await tx.execute<{ count: number }>(sql`
    with before as materialized (
      select i.id, i.status, i.next_attempt_at from herald.invocations i
        where i.trigger_id = ${triggerId} and i.status not in ('SUCCEEDED', 'FAILED', 'CANCELLED')
        order by i.id
        for update
    ),
    moved as (
      update herald.invocations i
        set status = 'CANCELLED', next_attempt_at = null, finished_at = now(), updated_at = now()
        from before b
        where i.id = b.id
        returning i.id, i.event_id, i.trigger_id, i.status, i.next_attempt_at
    ),
    removed as (
      delete from graphile_worker._private_jobs j using moved m where j.key = m.id::text and j.locked_at is null
    ),
    ${recordChanges}
    select (select count(*)::int from moved) as count, herald.announce()`);
  return row?.count ?? 0;
}

/** Gives the trigger's unfinished invocations as many attempts as its new number of retries allows. */
export async function changeMaxAttempts(
  tx: Transaction,
  triggerId: string,
  difference: number,
): Promise<void> {
  await tx
    .update(invocations)
    .set({
      maxAttempts: sql`greatest(${invocations.maxAttempts} + ${difference}, ${invocations.attemptCount} + 1)`,
    })
    .where(
      and(
        eq(invocations.triggerId, triggerId),
        sql`${invocations.status} not in ('SUCCEEDED', 'FAILED', 'CANCELLED')`,
      ),
    );
}

/** What `before` and `moved` did, as a row of herald.changes. */
const recordChanges = sql`
    recorded as (
      insert into herald.changes (entries)
      select json_agg(json_build_object(
            'kind', 'INVOCATION', 'event', m.event_id, 'invocation', m.id, 'trigger', m.trigger_id,
            'project', e.project, 'type', e.type,
            'from', case when b.status <> 'PENDING' then b.status
              when b.next_attempt_at > now() then 'SCHEDULED' else 'QUEUED' end,
            'to', case when m.status <> 'PENDING' then m.status
              when m.next_attempt_at > clock_timestamp() then 'SCHEDULED' else 'QUEUED' end,
            'attempt', null))::text
        from moved m
        join before b on b.id = m.id
        join herald.events e on e.id = m.event_id
        having count(*) > 0
    )`;

async function moveInvocations(
  tx: Transaction,
  triggerId: string,
  move: { readonly from: SQL; readonly set: SQL; readonly runAt: SQL },
): Promise<number> {
  const [row] = await tx.execute<{ count: number }>(sql`
    with before as materialized (
      select i.id, i.status, i.next_attempt_at from herald.invocations i
        where i.trigger_id = ${triggerId} and i.status in ${move.from}
        order by i.id
        for update
    ),
    moved as (
      update herald.invocations i set ${move.set}, updated_at = now()
        from before b
        where i.id = b.id
        returning i.id, i.event_id, i.trigger_id, i.status, i.next_attempt_at, i.max_attempts - i.attempt_count as left
    ),
    -- A job whose attempt is in flight keeps its row; settle re-plans it.
    planned as (
      update graphile_worker._private_jobs j
        set run_at = ${move.runAt}, attempts = 0, max_attempts = greatest(m.left, 1), updated_at = now()
        from moved m
        where j.key = m.id::text and j.locked_at is null
    ),
    ${recordChanges}
    select (select count(*)::int from moved) as count,
      herald.announce((select min(m.next_attempt_at) from moved m))`);
  return row?.count ?? 0;
}
