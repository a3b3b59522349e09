/**
 * What jobs over many rows do, chunk by chunk in the order of the rows' ids. Each chunk and how far it came are one
 * transaction that holds the operation's row: whoever goes on after a crash, or at the same time, does nothing twice.
 */
import { and, eq, getTableColumns, gt, lte, sql } from 'drizzle-orm';
import { BULK_CHANGES, type Changed, type ChunkSize } from './bulk-changes.ts';
import { askedOf, type BulkOperationRow } from './bulk-operations.ts';
import { type Database, inTransaction } from './database.ts';
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

/** What came of one chunk. EARLY: its time has not come, as somebody else did the last one. LOCKED: others have its rows. */
export type ChunkEnd = 'MORE' | 'DONE' | 'EARLY' | 'LOCKED' | 'NOT_OURS';

/** Does the next rows. */
export async function doChunk(db: Database, id: string, { size, spanMs }: ChunkSize): Promise<ChunkEnd> {
  return inTransaction(db, async (tx) => {
    const [operation] = await tx
      .select({ ...getTableColumns(bulkOperations), isEarly: sql<boolean>`${bulkOperations.nextAt} > now()` })
      .from(bulkOperations)
      .where(and(eq(bulkOperations.id, id), eq(bulkOperations.status, 'RUNNING')))
      .for('update', { skipLocked: true });
    if (operation === undefined) return 'NOT_OURS';
    if (operation.isEarly) return 'EARLY';
    const { table, condition, triggerIds } = rowsOf(operation);
    const rows = await tx
      .select({ id: table.id })
      .from(table)
      .where(and(condition, gt(table.id, operation.doneTo)))
      .orderBy(table.id)
      .limit(size);
    const ids = rows.map((row) => row.id);
    const nothing: Changed = { done: 0, left: 0, moved: false };
    const { done, left, moved, doneTo } =
      ids.length === 0 ? nothing : await BULK_CHANGES[operation.kind](tx, { ids, size, spanMs, triggerIds });
    const more = left > 0 || ids.length === size;
    await tx
      .update(bulkOperations)
      .set({
        processed: sql`${bulkOperations.processed} + ${done}`,
        // In the end also those that did not come any more, as their state had changed.
        skipped: more
          ? sql`${bulkOperations.skipped} + ${ids.length - done - left}`
          : sql`greatest(
              ${bulkOperations.skipped} + ${ids.length - done - left},
              ${bulkOperations.matched} - ${bulkOperations.processed} - ${done})`,
        nextAt: sql`now() + ${spanMs}::float8 * interval '1 millisecond'`,
        // What is left comes again.
        doneTo: doneTo ?? (left > 0 ? operation.doneTo : (ids.at(-1) ?? operation.doneTo)),
        ...(more ? {} : { status: 'COMPLETED' as const, finishedAt: sql`now()` }),
      })
      .where(eq(bulkOperations.id, id));
    if (left > 0 && !moved) return 'LOCKED';
    return more ? 'MORE' : 'DONE';
  });
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
      const condition = and(lte(events.receivedAt, createdAt), eventCondition(filter));
      return { table: events, condition, triggerIds: filter.triggerIds };
    }
  }
}
