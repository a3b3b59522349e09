/**
 * Killed around a COMMIT: the worker's, after the receiver said 2xx (F02), and that of `queueEvent` (F03). The proxy
 * before the database stops the process' connection at the chosen message, and the process is killed there.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTrigger } from '../support/app.ts';
import { check, drained } from '../support/checker.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { type Fleet, type Member, startFleet } from '../support/fleet.ts';
import { createClientLedger, type ReceiverLedger, startReceiverLedger } from '../support/ledger.ts';
import type { Moment } from '../support/proxy.ts';
import { until } from '../support/until.ts';

let sql: ReturnType<typeof openSql>;
let fleet: Fleet;
let api: Member;
let worker: Member;
let receiver: ReceiverLedger;
beforeAll(async () => {
  const database = await createTestDatabase();
  sql = openSql(database);
  fleet = await startFleet({ database, members: [{ ROLES: 'api' }, { ROLES: 'worker' }] });
  const [first, second] = fleet.members;
  if (first === undefined || second === undefined) throw new Error('the fleet is not complete');
  [api, worker] = [first, second];
  receiver = await startReceiverLedger();
  await fleet.ready();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
  await sql.end();
});

/** What the receiver got of `key`. */
const received = (key: string) =>
  receiver.answered.filter(({ delivery }) => delivery.text.includes(`"${key}"`));

test.each([
  ['REQUEST', 2],
  ['COMMITTED', 1],
] as const)(
  'F02: the worker is killed after the 2xx, its record at %s: delivered %i times',
  async (moment, times) => {
    const type = `recorded-${moment}`;
    await createTrigger(fleet, { type, url: receiver.receiver.url });
    const clients = createClientLedger();
    const held = worker.proxy.hold('{"SUCCEED"}', moment);
    await clients.queue(api.url ?? '', type, { type, keyed: false });
    await held;
    expect(received(type).map(({ status }) => status)).toEqual([200]);
    await fleet.kill(worker);
    fleet.restart(worker);
    await fleet.ready();
    await drained(sql, 30_000);
    const all = received(type);
    expect(all).toHaveLength(times);
    expect(new Set(all.map(({ delivery }) => delivery.text)).size).toBe(1);
    expect(new Set(all.map(({ delivery }) => delivery.headers['webhook-id'])).size).toBe(1);
    const [row] = await sql`
    select i.status, i.attempt_count <= i.max_attempts as within from herald.invocations i
      join herald.events e on e.id = i.event_id where e.type = ${type}`;
    expect({ ...row }).toEqual({ status: 'SUCCEEDED', within: true });
  },
  90_000,
);

test.each([
  ['REQUEST', false],
  ['EXECUTED', false],
  ['COMMITTED', true],
] as const)(
  'F03: the API is killed with its statement at %s; stored: %s; the repeated call makes no second event',
  async (moment: Moment, stored) => {
    const type = `queued-${moment}`;
    await createTrigger(fleet, { type, url: receiver.receiver.url });
    const clients = createClientLedger();
    const held = api.proxy.hold(`${type}-key`, moment);
    const calling = clients.queue(api.url ?? '', `${type}-key`, { type, keyed: true });
    await held;
    await fleet.kill(api);
    expect(await calling).toBe('UNKNOWN');
    if (stored)
      await until(() => received(`${type}-key`).length === 1, 'the delivery, although nobody was told');
    fleet.restart(api);
    await fleet.ready();
    // Ended with its session, the statement left nothing.
    if (!stored) expect(await sql`select from herald.events where type = ${type}`).toHaveLength(0);
    const answer = clients.queue(api.url ?? '', `${type}-key`, { type, keyed: true });
    expect(await answer).toBe('ACKNOWLEDGED');
    await drained(sql, 30_000);
    expect(await sql`select from herald.events where type = ${type}`).toHaveLength(1);
    expect(received(`${type}-key`)).toHaveLength(1);
  },
  90_000,
);

test('all of it together passes the checker', async () => {
  const clients = createClientLedger();
  for (const { delivery } of receiver.answered) {
    const { id, data } = JSON.parse(delivery.text) as { id: string; data: string };
    clients.note(data, id);
  }
  await check({ clients, receiver, sql, duplicatesMax: 1 });
});
