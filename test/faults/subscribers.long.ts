/**
 * 1,000 subscribers at 500 events a second: random reconnects, slow readers, three servers that are killed or shut down
 * again and again. Every stream is compared with the log, and the log with the tables.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { spawnHerald } from '../support/process.ts';
import { createRandom, SEED } from '../support/random.ts';
import { type Server, stormSubscribers } from './subscribers.ts';

const RATE = Number(process.env.FAULT_RATE ?? 500);
const EVENTS = Number(process.env.FAULT_EVENTS ?? RATE * 40);
const SUBSCRIBERS = Number(process.env.FAULT_SUBSCRIBERS ?? 1000);
/** Of the subscribers: each gets some 1,150 updates a second. */
const OF_EVERYTHING = 4;

let app: TestApp;
let directory: string;
beforeAll(async () => {
  app = await startTestApp();
  directory = await mkdtemp(join(tmpdir(), 'herald-subscribers-'));
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

function createServer(slot: number): () => Promise<Server> {
  let starts = 0;
  return async () => {
    const signal = (slot + starts++) % 2 === 0 ? 'SIGKILL' : 'SIGTERM';
    const api = spawnHerald({
      DATABASE_URL: app.database.url,
      DATA_DIR: join(directory, String(slot)),
      ADMIN_TOKEN: TOKEN,
      ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
      ROLES: 'api',
    });
    const { url } = await api.ready();
    return {
      url,
      async end() {
        api.child.kill(signal);
        await api.exited();
      },
    };
  };
}

test(`no stream has a gap: ${SUBSCRIBERS} subscribers at ${RATE}/s (FAULT_SEED=${SEED})`, async () => {
  const report = await stormSubscribers({
    ...{ app, start: [0, 1, 2].map(createServer), ends: [0, 1, 2, 0, 1, 2] },
    ...{ events: EVENTS, rate: RATE, types: 100 },
    ...{ subscribers: SUBSCRIBERS - OF_EVERYTHING, ofEverything: OF_EVERYTHING },
    random: createRandom(),
  });
  console.log(JSON.stringify({ subscribers: SUBSCRIBERS, rate: RATE, events: EVENTS, ...report }));
  expect(report.reconnects).toBeGreaterThan(SUBSCRIBERS);
}, 600_000);
