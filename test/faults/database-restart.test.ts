/** The database goes away under load and comes back: nothing acknowledged is lost, nothing false acknowledged. */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EmbeddedPostgres, startEmbedded } from '../../src/store/embedded.ts';
import { createTrigger, startTestApp, type TestApp } from '../support/app.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';

let directory: string;
let server: EmbeddedPostgres;
let app: TestApp;
let receiver: Receiver;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'herald-faults-'));
  await chmod(directory, 0o755);
  server = await startEmbedded({ dataDir: join(directory, 'data') });
  const { host, port, user, database } = server.connection;
  const url = `postgres://${user}@localhost/${database}?host=${encodeURIComponent(host)}&port=${port}`;
  app = await startTestApp({ database: { ...server.connection, url } });
  receiver = await startReceiver();
  await createTrigger(app, { type: 'fault', url: receiver.url });
});
afterAll(async () => {
  await receiver[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Queues without a break; keeps what was acknowledged. */
function queueing() {
  const acknowledged = new Set<string>();
  const refusals = new Set<number>();
  let going = true;
  const callers = Array.from({ length: 8 }, async () => {
    while (going) {
      const response = await app.post('/queue', { type: 'fault', data: 1 });
      const body = (await response.json()) as { id?: string };
      if (response.status === 200 && body.id !== undefined) acknowledged.add(body.id);
      else refusals.add(response.status);
    }
  });
  return {
    acknowledged,
    refusals,
    stop: async () => {
      going = false;
      await Promise.all(callers);
    },
  };
}

test.each(['fast shutdown', 'SIGKILL of the postmaster'])(
  '%s',
  async (how) => {
    const before = receiver.deliveries.length;
    const load = queueing();
    await until(() => load.acknowledged.size > 50, 'some load');
    if (how === 'fast shutdown') {
      await server.stop();
    } else {
      const pid = await readFile(join(server.dataDir, 'postgres', 'postmaster.pid'), 'utf8');
      process.kill(Number(pid.split('\n')[0]), 'SIGKILL');
      await server.exited;
    }
    await until(() => load.refusals.size > 0, 'the callers to hear of it');
    expect((await fetch(`${app.url}/readyz`)).status).toBe(503);
    server = await startEmbedded({ dataDir: join(directory, 'data') });
    const away = load.acknowledged.size;
    await until(() => load.acknowledged.size > away + 50, 'the load to go on');
    await load.stop();
    expect([...load.refusals]).toEqual([503]);

    const delivered = () =>
      new Set(receiver.deliveries.slice(before).map(({ text }) => (JSON.parse(text) as { id: string }).id));
    await until(
      () => load.acknowledged.isSubsetOf(delivered()),
      'every acknowledged event to be delivered',
      25_000,
    );
    const unfinished = await until(
      async () => {
        const { invocations } = await app.graphql<{ invocations: { totalCount: { value: number } } }>(
          '{ invocations(filter: {status: [SCHEDULED, QUEUED, RUNNING, RETRYING, HELD]}) { totalCount { value } } }',
        );
        return invocations.totalCount.value === 0 && invocations;
      },
      'every invocation to be finished',
      25_000,
    );
    expect(unfinished.totalCount.value).toBe(0);
  },
  90_000,
);
