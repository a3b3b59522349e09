/**
 * Three whole Heralds, a durable Postgres, clients that insist and clients that do not; then processes are killed and
 * stopped, connections cut, and the database restarted, in an order that the seed decides.
 */
import { expect, test } from 'vitest';
import { createTrigger } from '../support/app.ts';
import { check, drained, leasesAreGone, onlyTheLiving } from '../support/checker.ts';
import { openSql } from '../support/database.ts';
import { startFleet } from '../support/fleet.ts';
import { createClientLedger, startLoad, startReceiverLedger } from '../support/ledger.ts';
import { startOwnPostgres } from '../support/own-postgres.ts';
import { createRandom, SEED } from '../support/random.ts';
import { ok } from '../support/receiver.ts';
import { type Fault, rage } from '../support/storm.ts';
import { until } from '../support/until.ts';

const CONCURRENCY = 20;

test(`killed, stopped, cut, restarted: nothing lost, nothing made up (FAULT_SEED=${SEED})`, async () => {
  // One source for the faults alone, whose order the load does not disturb; one for everything else.
  const random = createRandom();
  const database = random.pick<Fault>(['RESTART', 'CRASH', 'POWER_CUT']);
  const faults = random.shuffled<Fault>(['KILL', 'STOP', 'CUT', database]);
  const chance = createRandom(SEED + 1);
  await using postgres = await startOwnPostgres();
  await using sql = openSql(postgres.database);
  const settings = { CONCURRENCY: String(CONCURRENCY) };
  await using fleet = await startFleet({
    database: postgres.database,
    members: [settings, settings, settings],
  });
  fleet.tellOnFailure();
  await using receiver = await startReceiverLedger();
  // Late now and then, so that every fault finds attempts in flight; a few are refused at first.
  receiver.receiver.answer = (delivery, res) => {
    if (chance.next() < 0.03) return void res.writeHead(500).end();
    setTimeout(() => ok(delivery, res), chance.between(0, 100));
  };
  await fleet.ready();
  const trigger = { type: 'storm', url: receiver.receiver.url, retrySchedule: [0], retries: 20 };
  await createTrigger(fleet, trigger);
  const clients = createClientLedger();
  const load = startLoad({
    ledger: clients,
    urls: fleet.urls,
    random: chance,
    type: 'storm',
    callers: 8,
    restMs: 20,
  });
  await until(() => receiver.answered.length > 20, 'some deliveries');
  const { log, losses } = await rage({ fleet, postgres, sql, random, stopMs: 1500 }, faults, [300, 900]);
  const before = clients.acknowledged();
  await until(() => clients.acknowledged() > before + 50, 'the load to go on');
  await fleet.ready();
  await load.stop();
  await drained(sql, 20_000);

  // In flight at a fault: under way, or answered and not recorded yet.
  const duplicatesMax = losses * 2 * CONCURRENCY;
  const verdict = await check({ clients, receiver, sql, duplicatesMax });
  console.log(`storm FAULT_SEED=${SEED}: ${log.join(', ')}; ${JSON.stringify(verdict)}`);
  expect([...clients.refusals].filter((status) => status !== 503)).toEqual([]);
  await onlyTheLiving(sql, 3);
  expect(await fleet.stop()).toEqual([0, 0, 0]);
  await leasesAreGone(sql);
}, 180_000);
