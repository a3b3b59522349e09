/** Statements that are asked again and again, planned once for each connection. */
import { getTableColumns } from 'drizzle-orm';
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core';
import { idArray } from './arrays.ts';
import type { Executor } from './database.ts';
import type { Statement, Statements } from './pool-statement.ts';

/**
 * Runs a statement of a fixed text. Not prepared, it takes two round trips, as postgres.js asks for the types of its
 * parameters first, and is parsed each time; drizzle does not prepare. Never for a text that is put together from what
 * callers ask: connections keep what they prepared.
 */
export function runPrepared<Row extends object>(
  db: Executor,
  text: string,
  parameters: readonly unknown[],
): Statement<readonly Row[]> {
  // Of a database it is the pool, of a transaction the connection that it has for itself.
  const { client } = db._.session as unknown as { readonly client: Statements };
  return client.unsafe<readonly Row[]>(text, parameters, { prepare: true });
}

/** Reads whole rows of `table`, as drizzle has them. `where` is SQL, with its parameters as `$1`, `$2` …. */
export function prepareSelect<Table extends PgTable>(table: Table, where: string) {
  const { schema, name } = getTableConfig(table);
  const columns = Object.entries(getTableColumns(table));
  const list = columns.map(([, column]) => `"${column.name}"`).join(', ');
  const text = `select ${list} from "${schema}"."${name}" where ${where}`;
  return async (db: Executor, parameters: readonly unknown[]): Promise<readonly Table['$inferSelect'][]> => {
    const rows = await runPrepared<readonly unknown[]>(db, text, parameters).values();
    return rows.map((values) => {
      const row: Record<string, unknown> = {};
      for (const [index, [key, column]] of columns.entries()) {
        const value = values[index];
        row[key] = value === null ? null : column.mapFromDriverValue(value as never);
      }
      return row as Table['$inferSelect'];
    });
  };
}

/** Reads whole rows of `table` by id, in any order; missing ones are absent. */
export function prepareFind<Table extends PgTable>(table: Table) {
  const select = prepareSelect(table, 'id = any($1::uuid[])');
  return (db: Executor, ids: readonly string[]) => select(db, [idArray(ids)]);
}
