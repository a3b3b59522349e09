/**
 * What jobs over many rows do, chunk by chunk in the order of the rows' ids. Each chunk and how far it came are one
 * transaction that holds the operation's row: whoever goes on after a crash, or at the same time, does nothing twice.
 * A chunk looks through so many rows at most, whatever it finds among them, so that it is short, and can be stopped. What
 * cannot be dealt with is skipped, and said.
 */
import { and, eq, getTableColumns, gt, inArray, isNull, lte, type SQL, sql } from 'drizzle-orm';
import { firstUuidOf } from '../domain/uuid.ts';
import { BULK_CHANGES, type Changed, type Chunk } from './bulk-changes.ts';
import { askedOf, type BulkOperationRow, findBulkOperation, ID_MARGIN_MS } from './bulk-operations.ts';
import { type Database, inTransaction, type Transaction, withinSavepoint } from './database.ts';
import { describeError, isOfData } from './database-errors.ts';
import { type EventFilter, eventCondition } from './events.ts';
import { FINAL_LIST } from './invocation-moves.ts';
import { invocationCondition } from './invocations.ts';
import { bulkOperations, events, invocations } from './schema.ts';

/** How long counting may take; what takes longer is not counted. */
const COUNT_TIMEOUT = '1500ms';

/** Counts what matches. Errors: 57014 where there is too much to count. */
export async function countMatched(db: Database, operation: BulkOperationRow): Promise<void> {
  const { table, among, condition, upTo } = rowsOf(operation);
  const matched = await inTransaction(db, async (tx) => {
    await tx.execute(sql`select set_config('statement_timeout', ${COUNT_TIMEOUT}, true)`);
    return tx.$count(table, and(among, condition, gt(table.id, operation.doneTo), lte(table.id, upTo)));
  });
  const all = matched + operation.processed + operation.skipped;
  await db
    .update(bulkOperations)
    .set({ matched: sql`coalesce(${bulkOperations.matched}, ${all})` })
    .where(eq(bulkOperations.id, operation.id));
}

export interface ChunkLimits {
  /** Rows at most that something is done to. */
  readonly size: number;
  /** Rows at most that are looked at. */
  readonly reach: number;
  /** Milliseconds between two of them. */
  readonly perRowMs: number;
}

/**
 * What came of a chunk. EARLY: its time has not come, as somebody else did the last one. LOCKED: others have its rows,
 * or the operation's.
 */
export type ChunkEnd = 'MORE' | 'DONE' | 'EARLY' | 'LOCKED' | 'NOT_OURS';

export interface ChunkResult {
  readonly end: ChunkEnd;
  /** To how many rows something was done. */
  readonly done: number;
  /** By how many milliseconds it is EARLY. */
  readonly earlyMs?: number;
  /** Rows that could not be dealt with, and why. */
  readonly refused?: readonly Refused[];
}

/** Does the next rows. */
export async function doChunk(db: Database, id: string, limits: ChunkLimits): Promise<ChunkResult> {
  return inTransaction(db, async (tx) => {
    const [operation] = await tx
      .select({
        ...getTableColumns(bulkOperations),
        earlyMs: sql<number>`extract(epoch from ${bulkOperations.nextAt} - now())::float8 * 1000`,
      })
      .from(bulkOperations)
      .where(and(eq(bulkOperations.id, id), eq(bulkOperations.status, 'RUNNING')))
      .for('update', { skipLocked: true });
    if (operation === undefined) {
      const isRunning = (await findBulkOperation(tx, id))?.status === 'RUNNING';
      return { end: isRunning ? 'LOCKED' : 'NOT_OURS', done: 0 };
    }
    if (operation.earlyMs > 0) return { end: 'EARLY', done: 0, earlyMs: operation.earlyMs };
    return workOn(tx, operation, limits);
  });
}

async function workOn(
  tx: Transaction,
  operation: BulkOperationRow,
  { size, reach, perRowMs }: ChunkLimits,
): Promise<ChunkResult> {
  const { table, among, condition, upTo, triggerIds } = rowsOf(operation);
  const inReach = and(gt(table.id, operation.doneTo), lte(table.id, upTo));
  const [edge] = await tx
    .select({ id: table.id })
    .from(table)
    .where(and(among, inReach))
    .orderBy(table.id)
    .limit(1)
    .offset(reach - 1);
  const rows = await tx
    .select({ id: table.id })
    .from(table)
    .where(and(among, condition, inReach, edge && lte(table.id, edge.id)))
    .orderBy(table.id)
    .limit(size);
  const ids = rows.map((row) => row.id);
  const chunk = { ids, size, perRowMs, triggerIds };
  const { done, left, moved, doneTo, refused } = await changeAll(tx, BULK_CHANGES[operation.kind], chunk);
  const skipped = ids.length - left - done;
  const isFull = ids.length === size;
  const more = left > 0 || isFull || edge !== undefined;
  const reached = isFull ? ids.at(-1) : (edge?.id ?? ids.at(-1));
  const [reason] = refused;
  await tx
    .update(bulkOperations)
    .set({
      processed: sql`${bulkOperations.processed} + ${done}`,
      // In the end also those that did not come any more, as their state had changed.
      skipped: more
        ? sql`${bulkOperations.skipped} + ${skipped}`
        : sql`greatest(
            ${bulkOperations.skipped} + ${skipped}, ${bulkOperations.matched} - ${bulkOperations.processed} - ${done})`,
      // What was skipped costs the receivers nothing.
      nextAt: sql`now() + ${done * perRowMs}::float8 * interval '1 millisecond'`,
      abandoned: false,
      // What is left comes again.
      doneTo: doneTo ?? (left > 0 ? operation.doneTo : (reached ?? operation.doneTo)),
      ...(reason && { errorMessage: `${reason.id} was refused: ${reason.message}` }),
      ...(more ? {} : { status: 'COMPLETED' as const, finishedAt: sql`now()` }),
    })
    .where(eq(bulkOperations.id, operation.id));
  const end = left > 0 && !moved ? 'LOCKED' : more ? 'MORE' : 'DONE';
  return { end, done, refused };
}

/** A row that could not be dealt with: it was stored under rules that do not hold any more. */
export interface Refused {
  readonly id: string;
  readonly message: string;
}

type Came = Changed & { readonly refused: readonly Refused[] };

/** Does `change` to all rows, but for those that make it fail: halves are tried one after the other. */
async function changeAll(
  tx: Transaction,
  change: (tx: Transaction, chunk: Chunk) => Promise<Changed>,
  chunk: Chunk,
): Promise<Came> {
  const { ids } = chunk;
  if (ids.length === 0) return { done: 0, left: 0, moved: true, refused: [] };
  try {
    return { ...(await withinSavepoint(tx, (inner) => change(inner, chunk))), refused: [] };
  } catch (error) {
    if (!isOfData(error)) throw error;
    const [id = ''] = ids;
    if (ids.length === 1) {
      return { done: 0, left: 0, moved: true, refused: [{ id, message: describeError(error) }] };
    }
  }
  const middle = Math.ceil(ids.length / 2);
  const first = await changeAll(tx, change, { ...chunk, ids: ids.slice(0, middle) });
  // What it left comes again, and these with it.
  if (first.left > 0) return { ...first, left: first.left + ids.length - middle };
  const second = await changeAll(tx, change, { ...chunk, ids: ids.slice(middle) });
  const refused = [...first.refused, ...second.refused];
  return { ...second, done: first.done + second.done, moved: first.moved || second.moved, refused };
}

/**
 * Those that matched when the operation began: what it or others make meanwhile is not among them. `among` is a condition
 * that an index answers by id.
 */
function rowsOf(operation: BulkOperationRow) {
  const { createdAt } = operation;
  const { kind, filter } = askedOf(operation);
  const before = (to: Date | null | undefined) =>
    firstUuidOf(Math.min(createdAt.getTime(), to?.getTime() ?? Number.POSITIVE_INFINITY) + ID_MARGIN_MS);
  switch (kind) {
    case 'RETRY_INVOCATIONS':
      return {
        table: invocations,
        among: eq(invocations.status, 'FAILED'),
        condition: and(lte(invocations.finishedAt, createdAt), invocationCondition(filter)),
        upTo: before(filter.createdAt?.to),
        triggerIds: null,
      };
    case 'CANCEL_EVENTS': {
      const unfinished = sql`exists (
        select from ${invocations}
          where ${invocations.eventId} = ${events.id} and ${invocations.status} not in (${FINAL_LIST}))`;
      return {
        table: events,
        among: narrowest(filter),
        condition: and(lte(events.receivedAt, createdAt), unfinished, eventCondition(filter)),
        upTo: before(filter.receivedAt?.to),
        triggerIds: null,
      };
    }
    case 'REPLAY_EVENTS': {
      // Copies only where they are named: or asking twice would double what is asked for the next time.
      const original = filter.id == null ? isNull(events.replayOf) : undefined;
      return {
        table: events,
        among: narrowest(filter),
        condition: and(lte(events.receivedAt, createdAt), original, eventCondition(filter)),
        upTo: before(filter.receivedAt?.to),
        triggerIds: filter.triggerIds ?? null,
      };
    }
  }
}

function narrowest({ id, type }: EventFilter): SQL | undefined {
  if (id != null) return inArray(events.id, [...id]);
  const [only, ...others] = type ?? [];
  return only === undefined || others.length > 0 ? undefined : eq(events.type, only);
}
