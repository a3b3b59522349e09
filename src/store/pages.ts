/**
 * Keyset pagination after the Relay Cursor Connections specification: a page is found by the sort value and id of
 * the row it continues after, so it costs the same at row 10 and at row 1,000,000 and skips nothing while rows arrive.
 */
import { and, asc, desc, getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { AnyPgColumn, PgTable } from 'drizzle-orm/pg-core';
import { AppError } from '../domain/errors.ts';
import { idArray } from './arrays.ts';
import type { Executor } from './database.ts';

/** Rows of a page where the caller does not say, and at most. */
export const DEFAULT_PAGE_SIZE = 20;
export const MAX_PAGE_SIZE = 100;
/** Counting stops here: a count must not scan a table of millions. */
export const COUNT_CAP = 10_000;

/** The arguments of a connection. */
export interface PageArgs {
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly last?: number | null | undefined;
  readonly before?: string | null | undefined;
}

/** What rows are sorted by; the id decides between equals. */
export interface Sort {
  /** Goes into the cursor, so that a cursor of one order is refused in another. */
  readonly name: string;
  /** Null sorts by id alone, which for UUIDv7 is the order of creation. */
  readonly key: { readonly expression: SQL; readonly type: 'timestamptz' | 'text' | 'smallint' } | null;
  readonly direction: 'ASC' | 'DESC';
}

export interface Edge<Row> {
  readonly node: Row;
  readonly cursor: string;
}

export interface Page<Row> {
  readonly edges: readonly Edge<Row>[];
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
}

export interface CappedCount {
  readonly value: number;
  readonly capped: boolean;
}

type PagedTable = PgTable & { readonly id: AnyPgColumn };
type RowOf<T extends PagedTable> = T['$inferSelect'] & { id: string };

interface Window {
  readonly size: number;
  readonly backward: boolean;
  readonly cursor: string | null;
}

/** One page of `table`. Errors: AppError INVALID for a bad size or cursor. */
export async function readPage<T extends PagedTable>(
  db: Executor,
  table: T,
  args: PageArgs,
  sort: Sort,
  where: SQL | undefined,
): Promise<Page<RowOf<T>>> {
  const window = windowOf(args);
  const rows = await selectPage(db, table, window, sort, where);
  return toPage(rows as PageRow<T>[], window, sort);
}

/** A page for each of `parents` at once, in their order: `foreignKey` is the column that names the parent. */
export async function readPages<T extends PagedTable>(
  db: Executor,
  table: T,
  parents: { readonly ids: readonly string[]; readonly foreignKey: AnyPgColumn },
  args: PageArgs,
  sort: Sort,
  where: SQL | undefined,
): Promise<readonly Page<RowOf<T>>[]> {
  const window = windowOf(args);
  const ofParent = sql`${parents.foreignKey} = parent.id`;
  const page = selectPage(db, table, window, sort, and(ofParent, where)).as('page');
  const rows = (await db
    .select({
      parent: sql<string>`parent.id`,
      page: { row: page.row as never, sortValue: page.sortValue as never },
    })
    .from(sql`unnest(${sql.param(idArray(parents.ids))}::uuid[]) as parent(id)`)
    .innerJoinLateral(page, sql`true`)) as unknown as { parent: string; page: PageRow<T> }[];
  const byParent = Map.groupBy(rows, ({ parent }) => parent);
  return parents.ids.map((id) =>
    toPage(
      (byParent.get(id) ?? []).map((row) => row.page),
      window,
      sort,
    ),
  );
}

/** How many rows of `table` match, counted to COUNT_CAP. */
export async function countRows(db: Executor, table: PgTable, where: SQL | undefined): Promise<CappedCount> {
  const some = db
    .select({ one: sql`1`.as('one') })
    .from(table)
    .where(where)
    .limit(COUNT_CAP + 1)
    .as('some');
  const [row] = await db.select({ count: sql<number>`count(*)::int` }).from(some);
  const count = row?.count ?? 0;
  return { value: Math.min(count, COUNT_CAP), capped: count > COUNT_CAP };
}

/** The same for each of `parents`, in their order and in one statement. */
export async function countRowsOf(
  db: Executor,
  table: PgTable,
  parents: { readonly ids: readonly string[]; readonly foreignKey: AnyPgColumn },
  where: SQL | undefined,
): Promise<readonly CappedCount[]> {
  const some = db
    .select({ one: sql`1`.as('one') })
    .from(table)
    .where(and(sql`${parents.foreignKey} = parent.id`, where))
    .limit(COUNT_CAP + 1);
  const rows = await db.execute<{ id: string; count: number }>(sql`
    select parent.id, (select count(*)::int from ${some} counted) as count
      from unnest(${idArray(parents.ids)}::uuid[]) as parent(id)`);
  const byParent = new Map(rows.map(({ id, count }) => [id, count]));
  return parents.ids.map((id) => {
    const count = byParent.get(id) ?? 0;
    return { value: Math.min(count, COUNT_CAP), capped: count > COUNT_CAP };
  });
}

interface PageRow<T extends PagedTable> {
  readonly row: RowOf<T>;
  readonly sortValue: string | null;
}

function selectPage(db: Executor, table: PagedTable, window: Window, sort: Sort, where: SQL | undefined) {
  const descending = (sort.direction === 'DESC') !== window.backward;
  const order = descending ? desc : asc;
  const sortValue =
    sort.key === null ? sql<string | null>`null` : sql<string | null>`(${sort.key.expression})::text`;
  return db
    .select({ row: getTableColumns(table), sortValue: sortValue.as('sort_value') })
    .from(table)
    .where(and(where, beyond(table, window.cursor, sort, descending)))
    .orderBy(...(sort.key === null ? [] : [order(sort.key.expression)]), order(table.id))
    .limit(window.size + 1);
}

function beyond(table: PagedTable, cursor: string | null, sort: Sort, descending: boolean): SQL | undefined {
  if (cursor === null) return undefined;
  const { value, id } = decodeCursor(cursor, sort);
  const than = sql.raw(descending ? '<' : '>');
  if (sort.key === null) return sql`${table.id} ${than} ${id}::uuid`;
  return sql`(${sort.key.expression}, ${table.id}) ${than} (${value}::${sql.raw(sort.key.type)}, ${id}::uuid)`;
}

function toPage<T extends PagedTable>(
  rows: readonly PageRow<T>[],
  window: Window,
  sort: Sort,
): Page<RowOf<T>> {
  const more = rows.length > window.size;
  const edges = rows.slice(0, window.size).map(({ row, sortValue }) => ({
    node: row,
    cursor: encodeCursor(sort, sortValue, row.id),
  }));
  const beyondCursor = window.cursor !== null;
  return window.backward
    ? { edges: edges.reverse(), hasNextPage: beyondCursor, hasPreviousPage: more }
    : { edges, hasNextPage: more, hasPreviousPage: beyondCursor };
}

function windowOf({ first, after, last, before }: PageArgs): Window {
  if (first != null && last != null) throw new AppError('INVALID', 'expected first or last, got both');
  if (last == null && before != null) throw new AppError('INVALID', 'expected last with before');
  if (last != null && after != null) throw new AppError('INVALID', 'expected before with last, got after');
  const backward = last != null;
  const size = first ?? last ?? DEFAULT_PAGE_SIZE;
  if (size < 0 || size > MAX_PAGE_SIZE) {
    const name = backward ? 'last' : 'first';
    throw new AppError('INVALID', `expected ${name} between 0 and ${MAX_PAGE_SIZE}, got ${size}`);
  }
  return { size, backward, cursor: (backward ? before : after) ?? null };
}

function encodeCursor(sort: Sort, value: string | null, id: string): string {
  return Buffer.from(JSON.stringify([sort.name, value, id])).toString('base64url');
}

function decodeCursor(cursor: string, sort: Sort): { readonly value: string | null; readonly id: string } {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    parts = null;
  }
  const [name, value, id] = Array.isArray(parts) ? (parts as readonly unknown[]) : [];
  const valid = typeof id === 'string' && isUuid(id) && (value === null || typeof value === 'string');
  if (!valid || name !== sort.name || !fitsType(value as string | null, sort)) {
    throw new AppError('INVALID', 'expected a cursor that this list handed out in the same order');
  }
  return { value: value as string | null, id: id as string };
}

function fitsType(value: string | null, sort: Sort): boolean {
  if (sort.key === null) return value === null;
  if (value === null || value.includes('\0')) return false;
  if (sort.key.type === 'timestamptz') return value === 'infinity' || !Number.isNaN(Date.parse(value));
  return sort.key.type === 'text' || /^\d{1,5}$/.test(value);
}

/** Whether `text` is a UUID as Postgres writes it. */
export function isUuid(text: string): boolean {
  return /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i.test(text);
}
