/**
 * Workers are killed at random under load (reliability: F01, F02, F04). The checker is Jepsen's total-queue: what was
 * acknowledged is delivered, what is delivered was queued, and one webhook-id has one body.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTrigger, startTestApp, type TestApp } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { type HeraldProcess, spawnHerald } from '../support/process.ts';
import { ok, startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';

const EVENTS = Number(process.env.FAULT_EVENTS ?? 1500);
const KILLS = Number(process.env.FAULT_KILLS ?? 4);
const WORKERS = 2;
const SEED = Number(process.env.FAULT_SEED ?? Date.now() % 100_000);

let app: TestApp;
let directory: string;
const workers: HeraldProcess[] = [];

beforeAll(async () => {
  app = await startTestApp({ env: { ROLES: 'api' } });
  directory = await mkdtemp(join(tmpdir(), 'herald-storm-'));
});
afterAll(async () => {
  for (const worker of workers) await worker[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

/** mulberry32: small, seeded, good enough to choose victims. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function startWorker(slot: number): HeraldProcess {
  return spawnHerald({
    DATABASE_URL: app.database.url,
    DATA_DIR: join(directory, String(slot)),
    ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    ROLES: 'worker',
    CONCURRENCY: '40',
  });
}

test(
  `nothing is lost and nothing made up while workers die (seed ${SEED})`,
  async () => {
    const random = createRandom(SEED);
    await using receiver = await startReceiver();
    // Answers late now and then, so that every kill finds attempts in flight; a few are refused at first.
    receiver.answer = (delivery, res) => {
      if (random() < 0.05) return void res.writeHead(500).end();
      setTimeout(() => ok(delivery, res), random() * 120);
    };
    await createTrigger(app, { type: 'storm', url: receiver.url, retrySchedule: [0], retries: 20 });
    for (let slot = 0; slot < WORKERS; slot++) workers[slot] = startWorker(slot);

    const acknowledged = new Set<string>();
    const queueing = (async () => {
      while (acknowledged.size < EVENTS) {
        const events = Array.from({ length: 50 }, (_, n) => ({ type: 'storm', data: acknowledged.size + n }));
        const response = await app.post('/v1/api/default/eventing/admin-queue', { events });
        const body = (await response.json()) as { events: readonly { id: string }[] };
        for (const { id } of body.events) acknowledged.add(id);
        await pause(40);
      }
    })();

    for (let kill = 0; kill < KILLS; kill++) {
      const seen = receiver.deliveries.length;
      await until(() => receiver.deliveries.length > seen + 20, 'deliveries to go on', 30_000);
      await pause(200 + random() * 500);
      const slot = Math.floor(random() * WORKERS);
      workers[slot]?.child.kill('SIGKILL');
      await workers[slot]?.exited();
      workers[slot] = startWorker(slot);
    }
    await queueing;

    await using sql = openSql(app.database);
    await until(
      async () => {
        const [row] = await sql`
      select (select count(*) from herald.invocations where finished_at is null)
        + (select count(*) from graphile_worker._private_jobs) as left`;
        return Number(row?.left) === 0;
      },
      'the drain',
      60_000 + EVENTS * 5,
    );

    const bodies = new Map<string, Set<string>>();
    const delivered = new Set<string>();
    for (const { headers, body, text } of receiver.deliveries) {
      const id = String(headers['webhook-id']);
      bodies.set(id, (bodies.get(id) ?? new Set()).add(createHash('sha256').update(body).digest('hex')));
      delivered.add((JSON.parse(text) as { id: string }).id);
    }
    expect([...acknowledged.difference(delivered)]).toEqual([]);
    expect([...delivered.difference(acknowledged)]).toEqual([]);
    expect([...bodies.values()].every((hashes) => hashes.size === 1)).toBe(true);
    const states = await sql`select status, count(*)::int as count from herald.invocations group by status`;
    expect(states.map((row) => ({ ...row }))).toEqual([{ status: 'SUCCEEDED', count: acknowledged.size }]);
    const overlong = await sql`select from herald.attempts where status = 'RUNNING'`;
    expect(overlong).toHaveLength(0);
  },
  120_000 + EVENTS * 10 + KILLS * 4000,
);
