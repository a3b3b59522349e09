/** The queue's own statements look jobs up by their ids, also where the statistics say that there are none. */
import { Logger, run } from 'graphile-worker';
import pg from 'pg';
import type postgres from 'postgres';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { BATCH_SETTINGS, openWorkerPool } from '../../src/store/database.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { until } from '../support/until.ts';

/** Statements by name, as they were sent. */
const sent = new Map<string, string>();
let sql: postgres.Sql & AsyncDisposable;
let close: () => Promise<void>;

beforeAll(async () => {
  const { url: _, ...address } = await createTestDatabase();
  sql = openSql({ ...address, url: '' }, BATCH_SETTINGS, 1);
  await sql.unsafe('vacuum analyze graphile_worker._private_jobs');
  await sql`
    select count(*) from graphile_worker.add_jobs((
      select array_agg((
            'deliver', json_build_object('n', n), null, now() + (n / 40) * interval '1 day', 4, null, null, null
          )::graphile_worker.job_spec)
        from generate_series(0, 1999) n))`;
  const pool = openWorkerPool(address, { name: 'statements', max: 2, settings: BATCH_SETTINGS });
  const query = vi.spyOn(pg.Client.prototype, 'query');
  const runner = await run({
    pgPool: pool,
    noHandleSignals: true,
    parsedCronItems: [],
    logger: new Logger(() => () => {}),
    preset: {
      worker: {
        concurrentJobs: 100,
        localQueue: { size: 100 },
        completeJobBatchDelay: 50,
        failJobBatchDelay: 50,
      },
    },
    taskList: {
      deliver: async (payload) => {
        if ((payload as { readonly n: number }).n % 2 === 1) throw new Error('an odd one');
      },
    },
  });
  const left = async () => {
    const [row] = await sql<{ due: number; failed: number }[]>`
      select count(*) filter (where run_at <= now())::int as due, count(last_error)::int as failed
        from graphile_worker._private_jobs`;
    return row?.due === 0 && row.failed === 20;
  };
  await until(left, 'all that is due to be done');
  await runner.stop();
  for (const [first] of query.mock.calls as unknown as [{ name?: string; text: string }][]) {
    if (first?.name !== undefined) sent.set(first.name.replace(/\/.*/, ''), first.text);
  }
  query.mockRestore();
  close = async () => {
    await pool.end();
    await sql.end();
  };
});
afterAll(() => close());

test.each(['get_job100', 'complete_jobs', 'fail_job'])('%s', async (name) => {
  const text = sent.get(name);
  expect(text, `names sent: ${[...sent.keys()]}`).toBeDefined();
  const rows = await sql.unsafe(`explain (generic_plan, costs off) ${text}`);
  const plan = rows.map((row) => String(row['QUERY PLAN'])).join('\n');
  expect(plan).toMatch(/using jobs_pkey\w* on _private_jobs jobs\n\s+Index Cond: [^\n]*id = ANY/);
  const scans = plan.match(/on _private_jobs jobs/g)?.length ?? 0;
  const conditions = plan.match(/on _private_jobs jobs[^\n]*\n\s+Index Cond/g)?.length ?? 0;
  // What is updated is named too, and is not a scan.
  expect(scans - conditions).toBe(1);
});
