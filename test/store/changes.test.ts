/** The live feed: nothing skipped, whatever the order of commits. */
import type postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listenForAnnouncements } from '../../src/store/announcements.ts';
import { readChanges, readPosition } from '../../src/store/change-log.ts';
import { type ChangeFeed, createChangeFeed } from '../../src/store/changes.ts';
import { type Database, openClient, openDatabase } from '../../src/store/database.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { until } from '../support/until.ts';

let sql: postgres.Sql;
let listener: postgres.Sql;
let db: Database;
let feed: ChangeFeed;
beforeAll(async () => {
  const database = await createTestDatabase();
  const { url: _, ...address } = database;
  sql = openSql(database);
  listener = openClient(address, { name: 'listen', max: 1 });
  db = openDatabase(address, { name: 'feed', max: 4 });
  feed = createChangeFeed(db, await listenForAnnouncements(listener));
});
afterAll(async () => {
  feed.close();
  await Promise.all([sql.end(), listener.end(), db.$client.end()]);
});

const queue = (on: postgres.Sql | postgres.TransactionSql, type: string) =>
  on`select herald.queue_event(${type})`;

/** Collects the types of queued events as the feed tells of them. */
function collect() {
  const types: string[] = [];
  const items = feed.watch<string>({
    start: () => Promise.resolve({ items: ['started'] }),
    select: (changes) => Promise.resolve({ items: changes.map(({ type }) => type) }),
    missed: () => 'missed',
  });
  const done = (async () => {
    for await (const type of items) types.push(type);
  })();
  return { types, items, done };
}

test('a transaction that commits late is told late, not skipped; it holds nobody up', async () => {
  const { types, items, done } = collect();
  await until(() => types.includes('started'));
  const late = await sql.reserve();
  await late`begin`;
  await queue(late, 'late');
  await queue(sql, 'early');
  await until(() => types.includes('early'), 'the early one');
  expect(types).not.toContain('late');
  await late`commit`;
  late.release();
  await until(() => types.includes('late'), 'the late one');
  await queue(sql, 'last');
  await until(() => types.includes('last'), 'the last one');
  expect(types).toEqual(['started', 'early', 'late', 'last']);
  await items.return?.();
  await done;
});

test('200 concurrent transactions, some rolled back, a listener that is cut: exactly the committed ones', async () => {
  const { types, items, done } = collect();
  await until(() => types.includes('started'));
  const work = Array.from({ length: 200 }, async (_, n) => {
    const ended = sql
      .begin(async (tx) => {
        await queue(tx, `n${n}`);
        if (n % 10 === 0) throw new Error('rolled back');
      })
      .catch(() => {});
    if (n === 100) {
      await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'listen' and datname = current_database()`;
    }
    await ended;
  });
  await Promise.all(work);
  await until(() => types.length >= 181, 'all of them');
  const committed = Array.from({ length: 200 }, (_, n) => `n${n}`).filter((_, n) => n % 10 !== 0);
  expect(types.slice(1).sort()).toEqual(committed.sort());
  await items.return?.();
  await done;
});

test('a transaction of more rows than a read returns is read whole, and not much beyond', async () => {
  const start = await readPosition(db);
  await sql.begin(async (tx) => {
    for (let n = 0; n < 12; n++) await queue(tx, 'large');
  });
  for (let n = 0; n < 30; n++) await queue(sql, 'small');
  const read = await readChanges(db, start, 2);
  if (read.kind === 'MISSED') throw new Error('missed');
  const types = read.changes.map(({ type }) => type);
  expect(types.slice(0, 13)).toEqual([...Array(12).fill('large'), 'small']);
  // Twenty rows are the next step.
  expect(types.length).toBeLessThan(42);
  expect(read).toMatchObject({ rows: 20, more: true });
});

test('a reader that does not read holds nothing up, and reads all of it in the end', async () => {
  const items = feed.watch<string>({
    start: () => Promise.resolve({ items: ['started'] }),
    select: (changes) => Promise.resolve({ items: changes.map(({ type }) => type) }),
    missed: () => 'missed',
  });
  expect(await items.next()).toEqual({ done: false, value: 'started' });
  // More than the feed keeps for those who follow it.
  for (let call = 0; call < 12; call++) {
    await sql`
      select count(*) from herald.queue_events((
        select json_agg(json_build_object('type', ${`flood ${call}`}::text)) from generate_series(1, 1000)))`;
  }
  const { types, items: others, done } = collect();
  await until(() => types.includes('started'));
  const seen = new Map<string, number>();
  while (seen.get('flood 11') !== 1000) {
    const { value } = await items.next();
    seen.set(value, (seen.get(value) ?? 0) + 1);
  }
  expect([...seen]).toEqual(Array.from({ length: 12 }, (_, call) => [`flood ${call}`, 1000]));
  await others.return?.();
  await done;
  await items.return?.();
  expect(await items.next()).toEqual({ done: true, value: undefined });
});

test('what is skipped was handed out: the next item is the one behind it', async () => {
  const items = feed.watch<string>({
    start: () => Promise.resolve({ items: ['one', 'two', 'three', 'four'], done: true }),
    select: () => Promise.resolve({ items: [] }),
    missed: () => 'missed',
  });
  expect((await items.next()).value).toBe('one');
  expect(items.peek()).toEqual(['two', 'three', 'four']);
  items.skip(2);
  expect(items.peek()).toEqual(['four']);
  expect((await items.next()).value).toBe('four');
  expect((await items.next()).done).toBe(true);
});

test('close completes every subscription', async () => {
  const { types, done } = collect();
  await until(() => types.includes('started'));
  feed.close();
  await done;
});
