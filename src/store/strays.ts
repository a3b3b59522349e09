/**
 * The net under all races between people who pause, resume and update triggers and deliveries that end at the same
 * moment: whatever an unlucky order left without a job, or a crash left unmoved or in a line that nobody calls, is found
 * again. So is what a fault of ours left in a state in which graphile-worker would not look at it.
 */
import { sql } from 'drizzle-orm';
import { type Database, inTransaction } from './database.ts';
import { changeMaxAttempts, findUnmoved, isJobWaiting, moveInvocations } from './trigger-invocations.ts';
import { callFromLine, findLines } from './waiting-lines.ts';

/** Due for longer than this in seconds and without a job, an invocation is a stray. */
const OVERDUE_SECONDS = 30;
/** Overdue invocations looked at in one round; a backlog is walked through round by round. */
const ROUND = 1000;

/** Where the last round ended; null starts from the oldest. */
export interface StrayCursor {
  readonly dueAt: string;
  readonly id: string;
}

/**
 * Plans jobs for overdue invocations that have none, frees those that a process unknown to us has locked (it died before
 * it signed on, or after it signed off), gives jobs another go whose attempts were used up by faults of ours, and removes
 * those that have a successor.
 */
export async function adoptStrays(
  db: Database,
  cursor: StrayCursor | null,
): Promise<{ readonly adopted: number; readonly cursor: StrayCursor | null }> {
  const after = cursor ?? { dueAt: '-infinity', id: '00000000-0000-0000-0000-000000000000' };
  const [row] = await db.execute<{
    adopted: number;
    seen: number;
    due_at: string | null;
    id: string | null;
  }>(sql`
    with overdue as materialized (
      select i.id, i.next_attempt_at, greatest(i.max_attempts - i.attempt_count, 1) as jobs_left
        from herald.invocations i
        where i.status not in ('SUCCEEDED', 'FAILED', 'CANCELLED')
          and i.next_attempt_at < now() - make_interval(secs => ${OVERDUE_SECONDS})
          and (i.next_attempt_at, i.id) > (${after.dueAt}::timestamptz, ${after.id}::uuid)
        order by i.next_attempt_at, i.id
        limit ${ROUND}
    ),
    strays as materialized (
      select o.id, o.jobs_left from overdue o
        where not exists (
          select from graphile_worker._private_jobs j where j.key = o.id::text and j.run_at < 'infinity')
    ),
    orphans as (
      update graphile_worker._private_jobs j
        set locked_by = null, locked_at = null, attempts = greatest(0, j.attempts - 1), updated_at = now()
        from overdue o
        where j.key = o.id::text and j.locked_at < now() - make_interval(secs => ${OVERDUE_SECONDS})
          and not exists (select from herald.workers w where w.pool_id = j.locked_by)
        returning j.id
    ),
    -- Others may keep jobs of their own, also such that have failed for good, in the same queue.
    used_up as materialized (
      select j.id, j.key is null as replaced from graphile_worker._private_jobs j
        where j.locked_at is null and j.attempts >= j.max_attempts
          and j.task_id = (select t.id from graphile_worker._private_tasks t where t.identifier = 'deliver')
    ),
    stranded as (
      update graphile_worker._private_jobs j
        set attempts = j.max_attempts - 1, updated_at = now()
        from used_up u
        where j.id = u.id and not u.replaced and j.locked_at is null
        returning j.id
    ),
    -- Replaced while it ran, and failed all the same: its result had been recorded by a try that nobody heard of.
    replaced as (
      delete from graphile_worker._private_jobs j using used_up u
        where j.id = u.id and u.replaced and j.locked_at is null
    ),
    adopted as (
      select count(*)::int as count from graphile_worker.add_jobs((
        select array_agg((
              'deliver', json_build_object('invocation', s.id), null, now(), s.jobs_left, s.id::text, null, null
            )::graphile_worker.job_spec)
          from strays s
      ))
    ),
    last as (
      select o.next_attempt_at, o.id from overdue o order by o.next_attempt_at desc, o.id desc limit 1
    )
    select a.count + (select count(*)::int from orphans) + (select count(*)::int from stranded) as adopted, (select count(*)::int from overdue) as seen, l.next_attempt_at::text as due_at, l.id
      from adopted a
      left join last l on true`);
  const more = row !== undefined && row.seen === ROUND && row.due_at !== null && row.id !== null;
  return { adopted: row?.adopted ?? 0, cursor: more ? { dueAt: row.due_at ?? '', id: row.id ?? '' } : null };
}

/** How long one round of moving and calling may take, in ms: stopping waits for it. */
const ROUND_MS = 2000;
/** How many of a line are called that perhaps nobody knows any more: whoever gets them learns of the line. */
const CALL_SIZE = 2;

/**
 * Calls somebody from every waiting line. A process that ends takes along what it knew of lines, so this is for whoever
 * learns that one has ended, or ends.
 */
export async function callStrays(db: Database): Promise<void> {
  const lines = await findLines(db);
  if (lines.length === 0) return;
  await callFromLine(
    db,
    lines.map((triggerId) => ({ triggerId, count: CALL_SIZE })),
  );
}

/**
 * Moves invocations that do not match their trigger's row, where whoever changed the trigger could not finish. Returns
 * how many were moved.
 */
export async function releaseStrays(db: Database): Promise<number> {
  const until = performance.now() + ROUND_MS;
  let total = 0;
  for (const triggerId of await findUnmoved(db)) {
    while (performance.now() < until && (await inTransaction(db, (tx) => changeMaxAttempts(tx, triggerId))));
    while (performance.now() < until) {
      const { moved, middleJob } = await inTransaction(db, (tx) => moveInvocations(tx, triggerId));
      total += moved;
      if (moved === 0 || (middleJob !== null && (await isJobWaiting(db, middleJob)))) break;
    }
  }
  return total;
}
