/**
 * What jobs over many rows do, chunk by chunk in the order of the rows' ids. Each chunk and how far it came are one
 * transaction that holds the operation's row: whoever goes on after a crash, or at the same time, does nothing twice.
 * A chunk looks through so many rows at most, whatever it finds among them, so that it is short, and can be stopped.
 */
import { and, eq, getTableColumns, gt, isNull, lte, sql } from 'drizzle-orm';
import { BULK_CHANGES, type Changed } from './bulk-changes.ts';
import { askedOf, type BulkOperationRow, findBulkOperation } from './bulk-operations.ts';
import { type Database, inTransaction, type Transaction } from './database.ts';
import { eventCondition } from './events.ts';
import { FINAL_LIST } from './invocation-moves.ts';
import { invocationCondition } from './invocations.ts';
import { bulkOperations, events, invocations } from './schema.ts';

/** How long counting may take; what takes longer is not counted. */
const COUNT_TIMEOUT = '10s';

/** Counts what matches. Errors: 57014 where there is too much to count. */
export async function countMatched(db: Database, operation: BulkOperationRow): Promise<void> {
  const { table, condition } = rowsOf(operation);
  const matched = await inTransaction(db, async (tx) => {
    await tx.execute(sql`select set_config('statement_timeout', ${COUNT_TIMEOUT}, true)`);
    return tx.$count(table, and(condition, gt(table.id, operation.doneTo)));
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
  /** Whether they are skipped: they cannot be dealt with. */
  readonly passOver?: boolean;
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
  { size, reach, perRowMs, passOver = false }: ChunkLimits,
): Promise<ChunkResult> {
  const { table, condition, triggerIds } = rowsOf(operation);
  const beyond = gt(table.id, operation.doneTo);
  const [edge] = await tx
    .select({ id: table.id })
    .from(table)
    .where(beyond)
    .orderBy(table.id)
    .limit(1)
    .offset(reach - 1);
  const rows = await tx
    .select({ id: table.id })
    .from(table)
    .where(and(condition, beyond, edge && lte(table.id, edge.id)))
    .orderBy(table.id)
    .limit(size);
  const ids = rows.map((row) => row.id);
  const nothing: Changed = { done: 0, left: 0, moved: true };
  const { done, left, moved, doneTo } =
    passOver || ids.length === 0
      ? nothing
      : await BULK_CHANGES[operation.kind](tx, { ids, size, perRowMs, triggerIds });
  const seen = ids.length - left;
  const isFull = ids.length === size;
  const more = left > 0 || isFull || edge !== undefined;
  const reached = isFull ? ids.at(-1) : (edge?.id ?? ids.at(-1));
  await tx
    .update(bulkOperations)
    .set({
      processed: sql`${bulkOperations.processed} + ${done}`,
      // In the end also those that did not come any more, as their state had changed.
      skipped: more
        ? sql`${bulkOperations.skipped} + ${seen - done}`
        : sql`greatest(
            ${bulkOperations.skipped} + ${seen - done},
            ${bulkOperations.matched} - ${bulkOperations.processed} - ${done})`,
      // What was skipped costs the receivers nothing.
      nextAt: sql`now() + ${done * perRowMs}::float8 * interval '1 millisecond'`,
      // What is left comes again.
      doneTo: doneTo ?? (left > 0 ? operation.doneTo : (reached ?? operation.doneTo)),
      ...(more ? {} : { status: 'COMPLETED' as const, finishedAt: sql`now()` }),
    })
    .where(eq(bulkOperations.id, operation.id));
  const end = moved ? (more ? 'MORE' : 'DONE') : 'LOCKED';
  return { end, done };
}

/** Those that matched when the operation began: what it or others make meanwhile is not among them. */
function rowsOf(operation: BulkOperationRow) {
  const { createdAt } = operation;
  const { kind, filter } = askedOf(operation);
  switch (kind) {
    case 'RETRY_INVOCATIONS': {
      const condition = and(
        eq(invocations.status, 'FAILED'),
        lte(invocations.finishedAt, createdAt),
        invocationCondition(filter),
      );
      return { table: invocations, condition, triggerIds: null };
    }
    case 'CANCEL_EVENTS': {
      const unfinished = sql`exists (
        select from ${invocations}
          where ${invocations.eventId} = ${events.id} and ${invocations.status} not in (${FINAL_LIST}))`;
      const condition = and(lte(events.receivedAt, createdAt), unfinished, eventCondition(filter));
      return { table: events, condition, triggerIds: null };
    }
    case 'REPLAY_EVENTS': {
      // Copies only where they are named: or asking twice would double what is asked for the next time.
      const original = filter.id == null ? isNull(events.replayOf) : undefined;
      const condition = and(lte(events.receivedAt, createdAt), original, eventCondition(filter));
      return { table: events, condition, triggerIds: filter.triggerIds ?? null };
    }
  }
}
