/**
 * Jobs over many rows, done chunk by chunk in the order of the rows' ids. Each chunk and how far it came are one
 * transaction that holds the operation's row: whoever goes on after a crash, or at the same time, does nothing twice.
 */
import { and, eq, getTableColumns, gt, lte, type SQL, sql } from 'drizzle-orm';
import type { BulkOperationKind } from '../domain/bulk-operation.ts';
import { FINAL_STATES, MAX_ATTEMPTS } from '../domain/invocation.ts';
import { arrayOf, idArray, wordList } from './arrays.ts';
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

/** Counts what matches, where that has not been done. Errors: 57014 where there is too much to count. */
export async function countMatched(db: Database, id: string): Promise<void> {
  const operation = await findBulkOperation(db, id);
  if (operation === null || operation.matched !== null || operation.status !== 'RUNNING') return;
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
    .where(eq(bulkOperations.id, id));
}

/** What came of one chunk. EARLY: its time has not come, as somebody else did the last one. LOCKED: others have its rows. */
export type ChunkEnd = 'MORE' | 'DONE' | 'EARLY' | 'LOCKED' | 'NOT_OURS';

export interface ChunkSize {
  /** Rows at most. */
  readonly size: number;
  /** Retries are spread over so many ms. */
  readonly spanMs: number;
}

/** What a change did to some rows; those that are neither were not to be changed. */
interface Changed {
  /** How many rows it is done with. */
  readonly done: number;
  /** How many it has yet to do something to. */
  readonly left: number;
  /** Whether it did anything. */
  readonly moved: boolean;
}

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
      ids.length === 0 ? nothing : await CHANGES[operation.kind](tx, ids, { size, spanMs });
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

const FINAL_LIST = sql.raw(wordList(FINAL_STATES));

function reviveDate(key: string, value: unknown): unknown {
  return (key === 'from' || key === 'to') && typeof value === 'string' ? new Date(value) : value;
}

/** What is done with a chunk's rows. */
const CHANGES: Readonly<
  Record<BulkOperationKind, (tx: Transaction, ids: readonly string[], size: ChunkSize) => Promise<Changed>>
> = {
  RETRY_INVOCATIONS: retryFailed,
  CANCEL_EVENTS: cancelAll,
};

/** The same as `retryInvocation` for each, and locked in the same order. */
async function retryFailed(tx: Transaction, ids: readonly string[], { spanMs }: ChunkSize): Promise<Changed> {
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
  const done = await renew(
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
  return { done, left: 0, moved: done > 0 };
}

async function lockParents(tx: Transaction, table: SQL, ids: SQL): Promise<void> {
  await tx.execute(sql`select from ${table} p where p.id in (${ids}) order by p.id for share`);
}

/**
 * The same as `cancelEvent` for each, but for invocations whose rows others have: an attempt is just being recorded.
 * They come again, and so do those beyond `size`, as an event may have any number of them.
 */
async function cancelAll(tx: Transaction, ids: readonly string[], { size }: ChunkSize): Promise<Changed> {
  await readByIndex(tx);
  const unfinished = sql`
    i.event_id = any(${sql.param(idArray(ids))}::uuid[]) and i.status not in (${FINAL_LIST})`;
  const cancelled = await cancel(
    tx,
    sql`
      select i.id, i.status, i.next_attempt_at from herald.invocations i
        where ${unfinished}
        limit ${size}
        for update skip locked`,
  );
  const [row] = await tx.execute<{ left: number }>(sql`
    select count(distinct i.event_id)::int as left from herald.invocations i where ${unfinished}`);
  const left = row?.left ?? 0;
  return { done: ids.length - left, left, moved: cancelled > 0 };
}
