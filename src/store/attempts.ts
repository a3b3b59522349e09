/** Attempts, read for the timeline. */
import { sql } from 'drizzle-orm';
import { idArray } from './arrays.ts';
import type { Executor } from './database.ts';
import { type CappedCount, countRowsOf, type Page, type PageArgs, readPages, type Sort } from './pages.ts';
import { prepareSelect } from './prepared.ts';
import { attempts } from './schema.ts';

export type AttemptRow = typeof attempts.$inferSelect;

/** A page of each invocation's attempts, in the order of `invocationIds`; oldest attempt first. */
export async function listAttemptsOf(
  db: Executor,
  invocationIds: readonly string[],
  args: PageArgs,
): Promise<readonly Page<AttemptRow>[]> {
  const parents = { ids: invocationIds, foreignKey: attempts.invocationId };
  return readPages(db, attempts, parents, args, BY_NUMBER, undefined);
}

/** How many attempts each invocation has, in the order of `invocationIds`. */
export async function countAttemptsOf(
  db: Executor,
  invocationIds: readonly string[],
): Promise<readonly CappedCount[]> {
  return countRowsOf(db, attempts, { ids: invocationIds, foreignKey: attempts.invocationId }, undefined);
}

/** The attempt `number` of each pair, in any order; missing ones are absent. */
export function findAttempts(
  db: Executor,
  wanted: readonly { readonly invocationId: string; readonly number: number }[],
): Promise<readonly AttemptRow[]> {
  const ids = idArray(wanted.map(({ invocationId }) => invocationId));
  const numbers = `{${wanted.map(({ number }) => number).join(',')}}`;
  return selectAttempts(db, [ids, numbers]);
}

const selectAttempts = prepareSelect(
  attempts,
  '(invocation_id, number) in (select * from unnest($1::uuid[], $2::smallint[]))',
);

const BY_NUMBER: Sort = {
  name: 'NUMBER',
  key: { expression: sql`${attempts.number}`, type: 'smallint' },
  direction: 'ASC',
};
