/** No stream has a gap, in a small storm: one server is shut down and comes back, another one is killed. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { spawnHerald } from '../support/process.ts';
import { createRandom, SEED } from '../support/random.ts';
import { type Server, stormSubscribers } from './subscribers.ts';

const EVENTS = 300;
const SUBSCRIBERS = 50;

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ env: { CONCURRENCY: '40' } });
});
afterAll(() => app[Symbol.asyncDispose]());

async function startHere(): Promise<Server> {
  const api = await startTestApp({ database: app.database, env: { ROLES: 'api' } });
  return { url: api.url, end: async () => api[Symbol.asyncDispose]() };
}

/** A process the first time, which is killed; afterwards the same without one, which starts faster. */
function createKillable(): () => Promise<Server> {
  let starts = 0;
  return async () => {
    if (starts++ > 0) return startHere();
    const api = spawnHerald({
      DATABASE_URL: app.database.url,
      ADMIN_TOKEN: TOKEN,
      ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
      ROLES: 'api',
    });
    const { url } = await api.ready();
    return { url, end: async () => api[Symbol.asyncDispose]() };
  };
}

test(`no stream has a gap (FAULT_SEED=${SEED})`, async () => {
  const report = await stormSubscribers({
    ...{ app, start: [startHere, createKillable()], ends: [0, 1] },
    ...{ events: EVENTS, rate: 120, types: 3, subscribers: SUBSCRIBERS, ofEverything: 10 },
    random: createRandom(),
  });
  expect(report.reconnects).toBeGreaterThan(SUBSCRIBERS);
}, 180_000);
