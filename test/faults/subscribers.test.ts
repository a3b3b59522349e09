/**
 * Subscribers that are cut off, reconnect, read slowly or lose their server, while events are queued, fail and are
 * retried (reliability: F15, F29). The checker compares what each of them was told with the log that the transactions
 * wrote, and with the tables: every change, in order, none made up; repetitions are allowed.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTrigger, startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { type HeraldProcess, spawnHerald } from '../support/process.ts';
import { ok, startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { followOverSse, followOverWebSocket, type Link, type Update } from './follow.ts';

const EVENTS = Number(process.env.FAULT_EVENTS ?? 300);
const SUBSCRIBERS = Number(process.env.FAULT_SUBSCRIBERS ?? 60);
const SEED = Number(process.env.FAULT_SEED ?? Date.now() % 100_000);
const TYPES = ['storm.a', 'storm.b', 'storm.c'];

let app: TestApp;
let directory: string;
const apis: (HeraldProcess | undefined)[] = [];
beforeAll(async () => {
  app = await startTestApp({ env: { CONCURRENCY: '40' } });
  directory = await mkdtemp(join(tmpdir(), 'herald-subscribers-'));
});
afterAll(async () => {
  for (const api of apis) await api?.[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

/** mulberry32. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function startApi(slot: number): Promise<string> {
  const api = spawnHerald({
    DATABASE_URL: app.database.url,
    DATA_DIR: join(directory, String(slot)),
    ADMIN_TOKEN: TOKEN,
    ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    ROLES: 'api',
  });
  apis[slot] = api;
  return (await api.ready()).url;
}

const nameOf = ({ previousStatus, status, attempt }: Update): string =>
  `${previousStatus ?? '-'} ${status} ${attempt?.number ?? '-'}`;

interface Subscriber {
  readonly type: string | null;
  readonly updates: Update[];
  cursor: string;
  reconnects: number;
}

test(
  `no stream has a gap (seed ${SEED})`,
  async () => {
    const random = createRandom(SEED);
    await using sql = openSql(app.database);
    await using receiver = await startReceiver();
    receiver.answer = (delivery, res) => {
      if (random() < 0.3) return void res.writeHead(503).end();
      setTimeout(() => ok(delivery, res), random() * 40);
    };
    for (const type of TYPES) {
      await createTrigger(app, { type, url: receiver.url, retrySchedule: [0], retries: 2 });
    }
    // The first one is this process; the others are killed and restarted.
    const urls = [app.url, await startApi(1), await startApi(2)];
    const { changeCursor } = await app.graphql<{ changeCursor: string }>('{ changeCursor }');

    let stopped = false;
    const subscribers = Array.from({ length: SUBSCRIBERS }, (_, n): Subscriber => {
      const type = TYPES[n % (TYPES.length + 1)] ?? null;
      return { type, updates: [], cursor: changeCursor, reconnects: -1 };
    });
    const following = subscribers.map(async (subscriber, n) => {
      const follow = n % 2 === 0 ? followOverWebSocket : followOverSse;
      const slowMs = n % 10 === 1 ? 5 : 0;
      while (!stopped) {
        subscriber.reconnects++;
        const link: Link = follow({
          url: urls[Math.floor(random() * urls.length)] ?? app.url,
          token: TOKEN,
          type: subscriber.type,
          after: subscriber.cursor,
          slowMs,
          told: (update) => {
            subscriber.updates.push(update);
            if (update.cursor !== null) subscriber.cursor = update.cursor;
          },
        });
        const cut = n % 3 === 0 ? 300 + random() * 1500 : 3000 + random() * 5000;
        await Promise.race([link.ended, pause(cut).then(() => link.cut())]);
        await link.ended;
        await pause(random() * 100);
      }
    });

    let queued = 0;
    const queueing = (async () => {
      while (queued < EVENTS) {
        const size = Math.min(EVENTS - queued, 1 + Math.floor(random() * 8));
        const events = Array.from({ length: size }, () => ({
          type: TYPES[Math.floor(random() * TYPES.length)],
        }));
        const response = await app.post('/v1/api/default/eventing/admin-queue', { events });
        expect(response.status).toBe(200);
        queued += size;
        await pause(20 + random() * 30);
      }
    })();
    // A transaction that is begun early and commits late.
    const late = await sql.reserve();
    await late`begin`;
    await late`select herald.queue_event(${TYPES[0] ?? ''}, '"late"')`;
    for (const [slot, signal] of [
      [1, 'SIGTERM'],
      [2, 'SIGKILL'],
    ] as const) {
      await until(() => queued > (EVENTS * slot) / 3, 'some to be queued', 60_000);
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'herald listen' and datname = current_database()`;
      apis[slot]?.child.kill(signal);
      await apis[slot]?.exited();
      urls[slot] = await startApi(slot);
    }
    await late`commit`;
    late.release();
    await queueing;
    await until(
      async () => (await sql`select from herald.invocations where finished_at is null limit 1`).length === 0,
      'the drain',
      60_000,
    );

    const log = await sql`select c.entries from herald.changes c order by c.id`;
    const types = new Map(
      (
        await sql`select i.id, e.type from herald.invocations i join herald.events e on e.id = i.event_id`
      ).map(({ id, type }) => [String(id), String(type)]),
    );
    const expected = new Map<string, string[]>();
    for (const line of log.flatMap(({ entries }) => String(entries).split('\n'))) {
      const [kind, id = '', from, to, attempt] = line.split(' ');
      if (kind === 'I') expected.set(id, [...(expected.get(id) ?? []), `${from} ${to} ${attempt}`]);
    }
    expect(expected.size).toBe(EVENTS + 1);

    for (const [n, subscriber] of subscribers.entries()) {
      const wanted = [...expected].filter(
        ([id]) => subscriber.type === null || types.get(id) === subscriber.type,
      );
      const heard = () => {
        const told = new Map<string, Set<string>>();
        for (const update of subscriber.updates) {
          const id = update.invocation?.id ?? 'RESYNC';
          told.set(id, (told.get(id) ?? new Set()).add(nameOf(update)));
        }
        return told;
      };
      const total = wanted.reduce((sum, [, changes]) => sum + changes.length, 0);
      const count = () => [...heard().values()].reduce((sum, changes) => sum + changes.size, 0);
      await until(() => count() >= total, `subscriber ${n} to be told everything`, 60_000).catch(() => {});
      // A Set keeps the order of what came first.
      const told = new Map([...heard()].map(([id, changes]) => [id, [...changes]]));
      expect(told, `subscriber ${n} after ${subscriber.reconnects} reconnects`).toEqual(new Map(wanted));
    }
    stopped = true;
    await Promise.all(following);

    // The log is what the tables say.
    const rows = await sql`select id, status, attempt_count from herald.invocations`;
    for (const { id, status, attempt_count: attempts } of rows) {
      const changes = expected.get(String(id)) ?? [];
      expect(changes.at(-1)).toContain(` ${status} `);
      expect(new Set(changes.map((change) => change.split(' ')[2]).filter((one) => one !== '-')).size).toBe(
        attempts,
      );
    }
    expect(subscribers.reduce((sum, { reconnects }) => sum + reconnects, 0)).toBeGreaterThan(SUBSCRIBERS);
  },
  180_000 + EVENTS * 40,
);
