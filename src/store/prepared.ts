/** Statements that are asked again and again, planned once for each connection. */
import type { PostgresJsSession } from 'drizzle-orm/postgres-js';
import type { Executor } from './database.ts';
import type { Statements } from './pool-statement.ts';

/**
 * Runs a statement of a fixed text. Not prepared, it takes two round trips, as postgres.js asks for the types of its
 * parameters first, and is parsed each time; drizzle does not prepare. Never for a text that is put together from what
 * callers ask: connections keep what they prepared.
 */
export function runPrepared<Row extends object>(
  db: Executor,
  text: string,
  parameters: readonly unknown[],
): Promise<readonly Row[]> {
  // Of a database it is the pool, of a transaction the connection that it has for itself.
  const { client } = db._.session as unknown as PostgresJsSession<never, never, never>;
  return (client as unknown as Statements).unsafe<Row[]>(text, parameters, { prepare: true });
}
