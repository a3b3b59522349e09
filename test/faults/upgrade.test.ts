/**
 * A rolling upgrade behind a load balancer, whose new release migrates while a user's transaction holds the tables (F08):
 * no call fails, nothing is lost or sent twice, and nobody waits for the migration.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type postgres from 'postgres';
import { expect, test } from 'vitest';
import { askGraphql, createTrigger, TOKEN } from '../support/app.ts';
import { check, drained, leasesAreGone } from '../support/checker.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { type Fleet, type Member, startFleet } from '../support/fleet.ts';
import { type ClientLedger, createClientLedger, startLoad, startReceiverLedger } from '../support/ledger.ts';
import { makeNextRelease } from '../support/next-release.ts';
import { createRandom } from '../support/random.ts';
import { until } from '../support/until.ts';

const TYPE = 'upgraded';
/** What F08 allows a lock to be waited for, in ms. */
const MAX_WAIT_MS = 2000;
/** So often the balancer asks who is ready, in ms. */
const ASK_EVERY_MS = 100;
const READ = '{ events(first: 5) { nodes { id data invocations { nodes { id status attemptCount } } } } }';

const MIGRATION = [
  'alter table herald.events add column next_release text',
  `alter table herald.invocations add column next_release boolean not null default false`,
  'create index attempts_of_next_release on herald.attempts (finished_at)',
];

test('F08: the next release takes over, member by member', async () => {
  const database = await createTestDatabase();
  await using sql = openSql(database);
  await using release = await makeNextRelease(MIGRATION);
  const member = { SHUTDOWN_GRACE_SECONDS: '3', CONCURRENCY: '20', LOG_LEVEL: 'info' };
  await using fleet = await startFleet({ database, members: [member, member] });
  fleet.tellOnFailure();
  await using receiver = await startReceiverLedger();
  await fleet.ready();
  await createTrigger(fleet, { type: TYPE, url: receiver.receiver.url });
  await using balancer = startBalancer(fleet);
  await until(() => balancer.urls().length === 2, 'the balancer to find both');
  await using locks = watchLocks(sql);
  const clients = createClientLedger();
  const calls = strict(clients);
  const load = startLoad({
    ledger: calls,
    urls: balancer.urls,
    random: createRandom(),
    type: TYPE,
    callers: 6,
    restMs: 15,
  });
  await using reader = startReader(balancer);
  const [first, second] = fleet.members as readonly [Member, Member];
  await until(() => receiver.answered.length > 50, 'some deliveries');

  await leave(first);
  fleet.restart(first, release.launcher);
  await sql.begin(async (transaction) => {
    const [row] = await transaction`select herald.queue_event(${TYPE}, ${JSON.stringify('mine')}) as id`;
    clients.note('mine', String(row?.id));
    const waits = () => first.process.output().includes('an upgrade of the database waits');
    await until(waits, 'the migration to find the table taken', 45_000);
    const before = receiver.answered.length;
    await until(() => receiver.answered.length > before + 100, 'deliveries to go on beside it');
    expect(first.url).toBeNull();
  });
  await fleet.ready();
  expect(await sql`select next_release from herald.invocations limit 1`).toHaveLength(1);
  // Both releases, on the new tables.
  const before = [first, second].map(deliveredBy);
  const more = () => [first, second].every((one, at) => deliveredBy(one) > (before[at] ?? 0) + 20);
  await until(more, 'deliveries of both', 45_000);
  const former = second.process;
  await leave(second);
  fleet.restart(second, release.launcher);
  await fleet.ready();
  const after = receiver.answered.length;
  await until(() => receiver.answered.length > after + 50, 'deliveries of the next release');
  await load.stop();
  await drained(sql, 45_000);

  await check({ clients, receiver, sql, duplicatesMax: 0 });
  expect(calls.failed).toEqual([]);
  expect(reader.failed).toEqual([]);
  expect(balancer.outages()).toBe(0);
  expect(
    former
      .output()
      .split('\n')
      .filter((line) => /"level":"(?:warn|error)"/.test(line)),
  ).toEqual([]);
  expect(locks.longestMs()).toBeLessThan(MAX_WAIT_MS);
  expect(await fleet.stop()).toEqual([0, 0]);
  await leasesAreGone(sql);
}, 145_000);

test('an upgrade that waits for a table can be called off', async () => {
  const database = await createTestDatabase();
  await using sql = openSql(database);
  await using release = await makeNextRelease(MIGRATION);
  await sql.begin(async (transaction) => {
    await transaction`select herald.queue_event(${TYPE})`;
    await using fleet = await startFleet({
      database,
      members: [{ ROLES: 'api' }],
      launcher: release.launcher,
    });
    fleet.tellOnFailure();
    const [{ process }] = fleet.members as readonly [Member];
    await until(() => process.output().includes('an upgrade of the database waits'), 'it to wait', 45_000);
    process.child.kill('SIGTERM');
    expect(await process.exited()).toEqual({ code: 0, signal: null });
  });
  expect(
    await sql`select from pg_stat_activity where application_name = 'herald migrate'
    and datname = current_database()`,
  ).toHaveLength(0);
}, 60_000);

/** Ends the member's process as an orchestrator does; while it leaves, it answers, and hangs up. */
async function leave({ url, process }: Member): Promise<void> {
  process.child.kill('SIGTERM');
  await until(async () => (await fetch(`${url}/readyz`)).status === 503, 'readyz to say no');
  const answer = await fetch(`${url}/livez`);
  expect([answer.status, answer.headers.get('connection')]).toEqual([200, 'close']);
  expect(await process.exited()).toEqual({ code: 0, signal: null });
}

const deliveredBy = ({ process }: Member): number => process.output().split('"delivered"').length - 1;

interface Balancer extends AsyncDisposable {
  /** Of those that said last that they were ready. */
  urls(): readonly string[];
  /** How often there was nobody, after there had been somebody. */
  outages(): number;
}

/** Asks each member by itself: a slow one must not hide what another says. */
function startBalancer(fleet: Fleet): Balancer {
  const ready = new Map<Member, string>();
  let everReady = false;
  let outages = 0;
  const asking = new AsyncDisposableStack();
  for (const member of fleet.members) {
    const ask = async () => {
      const { url } = member;
      const { ok } = url === null ? { ok: false } : await fetch(`${url}/readyz`).catch(() => ({ ok: false }));
      if (ok && url !== null) ready.set(member, url);
      else ready.delete(member);
      if (ready.size > 0) everReady = true;
      else if (everReady) outages++;
    };
    asking.use(keepOn(ASK_EVERY_MS, ask));
  }
  return {
    urls: () => [...ready.values()],
    outages: () => outages,
    [Symbol.asyncDispose]: () => asking.disposeAsync(),
  };
}

interface Reader extends AsyncDisposable {
  /** What went wrong, of each call that did. */
  readonly failed: readonly unknown[];
}

/** Somebody who looks on over GraphQL all the while. */
function startReader(balancer: Balancer): Reader {
  const failed: unknown[] = [];
  const reading = keepOn(20, async () => {
    const [url = ''] = balancer.urls();
    await askGraphql({ url, token: TOKEN }, READ).catch((error: unknown) => failed.push(error));
  });
  return { ...reading, failed };
}

interface Locks extends AsyncDisposable {
  /** What anybody was seen waiting for a table, in ms. */
  longestMs(): number;
}

function watchLocks(sql: postgres.Sql): Locks {
  let longest = 0;
  const watching = keepOn(50, async () => {
    const [row] = await sql<{ ms: number | null }[]>`
      select max(extract(epoch from clock_timestamp() - waitstart))::float8 * 1000 as ms from pg_locks
        where not granted and locktype = 'relation'
          and database = (select oid from pg_database where datname = current_database())`;
    longest = Math.max(longest, row?.ms ?? 0);
  });
  return { ...watching, longestMs: () => longest };
}

/** Does it again and again, with a rest in between, until it is disposed of. */
function keepOn(restMs: number, work: () => Promise<unknown>): AsyncDisposable {
  let going = true;
  const done = (async () => {
    while (going) {
      await work();
      await pause(restMs);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      going = false;
      await done;
    },
  };
}

/** The same ledger, which also notes each single call that was not acknowledged. */
function strict(ledger: ClientLedger) {
  const failed: string[] = [];
  return {
    ...ledger,
    failed,
    async queue(...call: Parameters<ClientLedger['queue']>) {
      const fate = await ledger.queue(...call);
      if (fate !== 'ACKNOWLEDGED') failed.push(fate);
      return fate;
    },
  };
}
