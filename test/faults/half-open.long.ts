/** Half-open connections to the database (F11): nothing passes, and nobody says that it is over. */
import { expect, test } from 'vitest';
import { createTrigger } from '../support/app.ts';
import { check, drained } from '../support/checker.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { startFleet } from '../support/fleet.ts';
import { createClientLedger, startLoad, startReceiverLedger } from '../support/ledger.ts';
import { createRandom } from '../support/random.ts';
import { until } from '../support/until.ts';

const CONCURRENCY = 20;
/** The promise is 30 s; the rest is for a machine that has more to do. */
const DETECTED_MS = 40_000;

test('connections that are there go silent, new ones work: found and replaced within 30 s', async () => {
  const database = await createTestDatabase();
  await using sql = openSql(database);
  await using fleet = await startFleet({ database, members: [{ CONCURRENCY: String(CONCURRENCY) }] });
  await using receiver = await startReceiverLedger();
  await fleet.ready();
  const type = 'silent';
  await createTrigger(fleet, { type, url: receiver.receiver.url, retries: 10, retrySchedule: [0] });
  const clients = createClientLedger();
  const load = startLoad({
    ledger: clients,
    urls: fleet.urls,
    random: createRandom(),
    type,
    callers: 4,
    restMs: 20,
  });
  await until(() => receiver.answered.length > 50, 'some deliveries');
  expect(fleet.members[0]?.proxy.silence()).toBeGreaterThan(3);
  const silentAt = performance.now();
  const [acknowledged, delivered] = [clients.acknowledged(), receiver.answered.length];
  await until(
    () => clients.acknowledged() > acknowledged + 20 && receiver.answered.length > delivered + 20,
    'queueing and delivering to go on',
    DETECTED_MS,
  );
  expect(performance.now() - silentAt).toBeLessThan(DETECTED_MS);
  await load.stop();
  await drained(sql, 90_000);
  await check({ clients, receiver, sql, duplicatesMax: 2 * CONCURRENCY });
}, 240_000);

test('a process cut off from the database without a word: others take over, and nothing is claimed twice', async () => {
  const database = await createTestDatabase();
  await using sql = openSql(database);
  const member = { CONCURRENCY: String(CONCURRENCY) };
  await using fleet = await startFleet({
    database,
    members: [{ ROLES: 'api' }, { ...member, ROLES: 'worker' }, { ...member, ROLES: 'worker' }],
  });
  await using receiver = await startReceiverLedger();
  await fleet.ready();
  const type = 'partition';
  receiver.receiver.answer = (_, res) => void setTimeout(() => res.writeHead(204).end(), 300);
  await createTrigger(fleet, { type, url: receiver.receiver.url, retries: 10, retrySchedule: [0] });
  const clients = createClientLedger();
  const load = startLoad({
    ledger: clients,
    urls: fleet.urls,
    random: createRandom(),
    type,
    callers: 8,
    restMs: 20,
  });
  await until(() => receiver.answered.length > 50, 'some deliveries');
  const [, cutOff] = fleet.members;
  if (cutOff === undefined) throw new Error('the fleet is not complete');
  cutOff.proxy.mode = 'SILENT';
  const silentAt = performance.now();
  await until(
    async () =>
      (
        await sql`select from graphile_worker._private_jobs j join herald.workers w on w.pool_id = j.locked_by
          where w.name like ${`%/${cutOff.process.pid}`}`
      ).length === 0,
    'its jobs to be taken over',
    60_000,
  );
  expect(performance.now() - silentAt).toBeLessThan(DETECTED_MS);
  cutOff.proxy.mode = 'OPEN';
  cutOff.proxy.cut();
  await load.stop();
  await drained(sql, 60_000);
  await check({ clients, receiver, sql, duplicatesMax: 2 * CONCURRENCY });
}, 240_000);
