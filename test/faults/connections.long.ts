/** Connections to the database die, one by one or silently, and notifications are lost (F10, F11, F15). */
import { createClient } from 'graphql-sse';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { check, drained } from '../support/checker.ts';
import { createTestDatabase, openSql, type TestDatabase } from '../support/database.ts';
import {
  createClientLedger,
  type ReceiverLedger,
  startLoad,
  startReceiverLedger,
} from '../support/ledger.ts';
import { type PostgresProxy, startProxy } from '../support/proxy.ts';
import { createRandom } from '../support/random.ts';
import { terminateRandomBackend } from '../support/storm.ts';
import { until } from '../support/until.ts';

const CONCURRENCY = 10;
/** The queue looks for jobs every 2 s without being told; the rest is for a machine that has more to do. */
const POLL_MS = 5000;
const LISTENER = 'herald listen';

let database: TestDatabase;
let sql: ReturnType<typeof openSql>;
let proxy: PostgresProxy;
let app: TestApp;
let receiver: ReceiverLedger;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = openSql(database);
  proxy = await startProxy(database);
  const url = `postgres://${database.user}@127.0.0.1:${proxy.port}/${database.database}`;
  app = await startTestApp({
    database: { ...database, url },
    env: { CONCURRENCY: String(CONCURRENCY), SHUTDOWN_SECONDS: '2' },
  });
  receiver = await startReceiverLedger();
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
  await sql.end();
});

/** Everything an event's change feed has shown. */
function watch(type: string) {
  const seen: { readonly kind: string; readonly status: string; readonly id: string }[] = [];
  const client = createClient({
    url: `${app.url}/graphql`,
    singleConnection: false,
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const query = `subscription ($type: String!) {
    invocationUpdated(filter: {eventType: [$type]}) { kind status invocation { id } } }`;
  const stop = client.subscribe<{
    invocationUpdated: { kind: string; status: string; invocation: { id: string } | null };
  }>(
    { query, variables: { type } },
    {
      next: ({ data }) => {
        const update = data?.invocationUpdated;
        if (update != null)
          seen.push({ kind: update.kind, status: update.status, id: update.invocation?.id ?? '' });
      },
      error: () => {},
      complete: () => {},
    },
  );
  return {
    seen,
    succeeded: () => new Set(seen.filter(({ status }) => status === 'SUCCEEDED').map(({ id }) => id)),
    stop,
  };
}

test('a backend is terminated every 100 ms, listeners and lock holder too', async () => {
  const type = 'terminated';
  await createTrigger(app, { type, url: receiver.receiver.url, retries: 10, retrySchedule: [0] });
  const clients = createClientLedger();
  const load = startLoad({
    ledger: clients,
    urls: () => [app.url],
    random: createRandom(),
    type,
    callers: 6,
    restMs: 10,
  });
  await until(() => clients.acknowledged() > 20, 'some load');
  for (let n = 0; n < 25; n++) {
    await terminateRandomBackend(sql);
    const before = performance.now();
    await until(() => performance.now() - before > 100, 'the next victim');
  }
  const names = ['herald listen', 'herald alive', 'herald queue'];
  for (const name of names) {
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = ${name} and datname = current_database()`;
  }
  const before = clients.acknowledged();
  await until(() => clients.acknowledged() > before + 20, 'queueing to go on');
  await load.stop();
  await drained(sql, 25_000);
  // Every termination may have hit the lock, whose loss looks like a death.
  await check({ clients, receiver, sql, duplicatesMax: 28 * 2 * CONCURRENCY });
  expect([...clients.refusals].filter((status) => status !== 503)).toEqual([]);
  await until(
    async () =>
      (
        await sql`
        select from pg_locks l join pg_stat_activity a using (pid)
          where l.locktype = 'advisory' and a.application_name = 'herald alive' and a.datname = current_database()`
      ).length > 0,
    'the process to hold its lock again',
  );
}, 90_000);

test('notifications are lost: deliveries come by polling', async () => {
  await createTrigger(app, { type: 'unheard', url: receiver.receiver.url });
  const clients = createClientLedger();
  proxy.losesNotifications = true;
  try {
    for (let n = 0; n < 5; n++) {
      const count = receiver.answered.length;
      await clients.queue(app.url, `unheard-${n}`, { type: 'unheard', keyed: false });
      const queuedAt = performance.now();
      await until(() => receiver.answered.length > count, 'the delivery');
      expect(performance.now() - queuedAt).toBeLessThan(POLL_MS);
    }
  } finally {
    proxy.losesNotifications = false;
  }
  await drained(sql, 15_000);
}, 60_000);

test('the listener is cut off for a while: subscribers miss nothing', async () => {
  const type = 'gap';
  await createTrigger(app, { type, url: receiver.receiver.url });
  // One for another day: its SNAPSHOT says that the subscription stands.
  await queueEvent(app, { type, delay: 86_400 });
  const watching = watch(type);
  const clients = createClientLedger();
  await until(() => watching.seen.length > 0, 'the subscription');
  await clients.queue(app.url, 'gap-first', { type, keyed: false });
  await until(() => watching.succeeded().size === 1, 'the first one');
  for (let round = 0; round < 3; round++) {
    expect(proxy.cut(LISTENER)).toBe(1);
    await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        clients.queue(app.url, `gap-${round}-${n}`, { type, keyed: false }),
      ),
    );
    await until(() => watching.succeeded().size === 1 + (round + 1) * 10, 'every change to be shown');
  }
  watching.stop();
}, 60_000);
