/** A line is found by index: whoever stands in it, and the jobs of everybody else, are not read to see who comes next. */
import { randomUUID } from 'node:crypto';
import { type SQL, sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { BATCH_SETTINGS, type Database, openDatabase } from '../../src/store/database.ts';
import { takeTurns } from '../../src/store/turns.ts';
import { callFromLine, findLines, sweepIntoLine } from '../../src/store/waiting-lines.ts';
import { createTestDatabase } from '../support/database.ts';

const LENGTH = 2000;

let db: Database;
beforeAll(async () => {
  const { url: _, ...address } = await createTestDatabase();
  // As the worker's, and one connection for everything: what it has read is known to itself at once.
  db = openDatabase(address, { name: 'lines', max: 1, settings: BATCH_SETTINGS });
});
beforeEach(async () => {
  await db.execute(
    sql`truncate herald.triggers, herald.events, herald.invocations, graphile_worker._private_jobs cascade`,
  );
});
afterAll(() => db.$client.end());

async function insertTrigger(type: string): Promise<string> {
  const [trigger] = await db.execute<{ id: string }>(sql`
    insert into herald.triggers
      (id, project, name, type, url, retries, timeout_ms, content_mode, spec_version, headers, max_concurrency)
    values
      (herald.uuid_v7(), 'default', ${type}, ${type}, 'http://127.0.0.1:9/', 3, 5000, 'JSON', '1.0', '[]', 1000)
    returning id`);
  return trigger?.id ?? '';
}

async function queue(type: string, count: number): Promise<void> {
  await db.execute(sql`
    select count(*) from herald.queue_events((
      select json_agg(json_build_object('type', ${type}::text)) from generate_series(1, ${count}::int)))`);
}

test('sweeping looks up what is due, whatever the statistics say of the trigger', async () => {
  await insertTrigger('well');
  const triggerId = await insertTrigger('hangs');
  await queue('well', LENGTH);
  await db.execute(
    sql`update herald.invocations set status = 'SUCCEEDED', next_attempt_at = null, finished_at = now()`,
  );
  await db.execute(sql`delete from graphile_worker._private_jobs`);
  // Now they say that the other one has no invocations, and nobody a job.
  for (const table of ['herald.invocations', 'graphile_worker._private_jobs']) {
    await db.execute(sql.raw(`vacuum analyze ${table}`));
  }
  await queue('hangs', LENGTH);
  const asked: SQL[] = [];
  const heard = new Proxy(db, {
    get: (target, key) =>
      key === 'execute'
        ? (query: SQL) => {
            asked.push(query);
            return target.execute(query);
          }
        : Reflect.get(target, key),
  });
  expect(await sweepIntoLine(heard, [triggerId])).toBe(LENGTH);
  const [statement] = asked;
  const rows = await db.execute<{ 'QUERY PLAN': string }>(sql`explain ${statement}`);
  const plan = rows.map((one) => one['QUERY PLAN']).join('\n');
  expect(plan).toMatch(/Index Scan using invocations_pkey/);
  expect(plan).not.toMatch(/invocations_by_trigger|invocations_unfinished/);
});

test('calling, looking for a line and taking turns read the jobs of nobody else', async () => {
  const triggerId = await insertTrigger('a');
  await queue('a', LENGTH);
  expect(await sweepIntoLine(db, [triggerId])).toBe(LENGTH);

  async function read(): Promise<{ readonly scans: number; readonly rows: number }> {
    await db.execute(sql`select pg_stat_force_next_flush()`);
    const [row] = await db.execute<{ scans: number; rows: number }>(sql`
      select seq_scan::int as scans, (seq_tup_read + idx_tup_fetch)::int as rows
        from pg_stat_all_tables where relid = 'graphile_worker._private_jobs'::regclass`);
    if (row === undefined) throw new Error('the table has no statistics');
    return row;
  }

  const before = await read();
  expect(await callFromLine(db, [{ triggerId, count: 3 }])).toEqual([{ triggerId, called: 3, more: true }]);
  expect(await findLines(db)).toEqual([triggerId]);
  expect(await takeTurns(db, [{ invocationId: randomUUID(), triggerId }])).toEqual([false]);
  const after = await read();
  expect(after.scans - before.scans).toBe(0);
  expect(after.rows - before.rows).toBeLessThan(50);
});
