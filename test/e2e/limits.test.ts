/** Limits of a trigger, receivers that hang, and multitudes that people move, with two processes on one database. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTrigger, startTestApp, type TestApp } from '../support/app.ts';
import { createTestDatabase, openSql, type TestDatabase } from '../support/database.ts';
import { ok, type Receiver, startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
let app: TestApp;
let other: TestApp;
beforeAll(async () => {
  database = await createTestDatabase();
  app = await startTestApp({ database, env: { CONCURRENCY: '60' } });
  other = await startTestApp({ database, env: { CONCURRENCY: '60' } });
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

const newType = () => `test.${crypto.randomUUID()}`;

async function queue(type: string, count: number): Promise<void> {
  await using sql = openSql(database);
  await sql`
    select count(*) from herald.queue_events((
      select json_agg(json_build_object('type', ${type}::text, 'data', n::text)) from generate_series(1, ${count}::int) n))`;
}

async function statuses(triggerId: string): Promise<Readonly<Record<string, number>>> {
  await using sql = openSql(database);
  const rows = await sql`
    select status, count(*)::int as count from herald.invocations where trigger_id = ${triggerId} group by status`;
  return Object.fromEntries(rows.map((row) => [row.status as string, row.count as number]));
}

/** A receiver that answers after a while and remembers how many requests it had at once. */
async function startCounting(answerAfterMs: number): Promise<{ receiver: Receiver; most: () => number }> {
  let open = 0;
  let most = 0;
  const receiver = await startReceiver((delivery, res) => {
    most = Math.max(most, ++open);
    setTimeout(() => {
      open--;
      ok(delivery, res);
    }, answerAfterMs);
  });
  return { receiver, most: () => most };
}

const MUTATE = (name: string, more = '') =>
  `mutation ($input: ${name[0]?.toUpperCase()}${name.slice(1)}Input!) { ${name}(input: $input) { ${more} userErrors { code } } }`;

test('maxConcurrency holds over both processes, and nothing is lost or costs a retry', async () => {
  const { receiver, most } = await startCounting(20);
  await using _ = receiver;
  const type = newType();
  const { id } = await createTrigger(app, { type, url: receiver.url, maxConcurrency: 3, retries: 0 });
  await queue(type, 100);
  await receiver.received(100, 30_000);
  await until(async () => (await statuses(id)).SUCCEEDED === 100, 'all to succeed');
  expect(most()).toBe(3);
  expect(receiver.deliveries).toHaveLength(100);
});

test('maxPerMinute spaces attempts evenly over both processes and plans no job again and again', async () => {
  await using receiver = await startReceiver();
  await using sql = openSql(database);
  const type = newType();
  const { id } = await createTrigger(app, { type, url: receiver.url, maxPerMinute: 600 });
  // Counted by a trigger: Postgres' own statistics come late, and another test's would count here.
  await sql.unsafe(`
    create sequence herald.job_writes minvalue 0;
    create function herald.count_job_write() returns trigger language plpgsql as
      $$ begin perform nextval('herald.job_writes'); return null; end $$;
    create trigger count_job_write after insert or update on graphile_worker._private_jobs
      for each row execute function herald.count_job_write()`);
  await queue(type, 40);
  const deliveries = await receiver.received(40, 20_000);
  const at = deliveries.map((delivery) => delivery.at);
  // 40 attempts 100 ms apart take 3.9 s; the first may find the last moment's tolerance.
  expect((at.at(-1) ?? 0) - (at[0] ?? 0)).toBeGreaterThan(3500);
  for (const [index, start] of at.entries()) {
    const within = at.slice(index).filter((moment) => moment < start + 1000).length;
    expect(within).toBeLessThanOrEqual(12);
  }
  await until(async () => (await statuses(id)).SUCCEEDED === 40, 'all to succeed');
  const [writes] = await sql`select last_value::int as count from herald.job_writes`;
  await sql`drop function herald.count_job_write() cascade`;
  expect(writes?.count).toBeLessThan(40 * 7);
});

test('a receiver that was down gets what it missed within its limit, and nothing fails that had retries left', async () => {
  await using receiver = await startReceiver((_, res) => void res.writeHead(503).end());
  const type = newType();
  const { id } = await createTrigger(app, {
    type,
    url: receiver.url,
    retries: 30,
    retrySchedule: [1],
    maxPerMinute: 1200,
  });
  await queue(type, 50);
  // All have failed at least once.
  await receiver.received(80, 30_000);
  const upAt = performance.now();
  receiver.answer = ok;
  await until(async () => (await statuses(id)).SUCCEEDED === 50, 'all to succeed', 30_000);
  const at = receiver.deliveries.map((delivery) => delivery.at).filter((moment) => moment > upAt);
  for (const [index, start] of at.entries()) {
    // 20 a second, and what a busy machine brings late.
    expect(at.slice(index).filter((moment) => moment < start + 1000).length).toBeLessThanOrEqual(26);
  }
});

test('a limit that is lifted lets the line go', async () => {
  await using receiver = await startReceiver();
  const type = newType();
  const { id } = await createTrigger(app, { type, url: receiver.url, maxPerMinute: 1 });
  await queue(type, 20);
  await receiver.received(1);
  await app.graphql(MUTATE('updateTrigger'), { input: { id, maxPerMinute: null } });
  await receiver.received(20);
  await until(async () => (await statuses(id)).SUCCEEDED === 20, 'all to succeed');
});

test('a receiver that hangs gets its share, others flow, and when it is back its line goes on', async () => {
  let hangs = true;
  const open = new Set<() => void>();
  await using slow = await startReceiver((delivery, res) => {
    if (!hangs) return ok(delivery, res);
    open.add(() => res.destroy());
  });
  await using healthy = await startReceiver();
  const slowType = newType();
  const { id } = await createTrigger(app, { type: slowType, url: slow.url, timeout: 3000, retries: 20 });
  const type = newType();
  await createTrigger(app, { type, url: healthy.url });
  await queue(slowType, 3000);
  await until(() => slow.deliveries.length >= 80, 'both shares to be full');
  await until(async () => {
    await using sql = openSql(database);
    const [row] = await sql`
      select count(*)::int as count from graphile_worker._private_jobs where payload ->> 'waits' = ${id}`;
    return (row?.count as number) > 2500;
  }, 'the others to stand in line');
  const startedAt = performance.now();
  for (let n = 0; n < 20; n++) {
    await queue(type, 1);
    await healthy.received(n + 1, 2000);
  }
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  hangs = false;
  for (const end of open) end();
  await until(async () => (await statuses(id)).SUCCEEDED === 3000, 'the line to be delivered', 40_000);
});

test('5,000 invocations are held, let go and cancelled in the background, and the answer is at once', async () => {
  await using receiver = await startReceiver();
  const type = newType();
  const { id } = await createTrigger(app, { type, url: receiver.url, paused: true });
  await queue(type, 5000);
  const resumed = await app.graphql<{ resumeTrigger: { releasedCount: number } }>(
    MUTATE('resumeTrigger', 'releasedCount'),
    { input: { id } },
  );
  expect(resumed.resumeTrigger.releasedCount).toBe(5000);
  await receiver.received(500, 20_000);
  await app.graphql(MUTATE('pauseTrigger'), { input: { id } });
  await until(async () => {
    const { PENDING = 0, RETRYING = 0, RUNNING = 0 } = await statuses(id);
    return PENDING + RETRYING + RUNNING === 0;
  }, 'the rest to be held');
  const seen = receiver.deliveries.length;
  const { HELD = 0, SUCCEEDED = 0 } = await statuses(id);
  expect([HELD + SUCCEEDED, SUCCEEDED]).toEqual([5000, seen]);
  const deleted = await app.graphql<{ deleteTrigger: { cancelledCount: number } }>(
    MUTATE('deleteTrigger', 'cancelledCount'),
    { input: { id } },
  );
  expect(deleted.deleteTrigger.cancelledCount).toBe(HELD);
  await until(async () => (await statuses(id)).CANCELLED === HELD, 'the rest to be cancelled');
  expect(receiver.deliveries).toHaveLength(seen);
  await using sql = openSql(database);
  await until(
    async () =>
      (
        await sql`
          select from graphile_worker._private_jobs j join herald.invocations i on i.id::text = j.key
            where i.trigger_id = ${id}`
      ).length === 0,
    'no job to be left',
  );
});

test('a deletion in the middle of a flood: no attempt starts after its answer', async () => {
  await using receiver = await startReceiver();
  const type = newType();
  const { id } = await createTrigger(app, { type, url: receiver.url, maxPerMinute: 6000 });
  await queue(type, 5000);
  await receiver.received(50);
  await app.graphql(MUTATE('deleteTrigger', 'cancelledCount'), { input: { id } });
  const answeredAt = performance.now();
  await until(async () => {
    const { CANCELLED = 0, SUCCEEDED = 0 } = await statuses(id);
    return CANCELLED + SUCCEEDED === 5000;
  }, 'all to be final');
  // What was on the wire, or about to be, when the deletion was committed; the others would have come for 50 s.
  expect(receiver.deliveries.filter(({ at }) => at > answeredAt + 2000)).toHaveLength(0);
});

test('new retries reach all unfinished invocations', async () => {
  const type = newType();
  const { id } = await createTrigger(app, { type, url: 'http://127.0.0.1:9/', retries: 3, paused: true });
  await queue(type, 6000);
  await app.graphql(MUTATE('updateTrigger'), { input: { id, retries: 5 } });
  await app.graphql(MUTATE('updateTrigger'), { input: { id, retries: 7 } });
  await using sql = openSql(database);
  await until(async () => {
    const rows = await sql`select distinct max_attempts from herald.invocations where trigger_id = ${id}`;
    return rows.length === 1 && rows[0]?.max_attempts === 8;
  }, 'all to have 8 attempts');
  await until(
    async () => (await sql`select from herald.retry_changes`).length === 0,
    'the end of both changes',
  );
  await app.graphql(MUTATE('deleteTrigger'), { input: { id } });
});

test('what is resumed does not wait until new retries have reached all', async () => {
  await using receiver = await startReceiver();
  const type = newType();
  const { id } = await createTrigger(app, { type, url: receiver.url, retries: 3, paused: true });
  await queue(type, 2500);
  await using sql = openSql(database);
  // Somebody holds the first one of the second chunk: the change of retries stands still there.
  const holder = await sql.reserve();
  await holder`begin`;
  await holder`
    select from herald.invocations where id = (
      select id from herald.invocations where trigger_id = ${id} order by id offset 1000 limit 1) for update`;
  await app.graphql(MUTATE('updateTrigger'), { input: { id, retries: 5 } });
  await app.graphql(MUTATE('resumeTrigger'), { input: { id } });
  await until(async () => (await statuses(id)).SUCCEEDED === 2499, 'all others to be delivered', 25_000);
  expect(await sql`select from herald.retry_changes where trigger_id = ${id}`).toHaveLength(1);
  await holder`rollback`;
  holder.release();
  await until(
    async () => (await sql`select from herald.retry_changes where trigger_id = ${id}`).length === 0,
    'the change to go on',
  );
});
