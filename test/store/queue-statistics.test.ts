/** A queue that was empty when an autovacuum came by, and is flooded: what is added must not read all that is there. */
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BATCH_SETTINGS, type Database, openDatabase } from '../../src/store/database.ts';
import { refreshQueueStatistics } from '../../src/store/queue-statistics.ts';
import { createTestDatabase } from '../support/database.ts';

const JOBS = 3000;

let db: Database;
beforeAll(async () => {
  const { url: _, ...address } = await createTestDatabase();
  db = openDatabase(address, { name: 'statistics', max: 1, settings: BATCH_SETTINGS });
});
afterAll(() => db.$client.end());

/** Rows of the queue's table read so far. */
async function read(): Promise<number> {
  await db.execute(sql`select pg_stat_force_next_flush()`);
  const [row] = await db.execute<{ rows: number }>(sql`
    select (seq_tup_read + idx_tup_fetch)::int as rows
      from pg_stat_all_tables where relid = 'graphile_worker._private_jobs'::regclass`);
  return row?.rows ?? Number.NaN;
}

const add = (from: number, to: number) =>
  db.execute(sql`
    select count(*) from graphile_worker.add_jobs((
      select array_agg((
            'deliver', '{}'::json, null, now() + interval '1 day', 4, n::text, null, null
          )::graphile_worker.job_spec)
        from generate_series(${from}::int, ${to}::int) n))`);

test('statistics of an empty queue are taken anew once it is full, and not again', async () => {
  await db.execute(sql`vacuum analyze graphile_worker._private_jobs`);
  expect(await refreshQueueStatistics(db)).toBe(false);
  await add(1, JOBS);
  await db.execute(sql`select pg_stat_force_next_flush()`);
  expect(await refreshQueueStatistics(db)).toBe(true);
  expect(await refreshQueueStatistics(db)).toBe(false);
  const before = await read();
  await add(JOBS + 1, JOBS + 10);
  expect((await read()) - before).toBeLessThan(100);
});
