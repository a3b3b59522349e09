/** Jobs over many rows, as they are kept: what was asked for, and how far it is. The work is bulk-work.ts. */
import { and, eq, inArray, lte, type SQL, sql } from 'drizzle-orm';
import type { BulkOperationKind, BulkOperationStatus } from '../domain/bulk-operation.ts';
import { firstUuidOf } from '../domain/uuid.ts';
import { arrayOf } from './arrays.ts';
import type { Database, Executor, Transaction } from './database.ts';
import type { EventFilter } from './events.ts';
import type { InvocationFilter } from './invocations.ts';
import { type CappedCount, countRows, type Page, type PageArgs, readPage, type Sort } from './pages.ts';
import { bulkOperations } from './schema.ts';

export type BulkOperationRow = typeof bulkOperations.$inferSelect;

/** Which rows an operation is about. */
export type BulkFilter =
  | { readonly kind: 'RETRY_INVOCATIONS'; readonly filter: InvocationFilter }
  | { readonly kind: 'CANCEL_EVENTS'; readonly filter: EventFilter }
  | { readonly kind: 'REPLAY_EVENTS'; readonly filter: ReplayFilter };

export interface ReplayFilter extends EventFilter {
  /** The only triggers that are to fire; null for all that match. */
  readonly triggerIds: readonly string[] | null;
}

/** The time in a row's id lies within so much of the row's own, in ms: both are made in the same statement. */
export const ID_MARGIN_MS = 60_000;
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
  const { from } =
    ('receivedAt' in filter ? filter.receivedAt : 'createdAt' in filter ? filter.createdAt : null) ?? {};
  const [row] = await tx
    .insert(bulkOperations)
    .values({
      id: sql`herald.uuid_v7()`,
      kind,
      filter: JSON.stringify(filter),
      projects: projects && sorted(projects),
      maxPerMinute,
      ...(from != null && { doneTo: firstUuidOf(from.getTime() - ID_MARGIN_MS) }),
    })
    .returning();
  if (row === undefined) throw new Error('inserting a bulk operation returned no row');
  return row;
}

/** What it was asked for with. */
export function askedOf({ kind, filter }: BulkOperationRow): BulkFilter {
  return { kind, filter: JSON.parse(filter, reviveDate) } as BulkFilter;
}

export async function findBulkOperation(db: Executor, id: string): Promise<BulkOperationRow | null> {
  const [row] = await db.select().from(bulkOperations).where(eq(bulkOperations.id, id));
  return row ?? null;
}

/** Locks its row for the rest of the transaction, and so waits for the chunk that is being done; null where there is none. */
export async function lockBulkOperation(tx: Transaction, id: string): Promise<BulkOperationRow | null> {
  const [row] = await tx.select().from(bulkOperations).where(eq(bulkOperations.id, id)).for('update');
  return row ?? null;
}

/** Ends an operation whose row is locked. */
export async function endBulkOperation(
  tx: Transaction,
  id: string,
  status: Exclude<BulkOperationStatus, 'RUNNING'>,
): Promise<BulkOperationRow> {
  const [row] = await tx
    .update(bulkOperations)
    .set({ status, finishedAt: sql`now()` })
    .where(eq(bulkOperations.id, id))
    .returning();
  if (row === undefined) throw new Error(`bulk operation ${id} vanished while its row was locked`);
  return row;
}

export interface BulkOperationFilter {
  /** Those whose rows the caller may see; null for all. */
  readonly projects: readonly string[] | null;
  readonly kind?: readonly BulkOperationKind[] | null | undefined;
  readonly status?: readonly BulkOperationStatus[] | null | undefined;
}

const NEWEST_FIRST: Sort = { name: 'CREATED_AT', key: null, direction: 'DESC' };

export async function listBulkOperations(
  db: Executor,
  filter: BulkOperationFilter,
  args: PageArgs,
): Promise<Page<BulkOperationRow>> {
  return readPage(db, bulkOperations, args, NEWEST_FIRST, operationCondition(filter));
}

export async function countBulkOperations(db: Executor, filter: BulkOperationFilter): Promise<CappedCount> {
  return countRows(db, bulkOperations, operationCondition(filter));
}

function operationCondition({ projects, kind, status }: BulkOperationFilter): SQL | undefined {
  return and(
    projects === null
      ? undefined
      : sql`cardinality(${bulkOperations.projects}) > 0
          and ${bulkOperations.projects} <@ ${sql.param(arrayOf(projects, (name) => name))}::text[]`,
    kind == null ? undefined : inArray(bulkOperations.kind, [...kind]),
    status == null ? undefined : inArray(bulkOperations.status, [...status]),
  );
}

/** The same callers' are equal. */
const sorted = (projects: readonly string[]): string[] => [...new Set(projects)].sort();

/** How many are at work of callers that see `projects`; nobody begins another one until the transaction ends. */
export async function lockRunning(tx: Transaction, projects: readonly string[] | null): Promise<number> {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('herald bulk operations', 0))`);
  const [row] = await tx.execute<{ count: number }>(sql`
    select count(*)::int as count from herald.bulk_operations o
      where o.status = 'RUNNING' and o.projects is not distinct from ${sql.param(projects && arrayOf(sorted(projects), (name) => name))}::text[]`);
  return row?.count ?? 0;
}

/** Operations that were let go of, or whose next rows could have been done `seconds` ago: whoever worked on them is gone. */
export async function findAbandoned(db: Executor, seconds: number): Promise<readonly string[]> {
  const rows = await db
    .select({ id: bulkOperations.id })
    .from(bulkOperations)
    .where(
      and(
        eq(bulkOperations.status, 'RUNNING'),
        sql`(${bulkOperations.abandoned} or ${bulkOperations.nextAt} < now() - make_interval(secs => ${seconds}))`,
      ),
    );
  return rows.map(({ id }) => id);
}

/** Lets others take operations up. */
export async function abandon(db: Database, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await db
    .update(bulkOperations)
    .set({ abandoned: true })
    .where(and(inArray(bulkOperations.id, [...ids]), eq(bulkOperations.status, 'RUNNING')));
}

/** Ends an operation that cannot go on. */
export async function failBulkOperation(db: Database, id: string, errorMessage: string): Promise<void> {
  await db
    .update(bulkOperations)
    .set({ status: 'FAILED', finishedAt: sql`now()`, errorMessage })
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

function reviveDate(key: string, value: unknown): unknown {
  return (key === 'from' || key === 'to') && typeof value === 'string' ? new Date(value) : value;
}
