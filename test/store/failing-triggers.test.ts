/** Since when a trigger's attempts fail, as the fold of the statistics keeps it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findFailing } from '../../src/store/failing-triggers.ts';
import { foldTallies } from '../../src/store/stats-fold.ts';
import { type OpenedStore, openStore } from '../support/database.ts';
import { insertTrigger } from '../support/trigger-row.ts';

let store: OpenedStore;
let db: OpenedStore['db'];
let sql: OpenedStore['sql'];
let id: string;
beforeAll(async () => {
  store = await openStore();
  ({ db, sql } = store);
});
afterAll(() => store[Symbol.asyncDispose]());
beforeEach(async () => {
  await sql`truncate herald.triggers, herald.tallies, herald.trigger_counts, herald.stats cascade`;
  id = await insertTrigger(sql, { retries: 1, days: 90 });
});

/** What one transaction recorded, `hoursAgo`. */
interface Recorded {
  readonly hoursAgo: number;
  readonly failed?: number;
  readonly succeeded?: number;
}

const failed = (hoursAgo: number): Recorded => ({ hoursAgo, failed: 1 });
const succeeded = (hoursAgo: number): Recorded => ({ hoursAgo, succeeded: 1 });

/** Each array is what one fold finds. */
async function record(...folds: readonly (readonly Recorded[])[]): Promise<void> {
  for (const fold of folds) {
    for (const { hoursAgo, failed = 0, succeeded = 0 } of fold) {
      await sql`
        insert into herald.tallies (trigger_id, at, attempts, attempts_failed)
        values (${id}, now() - ${hoursAgo} * interval '1 hour', ${failed + succeeded}, ${failed})`;
    }
    await foldTallies(db);
  }
}

/** Hours since its failures began; null where the latest attempt that is known succeeded. */
async function failingFor(): Promise<number | null> {
  const [row] = await sql`
    select round(extract(epoch from now() - failing_since) / 3600)::int as hours from herald.trigger_counts`;
  return row?.hours ?? null;
}

const found = async (hours = 120) => (await findFailing(db, hours)).map((trigger) => trigger.id);
const everyDay = (from: number, to: number) =>
  Array.from({ length: (from - to) / 24 + 1 }, (_, day) => [failed(from - 24 * day)]);

describe('failing begins', () => {
  test('with the first failure, in whatever order they are counted', async () => {
    await record([failed(7), failed(9), failed(8)], [failed(5)], [failed(10)]);
    expect(await failingFor()).toBe(10);
  });

  test('never where all succeed, or nothing is attempted', async () => {
    await record([succeeded(3)], [{ hoursAgo: 2 }]);
    expect(await failingFor()).toBeNull();
  });

  test('anew with the first failure after a success', async () => {
    await record([failed(9)], [failed(7), succeeded(6), failed(5), failed(4)], [failed(3)]);
    expect(await failingFor()).toBe(5);
    await record([succeeded(2)]);
    expect(await failingFor()).toBeNull();
    await record([failed(1)]);
    expect(await failingFor()).toBe(1);
  });

  test('anew too where the success is counted after failures that came later', async () => {
    await record([failed(9), failed(5)], [succeeded(6)]);
    expect(await failingFor()).toBeNull();
    await record([failed(7)], [failed(4)]);
    expect(await failingFor()).toBe(4);
  });

  test('not with what failed beside a success', async () => {
    await record([{ hoursAgo: 5, failed: 9, succeeded: 1 }]);
    expect(await failingFor()).toBeNull();
  });

  test('anew after two days without an attempt', async () => {
    await record([failed(60)], [failed(13)]);
    expect(await failingFor()).toBe(60);
    await record([failed(11)]);
    expect(await failingFor()).toBe(60);
    await record([failed(-38)]);
    expect(await failingFor()).toBe(-38);
  });
});

describe('is found', () => {
  test('whose failures are further apart than the period', async () => {
    await record(...everyDay(119, 23), [failed(0.5)]);
    expect(await found()).toEqual([]);
    await record([failed(-1.5)]);
    expect(await found()).toEqual([id]);
    expect(await findFailing(db, 120)).toMatchObject([
      { since: expect.stringMatching(/^\d{4}-.*:\d\d.*Z$/) },
    ]);
    expect(await found(123)).toEqual([]);
  });

  test('not who failed once, long ago', async () => {
    await record([failed(121)]);
    expect(await found()).toEqual([]);
  });

  test('not who fires once a week, and misses twice', async () => {
    await record([failed(168)], [failed(0)]);
    expect(await found()).toEqual([]);
  });

  test('not who has not been tried for two days', async () => {
    await record(...everyDay(180, 60));
    expect(await found()).toEqual([]);
  });

  test('not whose success is not folded yet', async () => {
    await record(...everyDay(122, 2));
    expect(await found(119)).toEqual([id]);
    await sql`insert into herald.tallies (trigger_id, attempts, attempts_failed) values (${id}, 5, 4)`;
    expect(await found(119)).toEqual([]);
  });

  test('not whose success was folded by a release that knows nothing of this', async () => {
    await record(...everyDay(122, 2));
    await sql`
      insert into herald.stats (
        scope, grain, start, events, attempts, attempts_failed, retries, succeeded, failed, durations, latencies)
      values (${`trigger/${id}`}, 120, now() - interval '50 hours', 0, 2, 1, 0, 1, 0, '', '')`;
    expect(await found(119)).toEqual([]);
    expect(await found(47)).toEqual([id]);
  });

  test('not whose status changed since: who resumes it gives it a fresh period', async () => {
    await record(...everyDay(122, 2));
    await sql`update herald.triggers set status_changed_at = now() - interval '20 hours'`;
    expect(await found(119)).toEqual([]);
    expect(await found(17)).toEqual([id]);
  });

  test.each(['PAUSED', 'DISABLED'])('not a %s one', async (status) => {
    await record(...everyDay(122, 2));
    await sql`update herald.triggers set status = ${status}, status_reason = 'MANUAL'`;
    expect(await found(119)).toEqual([]);
  });
});
