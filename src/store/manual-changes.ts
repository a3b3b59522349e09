/** What people do to single invocations and events. The rows that it is decided on are locked until it is done. */
import { eq, getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { Transaction } from './database.ts';
import type { EventRow } from './events.ts';
import { cancel, FINAL_LIST, move, readByIndex, renew } from './invocation-moves.ts';
import type { InvocationRow } from './invocations.ts';
import { events, invocations, triggers } from './schema.ts';
import type { TriggerRow } from './triggers.ts';

export interface LockedInvocation {
  readonly invocation: InvocationRow;
  /** Whether its next attempt is due already. */
  readonly isDue: boolean;
  /** It does not change meanwhile. */
  readonly trigger: TriggerRow;
  readonly event: Pick<EventRow, 'project' | 'type'> & { readonly hasData: boolean };
}

/**
 * Locks an invocation; null where there is none. First its trigger, so that nobody pauses it meanwhile, and its event,
 * so that retention does not remove it (retention.ts).
 */
export async function lockInvocation(tx: Transaction, id: string): Promise<LockedInvocation | null> {
  const [found] = await tx
    .select({ triggerId: invocations.triggerId, eventId: invocations.eventId })
    .from(invocations)
    .where(eq(invocations.id, id));
  if (found === undefined) return null;
  const [trigger] = await tx.select().from(triggers).where(eq(triggers.id, found.triggerId)).for('share');
  const [event] = await tx
    .select({
      project: events.project,
      type: events.type,
      hasData: sql<boolean>`${events.data} is not null`,
    })
    .from(events)
    .where(eq(events.id, found.eventId))
    .for('share');
  const [locked] = await tx
    .select({
      invocation: getTableColumns(invocations),
      isDue: sql<boolean>`coalesce(${invocations.nextAttemptAt} <= clock_timestamp(), false)`,
    })
    .from(invocations)
    .where(eq(invocations.id, id))
    .for('update');
  if (trigger === undefined || event === undefined || locked === undefined) return null;
  return { ...locked, trigger, event };
}

/**
 * Locks the triggers of an event's invocations against being paused or resumed, before the event is locked: who lets
 * held invocations go reads when their events are due, and would go by what was true before.
 */
export async function lockTriggersOf(tx: Transaction, eventId: string): Promise<void> {
  await tx.execute(sql`
    select from herald.triggers t
      where t.id in (select i.trigger_id from herald.invocations i where i.event_id = ${eventId})
      order by t.id
      for no key update`);
}

export interface LockedEvent {
  readonly event: EventRow;
  /** In the order in which they were made. */
  readonly invocations: readonly InvocationRow[];
  /** Whether a worker has one of them in its hands: its attempt may begin at any moment, or be in flight. */
  readonly isTaken: boolean;
}

/** Locks an event, its invocations and their jobs, so that no worker takes one of them; null where there is none. */
export async function lockEvent(tx: Transaction, id: string): Promise<LockedEvent | null> {
  await readByIndex(tx);
  const [event] = await tx.select().from(events).where(eq(events.id, id)).for('update');
  if (event === undefined) return null;
  const rows = await tx
    .select()
    .from(invocations)
    .where(eq(invocations.eventId, id))
    .orderBy(invocations.id)
    .for('update');
  const [jobs] = await tx.execute<{ taken: boolean }>(sql`
    select coalesce(bool_or(j.locked_at is not null), false) as taken
      from (
        select j.locked_at from graphile_worker._private_jobs j
          where j.key = any(array(select i.id::text from herald.invocations i where i.event_id = ${id}))
          for update
      ) j`);
  return { event, invocations: rows, isTaken: jobs?.taken === true };
}

/** Plans the next attempt of an invocation, whose row is locked, for now; `allowed` is how many it may have in all. */
export async function attemptNow(tx: Transaction, id: string, allowed: number): Promise<void> {
  await renew(
    tx,
    sql`
      select i.id, i.status, i.next_attempt_at, clock_timestamp() as at, ${allowed}::int as allowed
        from herald.invocations i
        where i.id = ${id}`,
  );
}

/** Gives an invocation, whose row is locked, its retries back: so many attempts in all, and the first delays again. */
export async function resetRetries(tx: Transaction, id: string, maxAttempts: number): Promise<void> {
  await tx
    .update(invocations)
    .set({ maxAttempts, attemptsBeforeReset: sql`${invocations.attemptCount}`, updatedAt: sql`now()` })
    .where(eq(invocations.id, id));
}

/** Cancels an invocation that is not finished. */
export async function cancelInvocation(tx: Transaction, id: string): Promise<void> {
  await cancelWhere(tx, sql`i.id = ${id}`);
}

/** Cancels the unfinished invocations of an event. Returns how many. */
export async function cancelInvocationsOf(tx: Transaction, eventId: string): Promise<number> {
  return cancelWhere(tx, sql`i.event_id = ${eventId}`);
}

async function cancelWhere(tx: Transaction, condition: SQL): Promise<number> {
  await readByIndex(tx);
  return cancel(
    tx,
    sql`
      select i.id, i.status, i.next_attempt_at from herald.invocations i
        where ${condition} and i.status not in (${FINAL_LIST})
        order by i.id
        for update`,
  );
}

/** When an event is to be due: `delay` seconds after `timestamp`, null for now, by the database's clock. */
export interface DueTime {
  readonly timestamp: Date | null;
  readonly delay: number;
}

/** Moves a locked event, of which no attempt was made, to another due time; what is held stays held. */
export async function moveEvent(tx: Transaction, id: string, due: DueTime): Promise<EventRow> {
  const timestamp = due.timestamp?.toISOString() ?? null;
  const [event] = await tx
    .update(events)
    .set({
      // As `herald.queue_events` has it: whole milliseconds, not before now.
      dueAt: sql`date_trunc('milliseconds', greatest(
        clock_timestamp(),
        coalesce(${timestamp}::timestamptz, clock_timestamp()) + ${due.delay}::float8 * interval '1 second'))`,
    })
    .where(eq(events.id, id))
    .returning();
  if (event === undefined) throw new Error(`event ${id} vanished while its row was locked`);
  await move(
    tx,
    sql`
      select i.id, i.status, i.next_attempt_at, ${event.dueAt.toISOString()}::timestamptz as at, 0 as place
        from herald.invocations i
        where i.event_id = ${id} and i.status in ('PENDING', 'HELD')
        order by i.id
        for update`,
    {
      set: sql`next_attempt_at = case i.status when 'PENDING' then b.at end`,
      runAt: sql`coalesce(m.next_attempt_at, 'infinity')`,
    },
  );
  return event;
}
