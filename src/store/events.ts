/** Events: queued through the one door, read by id, listed. */
import { and, eq, gte, inArray, lt, or, type SQL, sql } from 'drizzle-orm';
import type { EventStatus, InvocationCounts, NewEvent } from '../domain/event.ts';
import { FINAL_STATES } from '../domain/invocation.ts';
import { idArray } from './arrays.ts';
import { type Database, type Executor, inTransaction, limitWaitForLocks } from './database.ts';
import { sqlState } from './database-errors.ts';
import { type CappedCount, countRows, type Page, type PageArgs, readPage, type Sort } from './pages.ts';
import { prepareFind, runPrepared } from './prepared.ts';
import { type auditLog, events, invocations } from './schema.ts';

export type EventRow = typeof events.$inferSelect;

/** What became of one event of a batch (drizzle/0001_queue_event.sql, `herald.queue_events`). */
export interface QueuedEvent {
  readonly outcome: 'QUEUED' | 'DUPLICATE' | 'KEY_REUSED' | 'UNKNOWN_PROJECT';
  readonly eventId: string;
  readonly invocations: readonly { readonly id: string; readonly trigger: string }[];
  /** The event as it was stored; null where it was stored by an earlier call. */
  readonly event: EventRow | null;
}

interface QueuedRow {
  readonly outcome: QueuedEvent['outcome'];
  readonly id: string;
  readonly source: string;
  readonly received_at: string;
  readonly due_at: string;
  readonly invocations: string | null;
}

/** Queues `batch` in one statement; answers in its order. */
export async function queueEvents(db: Executor, batch: readonly NewEvent[]): Promise<readonly QueuedEvent[]> {
  const rows = await runPrepared<QueuedRow>(db, QUEUE_EVENTS, [JSON.stringify(batch)]);
  const answers = rows.map((row, index): QueuedEvent => {
    const invocations =
      row.invocations === null ? [] : (JSON.parse(row.invocations) as QueuedEvent['invocations']);
    const asked = row.outcome === 'QUEUED' ? batch[index] : undefined;
    const event = asked === undefined ? null : storedEvent(asked, row, invocations.length);
    return { outcome: row.outcome, eventId: row.id, invocations, event };
  });
  // The statement cannot see what it inserts itself: a repetition within the batch has its first one's invocations.
  const first = new Map(
    answers.filter(({ outcome }) => outcome === 'QUEUED').map((one) => [one.eventId, one.invocations]),
  );
  return answers.map((one) =>
    one.outcome === 'DUPLICATE' ? { ...one, invocations: first.get(one.eventId) ?? one.invocations } : one,
  );
}

const QUEUE_EVENTS = `
  select outcome, event_id as id, source, received_at, due_at, invocations::text as invocations
    from herald.queue_events($1::json)
    order by position`;

/** The row that was stored, without reading it back: one statement less for every event. */
function storedEvent(asked: NewEvent, row: QueuedRow, invocationCount: number): EventRow {
  const { project, type, data, origin, idempotencyKey, traceparent, tracestate } = asked;
  return {
    ...{
      id: row.id,
      project,
      type,
      source: row.source,
      data,
      origin,
      idempotencyKey,
      traceparent,
      tracestate,
    },
    dataSize: Buffer.byteLength(data),
    receivedAt: new Date(row.received_at),
    dueAt: new Date(row.due_at),
    replayOf: null,
    invocationCount,
  };
}

/** How long a call waits for somebody who is using the same idempotency key in an open transaction, in ms. */
export const KEY_WAIT_MS = 1500;

/** The same for events with idempotency keys. Errors: see `isKeyInUse`. */
export async function queueKeyedEvents(
  db: Database,
  batch: readonly NewEvent[],
): Promise<readonly QueuedEvent[]> {
  return inTransaction(db, async (tx) => {
    await limitWaitForLocks(tx, KEY_WAIT_MS);
    return queueEvents(tx, batch);
  });
}

/** Whether queueing failed as a transaction that stays open is using the same idempotency key. */
export function isKeyInUse(error: unknown): boolean {
  return sqlState(error) === 'HK001';
}

/** Events by id, in any order; missing ones are absent. */
export const findEvents = prepareFind(events);

export interface EventFilter {
  readonly id?: readonly string[] | null | undefined;
  readonly project?: string | null | undefined;
  /** Those the caller may see; null for all. */
  readonly projects?: readonly string[] | null | undefined;
  readonly type?: readonly string[] | null | undefined;
  readonly status?: readonly EventStatus[] | null | undefined;
  readonly receivedAt?: DateRange | null | undefined;
  readonly dueAt?: DateRange | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

/** Half-open: `from` is in, `to` is not. */
export interface DateRange {
  readonly from?: Date | null | undefined;
  readonly to?: Date | null | undefined;
}

export type EventOrderField = 'RECEIVED_AT' | 'DUE_AT';

export async function listEvents(
  db: Executor,
  filter: EventFilter,
  order: { readonly field: EventOrderField; readonly direction: 'ASC' | 'DESC' },
  args: PageArgs,
): Promise<Page<EventRow>> {
  return readPage(db, events, args, eventSort(order), eventCondition(filter));
}

export async function countEvents(db: Executor, filter: EventFilter): Promise<CappedCount> {
  return countRows(db, events, eventCondition(filter));
}

export interface EventProgressRow extends InvocationCounts {
  readonly eventId: string;
  /** When the last invocation finished; null before that. */
  readonly finishedAt: Date | null;
}

/** How far the invocations of each event are. Events without invocations are absent. */
export async function readProgress(
  db: Executor,
  eventIds: readonly string[],
): Promise<readonly EventProgressRow[]> {
  const inState = (...states: readonly (typeof invocations.$inferSelect)['status'][]) =>
    sql<number>`(count(*) filter (where ${inArray(invocations.status, [...states])}))::int`;
  const rows = await db
    .select({
      eventId: invocations.eventId,
      total: sql<number>`count(*)::int`,
      pending: inState('PENDING', 'HELD', 'RETRYING'),
      running: inState('RUNNING'),
      succeeded: inState('SUCCEEDED'),
      failed: inState('FAILED'),
      cancelled: inState('CANCELLED'),
      finishedAt: sql<Date | null>`max(${invocations.finishedAt})`.mapWith(invocations.finishedAt),
    })
    .from(invocations)
    .where(sql`${invocations.eventId} = any(${sql.param(idArray(eventIds))}::uuid[])`)
    .groupBy(invocations.eventId);
  return rows.map((row) => ({ ...row, finishedAt: row.pending + row.running > 0 ? null : row.finishedAt }));
}

/** The database's clock, which decides what is due. */
export async function readClock(db: Executor): Promise<Date> {
  const [row] = await db.execute<{ now: string }>(sql`select now() as now`);
  return new Date(row?.now ?? Number.NaN);
}

function eventSort({ field, direction }: { field: EventOrderField; direction: 'ASC' | 'DESC' }): Sort {
  const key = field === 'DUE_AT' ? { expression: sql`${events.dueAt}`, type: 'timestamptz' as const } : null;
  return { name: field, key, direction };
}

export function eventCondition(filter: EventFilter): SQL | undefined {
  return and(
    filter.id == null ? undefined : inArray(events.id, [...filter.id]),
    filter.project == null ? undefined : eq(events.project, filter.project),
    filter.projects == null ? undefined : inArray(events.project, [...filter.projects]),
    filter.type == null ? undefined : inArray(events.type, [...filter.type]),
    filter.status == null ? undefined : or(...filter.status.map(hasStatus), sql`false`),
    filter.idempotencyKey == null ? undefined : eq(events.idempotencyKey, filter.idempotencyKey),
    ...within(events.receivedAt, filter.receivedAt),
    ...within(events.dueAt, filter.dueAt),
  );
}

type DateColumn =
  | typeof events.dueAt
  | typeof events.receivedAt
  | typeof invocations.createdAt
  | typeof auditLog.at;

/** Conditions that keep `column` within `range`. */
export function within(
  column: DateColumn,
  range: DateRange | null | undefined,
): readonly (SQL | undefined)[] {
  return [
    range?.from == null ? undefined : gte(column, range.from),
    range?.to == null ? undefined : lt(column, range.to),
  ];
}

/**
 * `eventStatusOf` (domain/event.ts) as a condition. The status is not stored: that would cost every delivery an
 * update of its event; these semi-joins are served by the partial indexes on invocations.
 */
function hasStatus(status: EventStatus): SQL | undefined {
  const some = (condition: SQL) =>
    sql`exists (select from ${invocations} where ${invocations.eventId} = ${events.id} and ${condition})`;
  const unfinished = some(sql`${invocations.status} not in ${[...FINAL_STATES]}`);
  const touched = some(sql`${invocations.status} not in ('PENDING', 'HELD', 'RETRYING')`);
  const failed = some(sql`${invocations.status} = 'FAILED'`);
  const succeeded = some(sql`${invocations.status} = 'SUCCEEDED'`);
  const matched = sql`${events.invocationCount} > 0`;
  switch (status) {
    case 'UNMATCHED':
      return eq(events.invocationCount, 0);
    case 'SCHEDULED':
      return sql`${events.dueAt} > now() and ${unfinished} and not ${touched}`;
    case 'IN_PROGRESS':
      return sql`${unfinished} and (${events.dueAt} <= now() or ${touched})`;
    case 'FAILED':
      return sql`${failed} and not ${unfinished}`;
    case 'SUCCEEDED':
      return sql`${matched} and ${succeeded} and not ${failed} and not ${unfinished}`;
    case 'CANCELLED':
      return sql`${matched} and not ${succeeded} and not ${failed} and not ${unfinished}`;
  }
}
