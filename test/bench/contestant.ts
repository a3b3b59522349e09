/**
 * One worker process of the drain scenario: `herald`, or `bare`: graphile-worker and undici alone, the event in the
 * job, nothing recorded — the ceiling. Works until the queue is empty, then says so.
 */
import { Logger, run } from 'graphile-worker';
import { Agent, request } from 'undici';
import { createDeliver } from '../../src/actions/deliver-invocation.ts';
import { listenForAnnouncements } from '../../src/store/announcements.ts';
import {
  BATCH_SETTINGS,
  type DatabaseAddress,
  openClient,
  openDatabase,
  openWorkerPool,
} from '../../src/store/database.ts';
import { createSecretBox } from '../../src/store/secrets.ts';
import { createSender } from '../../src/webhook/send.ts';
import { startWorker } from '../../src/worker/runner.ts';

const [kind = '', address = '', url = '', concurrencyText = '300'] = process.argv.slice(2);
const concurrency = Number(concurrencyText);
const database = JSON.parse(address) as DatabaseAddress;

const start = kind === 'bare' ? startBare : startHerald;
const stop = await start();
process.send?.({ started: true });
process.once('message', async () => {
  await stop();
  process.send?.({ cpu: process.cpuUsage(), rss: process.memoryUsage.rss() });
  process.disconnect();
});

async function startHerald(): Promise<() => Promise<void>> {
  const db = openDatabase(database, { name: 'worker', max: 6, settings: BATCH_SETTINGS });
  const listener = openClient(database, { name: 'listen', max: 1 });
  const announcements = await listenForAnnouncements(listener);
  const log = () => {};
  const sender = createSender({
    policy: { mode: 'private', allowCidrs: [] },
    connectionsPerOrigin: concurrency,
  });
  const deliver = createDeliver({
    db,
    secrets: createSecretBox([Buffer.alloc(32, 7)]),
    sender,
    log,
    concurrency,
  });
  const worker = await startWorker({
    address: database,
    db,
    announcements,
    deliver,
    log,
    concurrency,
    retentionDays: 30,
  });
  return async () => {
    await worker.stop();
    await sender.close();
    await Promise.all([db.$client.end(), listener.end()]);
  };
}

async function startBare(): Promise<() => Promise<void>> {
  const pool = openWorkerPool(database, { name: 'bare', max: 4 });
  const dispatcher = new Agent({ connections: concurrency, pipelining: 1 });
  const runner = await run({
    pgPool: pool,
    noHandleSignals: true,
    parsedCronItems: [],
    logger: new Logger(() => () => {}),
    taskList: {
      async bare(payload) {
        const { body, statusCode } = await request(url, {
          dispatcher,
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(payload),
        });
        await body.dump();
        if (statusCode !== 200) throw new Error(String(statusCode));
      },
    },
    preset: {
      worker: {
        concurrentJobs: concurrency,
        localQueue: { size: concurrency * 4 },
        completeJobBatchDelay: 20,
        failJobBatchDelay: 20,
      },
    },
  });
  return async () => {
    await runner.stop();
    await Promise.all([dispatcher.close(), pool.end()]);
  };
}
