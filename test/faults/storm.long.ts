/** The long storms: 20,000 events while workers are killed (F04), all faults at random, a zombie of a minute (F06). */
import { expect, test } from 'vitest';
import { createTrigger } from '../support/app.ts';
import { check, drained, leasesAreGone, onlyTheLiving } from '../support/checker.ts';
import { openSql } from '../support/database.ts';
import { startFleet } from '../support/fleet.ts';
import { createClientLedger, startLoad, startReceiverLedger } from '../support/ledger.ts';
import { startOwnPostgres } from '../support/own-postgres.ts';
import { createRandom, SEED } from '../support/random.ts';
import { ok } from '../support/receiver.ts';
import { FAULTS, type Fault, rage, type StormReport } from '../support/storm.ts';
import { until } from '../support/until.ts';

const EVENTS = Number(process.env.FAULT_EVENTS ?? 20_000);
const STRIKES = Number(process.env.FAULT_STRIKES ?? 30);
const CONCURRENCY = 50;
const DRAINED_MS = 60_000;

const MEMBER = { CONCURRENCY: String(CONCURRENCY) };

test(`one of 3 workers is killed every 1 to 3 s during ${EVENTS} events (FAULT_SEED=${SEED})`, async () => {
  await storm('killed', [{ ROLES: 'api' }, {}, {}, {}], async ({ fleet, clients, random }) => {
    const [, ...workers] = fleet.members;
    const log: string[] = [];
    while (clients.acknowledged() < EVENTS) {
      const before = performance.now();
      const restMs = random.between(1000, 3000);
      await until(() => performance.now() - before > restMs, 'the next kill');
      const victim = random.pick(workers);
      await fleet.kill(victim);
      fleet.restart(victim);
      log.push('KILL');
    }
    return { log, losses: log.length };
  });
}, 600_000);

test(`every fault at random, ${STRIKES} times (FAULT_SEED=${SEED})`, async () => {
  await storm('random', [{}, {}, {}], ({ place, random }) => {
    const faults = Array.from({ length: STRIKES }, () => random.pick(Object.keys(FAULTS) as Fault[]));
    return rage({ ...place, stopMs: random.between(500, 8000) }, faults, [300, 2000]);
  });
}, 600_000);

test(`a process is stopped for 60 s under load and comes back (FAULT_SEED=${SEED})`, async () => {
  await storm('stopped', [{ ROLES: 'api' }, { ROLES: 'worker' }, { ROLES: 'worker' }], async ({ fleet }) => {
    const zombie = fleet.members[1]?.process;
    zombie?.child.kill('SIGSTOP');
    const stoppedAt = performance.now();
    await until(() => performance.now() - stoppedAt > 60_000, 'the minute to pass', 70_000);
    zombie?.child.kill('SIGCONT');
    return { log: ['STOP'], losses: 1 };
  });
}, 240_000);

interface StormParts {
  readonly fleet: Awaited<ReturnType<typeof startFleet>>;
  readonly clients: ReturnType<typeof createClientLedger>;
  readonly random: ReturnType<typeof createRandom>;
  readonly place: Omit<Parameters<typeof rage>[0], 'stopMs'>;
}

async function storm(
  type: string,
  members: readonly Readonly<Record<string, string>>[],
  strike: (parts: StormParts) => Promise<StormReport>,
): Promise<void> {
  const random = createRandom();
  await using postgres = await startOwnPostgres();
  await using sql = openSql(postgres.database);
  await using fleet = await startFleet({
    database: postgres.database,
    members: members.map((one) => ({
      ...MEMBER,
      ...(one.ROLES === undefined && type === 'killed' && { ROLES: 'worker' }),
      ...one,
    })),
  });
  fleet.tellOnFailure();
  await using receiver = await startReceiverLedger();
  receiver.receiver.answer = (delivery, res) => {
    if (random.next() < 0.03) return void res.writeHead(500).end();
    setTimeout(() => ok(delivery, res), random.between(0, 100));
  };
  await fleet.ready();
  await createTrigger(fleet, { type, url: receiver.receiver.url, retrySchedule: [0], retries: 20 });
  const clients = createClientLedger();
  const load = startLoad({ ledger: clients, urls: fleet.urls, random, type, callers: 24, restMs: 25 });
  await until(() => receiver.answered.length > 50, 'some deliveries', 30_000);
  const { log, losses } = await strike({ fleet, clients, random, place: { fleet, postgres, sql, random } });
  await fleet.ready();
  await load.stop();
  const calmAt = performance.now();
  await drained(sql, DRAINED_MS);
  const drainedS = ((performance.now() - calmAt) / 1000).toFixed(1);
  const verdict = await check({ clients, receiver, sql, duplicatesMax: losses * 2 * CONCURRENCY });
  console.log(
    `${type} FAULT_SEED=${SEED}: ${log.join(', ')}; drained in ${drainedS} s; ${JSON.stringify(verdict)}`,
  );
  expect([...clients.refusals].filter((status) => status !== 503)).toEqual([]);
  await onlyTheLiving(sql, members.filter(({ ROLES }) => ROLES !== 'api').length);
  expect((await fleet.stop()).every((code) => code === 0)).toBe(true);
  await leasesAreGone(sql);
}
