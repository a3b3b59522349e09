/** The statement with which graphile-worker fetches jobs: by index, whatever the statistics of its table say. */
import type pg from 'pg';
import { expect, test } from 'vitest';
import { createLog } from '../../src/log.ts';
import { BATCH_SETTINGS, openDatabase, openWorkerPool } from '../../src/store/database.ts';
import { runQueue } from '../../src/worker/queue.ts';
import { createSuspectLane } from '../../src/worker/suspects.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { until } from '../support/until.ts';

type Query = pg.Client['query'];

test('a backlog is fetched by index where statistics were made while the table was all but empty', async () => {
  const database = await createTestDatabase();
  const { url: _, ...address } = database;
  await using sql = openSql(database);
  await using opened = new AsyncDisposableStack();
  const db = openDatabase(address, { name: 'fetching', max: 1 });
  opened.defer(() => db.$client.end());
  const pool = openWorkerPool(address, {
    name: 'fetching queue',
    max: 4,
    settings: BATCH_SETTINGS,
    onBroken: () => {},
  });
  opened.defer(() => pool.end());
  let fetch: { readonly text: string; readonly values: readonly unknown[] } | null = null;
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    client.query = ((...args: unknown[]) => {
      const [asked] = args as [{ text?: string; values?: readonly unknown[] }];
      if (asked.text?.includes('skip locked')) fetch = { text: asked.text, values: asked.values ?? [] };
      return query(...args);
    }) as Query;
  });
  const queue = await runQueue(
    {
      log: createLog('silent'),
      concurrency: 300,
      deliver: async () => 'DONE',
      db,
      suspects: createSuspectLane(),
    },
    pool,
  );
  const { text, values } = await until(() => fetch, 'a fetch').finally(() => queue.stop());

  await sql`alter table graphile_worker._private_jobs set (autovacuum_enabled = false)`;
  const add = (count: number) => sql`
    insert into graphile_worker._private_jobs (task_id, payload, key)
    select t.id, '{}', gen_random_uuid() from graphile_worker._private_tasks t, generate_series(1, ${count}::int)`;
  const plan = async (): Promise<string> => {
    const { rows } = await pool.query<{ 'QUERY PLAN': string }>(`explain ${text}`, [...values]);
    return rows.map((row) => row['QUERY PLAN']).join('\n');
  };
  const byIndex = (found: string): void => {
    expect(found).toMatch(/Index Scan using jobs_main_index/);
    expect(found).toMatch(
      /Index Scan using jobs_pkey1? on _private_jobs[^\n]*\n\s+Index Cond: \(id = j\.id\)/,
    );
    expect(found).not.toMatch(/Bitmap|(?:Hash|Merge) Join/);
  };
  byIndex(await plan());
  await add(150_000);
  byIndex(await plan());
  await sql`delete from graphile_worker._private_jobs where id % 500 > 0`;
  await sql`vacuum analyze graphile_worker._private_jobs`;
  byIndex(await plan());
  await add(20_000);
  byIndex(await plan());
});
