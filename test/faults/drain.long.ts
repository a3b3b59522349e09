/** SIGTERM with many slow requests in flight, once and twice (F07). */
import { expect, test } from 'vitest';
import { createTrigger } from '../support/app.ts';
import { leasesAreGone } from '../support/checker.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { startFleet } from '../support/fleet.ts';
import { createClientLedger, startReceiverLedger } from '../support/ledger.ts';
import { until } from '../support/until.ts';

const SLOW = 100;

async function startSlow() {
  const database = await createTestDatabase();
  const sql = openSql(database);
  const fleet = await startFleet({ database, members: [{}] });
  const receiver = await startReceiverLedger();
  await fleet.ready();
  const finish: (() => void)[] = [];
  receiver.receiver.answer = (_, res) => void finish.push(() => res.writeHead(204).end());
  await createTrigger(fleet, { type: 'slow', url: receiver.receiver.url, timeout: 60_000 });
  const clients = createClientLedger();
  const [url = ''] = fleet.urls();
  const [member] = fleet.members;
  if (member === undefined) throw new Error('the fleet is not complete');
  const keys = Array.from({ length: SLOW }, (_, n) => `slow-${n}`);
  await Promise.all(keys.map((key) => clients.queue(url, key, { type: 'slow', keyed: false })));
  await until(() => receiver.open() === SLOW, 'all to be in flight', 30_000);
  const stack = new AsyncDisposableStack();
  stack.use(sql);
  stack.use(fleet);
  stack.use(receiver);
  return { sql, receiver, member, url, clients, finish, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test('once: not ready at once, no new work, what is in flight ends and is recorded, exit 0', async () => {
  await using slow = await startSlow();
  const { child } = slow.member.process;
  child.kill('SIGTERM');
  await until(async () => (await fetch(`${slow.url}/readyz`)).status === 503, 'readyz to say no', 1000);
  expect(await slow.clients.queue(slow.url, 'late', { type: 'slow', keyed: false })).toBe('REFUSED');
  for (const answer of slow.finish) answer();
  expect(await slow.member.process.exited()).toEqual({ code: 0, signal: null });
  const states = await slow.sql`
    select status, attempt_count as attempts, count(*)::int as count from herald.invocations group by 1, 2`;
  expect(states.map((row) => ({ ...row }))).toEqual([{ status: 'SUCCEEDED', attempts: 1, count: SLOW }]);
  expect(slow.receiver.answered).toHaveLength(SLOW);
  expect(await slow.sql`select from graphile_worker._private_jobs`).toHaveLength(0);
  await leasesAreGone(slow.sql);
}, 90_000);

test('twice: now', async () => {
  await using slow = await startSlow();
  const { child } = slow.member.process;
  child.kill('SIGTERM');
  await until(async () => (await fetch(`${slow.url}/readyz`)).status === 503, 'readyz to say no', 1000);
  // Signals within a second count as one: a terminal and npm both send it.
  const again = setInterval(() => child.kill('SIGTERM'), 300);
  const exit = await slow.member.process.exited();
  clearInterval(again);
  expect(exit).toEqual({ code: 1, signal: null });
  expect(slow.receiver.answered).toHaveLength(SLOW);
}, 90_000);
