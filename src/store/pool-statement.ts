/** A statement, in the shape that drizzle expects of postgres.js. */
import type postgres from 'postgres';
import type { PoolConnection } from './pool-connection.ts';

/** A statement on its way: rows are objects, or arrays where `values` is called at once. */
export type Statement<Rows> = Promise<Rows> & { values(): Promise<Rows> };

export interface StatementOptions {
  /** Planned once for each connection. */
  readonly prepare?: boolean;
}

export interface Statements {
  unsafe<Rows extends readonly object[] = postgres.Row[]>(
    text: string,
    parameters?: readonly unknown[],
    options?: StatementOptions,
  ): Statement<Rows>;
}

/** Runs `text` by `run`, in a moment: until then `values` can still be called. */
export function createStatement<Rows extends readonly object[]>(
  run: PoolConnection['run'],
  text: string,
  parameters: readonly unknown[] = [],
  options: StatementOptions = {},
): Statement<Rows> {
  let asArrays = false;
  const rows = Promise.resolve().then(() =>
    run<unknown>((client) => {
      const query = client.unsafe(text, [...parameters] as never[], options);
      return asArrays ? query.values() : query;
    }),
  ) as Promise<Rows>;
  return Object.assign(rows, {
    values() {
      asArrays = true;
      return rows;
    },
  });
}
