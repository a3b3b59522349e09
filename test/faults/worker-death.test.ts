/** A worker dies, or only seems dead, with requests in flight (F01, F06). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTrigger } from '../support/app.ts';
import { createTestDatabase, openSql, type TestDatabase } from '../support/database.ts';
import { type Fleet, type Member, startFleet } from '../support/fleet.ts';
import { createClientLedger, type ReceiverLedger, startReceiverLedger } from '../support/ledger.ts';
import { status } from '../support/receiver.ts';
import { until } from '../support/until.ts';

/** The promise is 5 s; the rest is for a machine that has more to do. */
const TAKEOVER_MS = 8000;

let database: TestDatabase;
let sql: ReturnType<typeof openSql>;
let fleet: Fleet;
let receiver: ReceiverLedger;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = openSql(database);
  fleet = await startFleet({
    database,
    members: [{ ROLES: 'api' }, { ROLES: 'worker' }, { ROLES: 'worker' }],
  });
  receiver = await startReceiverLedger();
  await fleet.ready();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
  await sql.end();
});

/** `count` events, each of whose first request is left without an answer until `release` is called. */
async function startHanging(type: string, count: number) {
  const clients = createClientLedger();
  const hanging: (() => void)[] = [];
  const seen = new Set<string>();
  const answeredAt: number[] = [];
  receiver.receiver.answer = (delivery, res) => {
    const id = String(delivery.headers['webhook-id']);
    if (!seen.has(id)) {
      seen.add(id);
      hanging.push(() => status(500)(delivery, res));
      return;
    }
    answeredAt.push(performance.now());
    status(204)(delivery, res);
  };
  await createTrigger(fleet, { type, url: receiver.receiver.url, retries: 3, timeout: 110_000 });
  const [url = ''] = fleet.urls();
  for (let n = 0; n < count; n++) await clients.queue(url, `${type}-${n}`, { type, keyed: false });
  await until(() => seen.size === count, 'the requests to hang');
  const ids = async () =>
    (
      await sql`select i.id from herald.invocations i join herald.events e on e.id = i.event_id where e.type = ${type}`
    ).map(({ id }) => id as string);
  await until(
    async () =>
      (
        await sql`select from herald.attempts where status = 'RUNNING' and invocation_id = any(${await ids()}::uuid[])`
      ).length === count,
    'all to be shown in flight',
  );
  return {
    ids: await ids(),
    answeredAt,
    release: () => {
      for (const answer of hanging.splice(0)) answer();
    },
  };
}

/** Invocations that `member` has in flight, from its jobs. */
async function heldBy(member: Member, ids: readonly string[]): Promise<number> {
  const [row] = await sql`
    select count(*)::int as count from graphile_worker._private_jobs j join herald.workers w on w.pool_id = j.locked_by
      where w.name like ${`%/${member.process.pid}`} and j.key = any(${ids}::text[])`;
  return row?.count as number;
}

async function histories(ids: readonly string[]) {
  return sql<{ status: string; max: number; attempts: string[]; causes: string[] }[]>`
    select i.status, i.max_attempts as max, array_agg(a.status order by a.number) as attempts,
        array_agg(coalesce(a.error_code, '') order by a.number) as causes
      from herald.invocations i join herald.attempts a on a.invocation_id = i.id
      where i.id = any(${ids}::uuid[]) group by i.id`;
}

const LOST = { attempts: ['ABANDONED', 'SUCCEEDED'], causes: ['WORKER_LOST', ''] };

test('SIGKILL: tried again within 5 s, by others; the lost attempt is ABANDONED and was given back', async () => {
  fleet.tellOnFailure();
  const { ids, answeredAt } = await startHanging('killed', 12);
  const [, victim, other] = fleet.members;
  if (victim === undefined || other === undefined) throw new Error('the fleet is not complete');
  const held = await heldBy(victim, ids);
  expect(held).toBeGreaterThan(0);
  const diedAt = performance.now();
  await fleet.kill(victim);
  // What the other one has in flight it goes on with: it lives.
  await until(() => answeredAt.length === held, 'the takeover', 30_000);
  expect(Math.max(...answeredAt) - diedAt).toBeLessThan(TAKEOVER_MS);
  // What is answered but not recorded yet would be lost, and come again, with the other one too.
  await until(
    async () => (await histories(ids)).filter(({ status }) => status === 'SUCCEEDED').length === held,
    'the takeover to be recorded',
  );
  await fleet.kill(other);
  for (const member of [victim, other]) fleet.restart(member);
  await until(() => answeredAt.length === ids.length, 'the rest to be taken over', 30_000);
  await until(
    async () => (await histories(ids)).every(({ status }) => status === 'SUCCEEDED'),
    'all to succeed',
  );
  for (const history of await histories(ids))
    expect(history).toEqual({ status: 'SUCCEEDED', max: 5, ...LOST });
  await fleet.ready();
}, 90_000);

test('SIGSTOP: taken over within 5 s; what the zombie brings after SIGCONT is discarded', async () => {
  fleet.tellOnFailure();
  const { ids, answeredAt, release } = await startHanging('stopped', 8);
  const [, first, second] = fleet.members;
  if (first === undefined || second === undefined) throw new Error('the fleet is not complete');
  const zombie = (await heldBy(first, ids)) > 0 ? first : second;
  const held = await heldBy(zombie, ids);
  const stoppedAt = performance.now();
  zombie.process.child.kill('SIGSTOP');
  await until(() => answeredAt.length >= held, 'the takeover', 60_000);
  const tookMs = performance.now() - stoppedAt;
  // Its requests are refused now; a refusal that counted would put the invocation back to RETRYING.
  release();
  zombie.process.child.kill('SIGCONT');
  await until(() => receiver.open() === 0, 'every request to be answered');
  await until(
    async () => (await histories(ids)).every(({ status }) => status === 'SUCCEEDED'),
    'all to succeed',
    40_000,
  );
  // The zombie works again: an event that only it can deliver, as the other one is dead.
  await fleet.kill(zombie === first ? second : first);
  const clients = createClientLedger();
  receiver.receiver.answer = status(204);
  await clients.queue(fleet.urls()[0] ?? '', 'afterwards', { type: 'stopped', keyed: false });
  await until(
    () => receiver.answered.some(({ delivery }) => delivery.text.includes('"afterwards"')),
    'the former zombie to deliver',
  );
  const all = await histories(ids);
  expect(all.filter(({ attempts }) => attempts[0] === 'ABANDONED').length).toBe(held);
  for (const { attempts, causes } of all) {
    if (attempts[0] === 'ABANDONED') expect({ attempts, causes }).toEqual(LOST);
    // In flight at the other one all the time, and refused at the end.
    else expect(attempts).toEqual(['FAILED', 'SUCCEEDED']);
  }
  expect(tookMs).toBeLessThan(TAKEOVER_MS);
}, 120_000);
