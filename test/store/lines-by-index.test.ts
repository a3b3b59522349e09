/** A line is found by index: whoever stands in it, and the jobs of everybody else, are not read to see who comes next. */
import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { BATCH_SETTINGS, openDatabase } from '../../src/store/database.ts';
import { takeTurns } from '../../src/store/turns.ts';
import { callFromLine, findLines, sweepIntoLine } from '../../src/store/waiting-lines.ts';
import { createTestDatabase } from '../support/database.ts';

const LENGTH = 2000;

test('calling, looking for a line and taking turns read the jobs of nobody else', async () => {
  const { url: _, ...address } = await createTestDatabase();
  // As the worker's, and one connection for everything: what it has read is known to itself at once.
  const db = openDatabase(address, { name: 'lines', max: 1, settings: BATCH_SETTINGS });
  await using opened = new AsyncDisposableStack();
  opened.defer(() => db.$client.end());
  const [trigger] = await db.execute<{ id: string }>(sql`
    insert into herald.triggers
      (id, project, name, type, url, retries, timeout_ms, content_mode, spec_version, headers, max_concurrency)
    values
      (herald.uuid_v7(), 'default', 'a', 'a', 'http://127.0.0.1:9/', 3, 5000, 'JSON', '1.0', '[]', 1000)
    returning id`);
  const triggerId = trigger?.id ?? '';
  await db.execute(sql`
    select count(*) from herald.queue_events((
      select json_agg(json_build_object('type', 'a')) from generate_series(1, ${LENGTH}::int)))`);
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
