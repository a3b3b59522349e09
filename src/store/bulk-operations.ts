/**
 * Jobs over many rows, done chunk by chunk in the order of the rows' ids. Each chunk and how far it came are one
 * transaction that holds the operation's row: whoever goes on after a crash, or at the same time, does nothing twice.
 */
import { and, eq, getTableColumns, gt, lte, sql } from 'drizzle-orm';
import { arrayOf } from './arrays.ts';
import { BULK_CHANGES, type Changed, type ChunkSize } from './bulk-changes.ts';
import { type Database, type Executor, inTransaction, type Transaction } from './database.ts';
import { type EventFilter, eventCondition } from './events.ts';
import { FINAL_LIST } from './invocation-moves.ts';
import { type InvocationFilter, invocationCondition } from './invocations.ts';
import { bulkOperations, events, invocations } from './schema.ts';

export type BulkOperationRow = typeof bulkOperations.$inferSelect;

/** Which rows an operation is about. */
export type BulkFilter =
  | { readonly kind: 'RETRY_INVOCATIONS'; readonly filter: InvocationFilter }
  | { readonly kind: 'CANCEL_EVENTS'; readonly filter: EventFilter };

/** Finished operations are kept this long, in days. */
const KEPT_DAYS = 30;

export type NewBulkOperation = BulkFilter & {
  readonly projects: readonly string[] | null;
  readonly maxPerMinute: number | null;
};

export async function insertBulkOperation(
  tx: Transaction,
  { kind, filter, projects, maxPerMinute }: NewBulkOperation,
): Promise<BulkOperationRow> {
  const [row] = await tx
    .insert(bulkOperations)
    .values({
      id: sql`herald.uuid_v7()`,
      kind,
      filter: JSON.stringify(filter),
      projects: projects === null ? null : [...projects],
      maxPerMinute,
    })
    .returning();
  if (row === undefined) throw new Error('inserting a bulk operation returned no row');
  return row;
}

export async function findBulkOperation(db: Executor, id: string): Promise<BulkOperationRow | null> {
  const [row] = await db.select().from(bulkOperations).where(eq(bulkOperations.id, id));
  return row ?? null;
}

/** How many are at work of callers that see `projects`; nobody begins another one until the transaction ends. */
export async function lockRunning(tx: Transaction, projects: readonly string[] | null): Promise<number> {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('herald bulk operations', 0))`);
  const [row] = await tx.execute<{ count: number }>(sql`
    select count(*)::int as count from herald.bulk_operations o
      where o.status = 'RUNNING' and o.projects is not distinct from ${sql.param(projects && arrayOf(projects, (name) => name))}::text[]`);
  return row?.count ?? 0;
}

/** Operations whose next rows could have been done `seconds` ago: whoever worked on them is gone. */
export async function findAbandoned(db: Executor, seconds: number): Promise<readonly string[]> {
  const rows = await db
    .select({ id: bulkOperations.id })
    .from(bulkOperations)
    .where(
      and(
        eq(bulkOperations.status, 'RUNNING'),
        sql`${bulkOperations.nextAt} < now() - make_interval(secs => ${seconds})`,
      ),
    );
  return rows.map(({ id }) => id);
}

/** How long counting may take; what takes longer is not counted. */
const COUNT_TIMEOUT = '10s';

/** Counts what matches. Errors: 57014 where there is too much to count. */
export async function countMatched(db: Database, operation: BulkOperationRow): Promise<void> {
  const { table, condition } = rowsOf(operation);
  const matched = await inTransaction(db, async (tx) => {
    await tx.execute(sql`select set_config('statement_timeout', ${COUNT_TIMEOUT}, true)`);
    return tx.$count(table, condition);
  });
  await db
    .update(bulkOperations)
    .set({
      // What has been done already does not match any more.
      matched: sql`coalesce(${bulkOperations.matched}, ${matched} + ${bulkOperations.processed} + ${bulkOperations.skipped})`,
    })
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
    const { table, condition } = rowsOf(operation);
    const rows = await tx
      .select({ id: table.id })
      .from(table)
      .where(and(condition, gt(table.id, operation.doneTo)))
      .orderBy(table.id)
      .limit(size);
    const ids = rows.map((row) => row.id);
    const nothing: Changed = { done: 0, left: 0, moved: false };
    const { done, left, moved } =
      ids.length === 0 ? nothing : await BULK_CHANGES[operation.kind](tx, ids, { size, spanMs });
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
        // What is left comes again; what is done does not match any more.
        ...(left > 0 ? {} : { doneTo: ids.at(-1) ?? operation.doneTo }),
        ...(more ? {} : { status: 'COMPLETED' as const, finishedAt: sql`now()` }),
      })
      .where(eq(bulkOperations.id, id));
    if (left > 0 && !moved) return 'LOCKED';
    return more ? 'MORE' : 'DONE';
  });
}

/** Ends an operation that cannot go on. */
export async function failBulkOperation(db: Database, id: string): Promise<void> {
  await db
    .update(bulkOperations)
    .set({ status: 'FAILED', finishedAt: sql`now()` })
    .where(and(eq(bulkOperations.id, id), eq(bulkOperations.status, 'RUNNING')));
}

/** Removes operations that ended long ago. Returns how many. */
export async function pruneBulkOperations(db: Database): Promise<number> {
  const rows = await db
    .delete(bulkOperations)
    .where(lte(bulkOperations.finishedAt, sql`now() - make_interval(days => ${KEPT_DAYS})`))
    .returning({ id: bulkOperations.id });
  return rows.length;
}

/** Those that matched when the operation began: what it or others make meanwhile is not among them. */
function rowsOf(operation: BulkOperationRow) {
  const { filter, kind, createdAt } = operation;
  const parsed = { kind, filter: JSON.parse(filter, reviveDate) } as BulkFilter;
  if (parsed.kind === 'RETRY_INVOCATIONS') {
    const condition = and(
      eq(invocations.status, 'FAILED'),
      lte(invocations.finishedAt, createdAt),
      invocationCondition(parsed.filter),
    );
    return { table: invocations, condition };
  }
  const unfinished = sql`exists (
    select from ${invocations}
      where ${invocations.eventId} = ${events.id} and ${invocations.status} not in (${FINAL_LIST}))`;
  const condition = and(lte(events.receivedAt, createdAt), unfinished, eventCondition(parsed.filter));
  return { table: events, condition };
}

function reviveDate(key: string, value: unknown): unknown {
  return (key === 'from' || key === 'to') && typeof value === 'string' ? new Date(value) : value;
}
