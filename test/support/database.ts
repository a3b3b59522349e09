/** A database of its own for a test file: a copy of the migrated template, about 20 ms. */
import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { inject } from 'vitest';
import type { DatabaseAddress } from '../../src/store/database.ts';
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
