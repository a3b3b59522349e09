/** A database of its own for a test file: a copy of the migrated template, about 20 ms. */
import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { inject } from 'vitest';
import { type Database, type DatabaseAddress, openDatabase } from '../../src/store/database.ts';
import { TEMPLATE } from './server.ts';

export type TestDatabase = Extract<DatabaseAddress, { host: string }> & { readonly url: string };

/** Copies the template; the copy ends with the run's server. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = inject('server');
  const database = `test_${randomUUID().replaceAll('-', '')}`;
  const admin = postgres({ ...server, database: 'postgres', max: 1, onnotice: () => {} });
  try {
    await admin.unsafe(`create database ${database} template ${TEMPLATE} strategy file_copy`);
  } finally {
    await admin.end();
  }
  const url = `postgres://${server.user}@localhost/${database}?host=${encodeURIComponent(server.host)}&port=${server.port}`;
  return { ...server, database, url };
}

/** A plain client on the database, as a user's own program would have; ends with `await using`. */
export function openSql(
  database: TestDatabase,
  settings: Readonly<Record<string, string>> = {},
  max = 20,
): postgres.Sql & AsyncDisposable {
  const { url: _, ...address } = database;
  const sql = postgres({ ...address, max, onnotice: () => {}, connection: settings });
  return Object.assign(sql, { [Symbol.asyncDispose]: () => sql.end() });
}

/** A database of its own, as the store opens it, and a plain client beside it. */
export interface OpenedStore extends AsyncDisposable {
  readonly db: Database;
  readonly sql: postgres.Sql;
}

/** `max`: connections of the store. */
export async function openStore(max = 4): Promise<OpenedStore> {
  const database = await createTestDatabase();
  const { url: _, ...address } = database;
  const sql = openSql(database);
  const db = openDatabase(address, { name: 'store test', max });
  return {
    db,
    sql,
    [Symbol.asyncDispose]: async () => void (await Promise.all([sql.end(), db.$client.end()])),
  };
}
