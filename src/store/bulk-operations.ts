/**
 * Jobs over many rows, done chunk by chunk in the order of the rows' ids. Each chunk and how far it came are one
 * transaction that holds the operation's row: whoever goes on after a crash, or at the same time, does nothing twice.
 */
import { and, eq, getTableColumns, gt, lte, type SQL, sql } from 'drizzle-orm';
import type { BulkOperationKind } from '../domain/bulk-operation.ts';
import { FINAL_STATES, MAX_ATTEMPTS } from '../domain/invocation.ts';
import { idArray, wordList } from './arrays.ts';
import { type Database, type Executor, inTransaction, type Transaction } from './database.ts';
import { type EventFilter, eventCondition } from './events.ts';
import { cancel, readByIndex, renew } from './invocation-moves.ts';
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

export async function countRunning(db: Executor): Promise<number> {
  return db.$count(bulkOperations, eq(bulkOperations.status, 'RUNNING'));
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

/** Counts what matches, where that has not been done. It may take as long as a statement may. */
export async function countMatched(db: Database, id: string): Promise<void> {
  const operation = await findBulkOperation(db, id);
  if (operation === null || operation.matched !== null || operation.status !== 'RUNNING') return;
  const { table, condition } = rowsOf(operation);
  const matched = await db.$count(table, condition);
  await db
    .update(bulkOperations)
    .set({
      // What has been done already does not match any more.
      matched: sql`coalesce(${bulkOperations.matched}, ${matched} + ${bulkOperations.processed} + ${bulkOperations.skipped})`,
    })
    .where(eq(bulkOperations.id, id));
}

/** What came of one chunk. EARLY: its time has not come, as somebody else did the last one. */
export type ChunkEnd = 'MORE' | 'DONE' | 'EARLY' | 'NOT_OURS';

/** Does the next `size` rows. Retries are spread over the next `spanMs`. */
export async function doChunk(
  db: Database,
  id: string,
  { size, spanMs }: { readonly size: number; readonly spanMs: number },
): Promise<ChunkEnd> {
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
    const changed = ids.length === 0 ? 0 : await CHANGES[operation.kind](tx, ids, spanMs);
    const more = ids.length === size;
    await tx
      .update(bulkOperations)
      .set({
        processed: sql`${bulkOperations.processed} + ${changed}`,
        skipped: sql`${bulkOperations.skipped} + ${ids.length - changed}`,
        doneTo: ids.at(-1) ?? operation.doneTo,
        nextAt: sql`now() + ${spanMs}::float8 * interval '1 millisecond'`,
        ...(more ? {} : { status: 'COMPLETED' as const, finishedAt: sql`now()` }),
      })
      .where(eq(bulkOperations.id, id));
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

const FINAL_LIST = sql.raw(wordList(FINAL_STATES));

function reviveDate(key: string, value: unknown): unknown {
  return (key === 'from' || key === 'to') && typeof value === 'string' ? new Date(value) : value;
}

/** What is done with a chunk's rows; each returns how many it changed. */
const CHANGES: Readonly<
  Record<BulkOperationKind, (tx: Transaction, ids: readonly string[], spanMs: number) => Promise<number>>
> = {
  RETRY_INVOCATIONS: retryFailed,
  CANCEL_EVENTS: cancelAll,
};

/** The same as `retryInvocation` for each, and locked in the same order. */
async function retryFailed(tx: Transaction, ids: readonly string[], spanMs: number): Promise<number> {
  await readByIndex(tx);
  const given = sql`any(${sql.param(idArray(ids))}::uuid[])`;
  await lockParents(
    tx,
    sql`herald.triggers`,
    sql`select i.trigger_id from herald.invocations i where i.id = ${given}`,
  );
  await lockParents(
    tx,
    sql`herald.events`,
    sql`select i.event_id from herald.invocations i where i.id = ${given}`,
  );
  return renew(
    tx,
    sql`
      select
          f.*, clock_timestamp() + (row_number() over (order by f.id) - 1) * ${spanMs / ids.length}::float8
            * interval '1 millisecond' as at
        from (
          select i.id, i.status, i.next_attempt_at, i.attempt_count + 1 as allowed
            from herald.invocations i
            join herald.triggers t on t.id = i.trigger_id
            join herald.events e on e.id = i.event_id
            where i.id = ${given} and i.status = 'FAILED' and i.attempt_count < ${MAX_ATTEMPTS}
              and t.status <> 'PAUSED' and t.deleted_at is null and e.data is not null
            order by i.id
            for update of i
        ) f`,
  );
}

async function lockParents(tx: Transaction, table: SQL, ids: SQL): Promise<void> {
  await tx.execute(sql`select from ${table} p where p.id in (${ids}) order by p.id for share`);
}

/** The same as `cancelEvent` for each; returns how many events that ended. */
async function cancelAll(tx: Transaction, ids: readonly string[]): Promise<number> {
  await readByIndex(tx);
  const unfinished = sql`
    i.event_id = any(${sql.param(idArray(ids))}::uuid[]) and i.status not in (${FINAL_LIST})`;
  const [row] = await tx.execute<{ count: number }>(sql`
    select count(distinct l.event_id)::int as count
      from (select i.event_id from herald.invocations i where ${unfinished} order by i.id for update) l`);
  await cancel(
    tx,
    sql`select i.id, i.status, i.next_attempt_at from herald.invocations i where ${unfinished} order by i.id`,
  );
  return row?.count ?? 0;
}
