/** An event that kills whoever delivers it (F05): it must end, and must not keep the others from going on. */
import { expect, test } from 'vitest';
import { createTrigger } from '../support/app.ts';
import { drained } from '../support/checker.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { startFleet } from '../support/fleet.ts';
import { createClientLedger, startReceiverLedger } from '../support/ledger.ts';
import { until } from '../support/until.ts';

/** Killed at once, or when the attempt has been shown as RUNNING. */
test.each([
  ['at once', 0],
  ['after a moment', 700],
])(
  'a worker is killed %s by each attempt: FAILED in the end, others flow',
  async (_, delayMs) => {
    const database = await createTestDatabase();
    await using sql = openSql(database);
    await using fleet = await startFleet({ database, members: [{ ROLES: 'api' }, { ROLES: 'worker' }] });
    await using receiver = await startReceiverLedger();
    await fleet.ready();
    const [api, worker] = fleet.members;
    if (api === undefined || worker === undefined) throw new Error('the fleet is not complete');
    let kills = 0;
    receiver.receiver.answer = (delivery, res) => {
      if (!delivery.text.includes('"poison"')) return void res.writeHead(204).end();
      kills++;
      setTimeout(async () => {
        await fleet.kill(worker);
        fleet.restart(worker);
      }, delayMs);
    };
    await createTrigger(fleet, {
      type: 'poison',
      url: receiver.receiver.url,
      retries: 1,
      retrySchedule: [0],
    });
    await createTrigger(fleet, { type: 'harmless', url: receiver.receiver.url, retries: 5 });
    const clients = createClientLedger();
    await clients.queue(api.url ?? '', 'poison', { type: 'poison', keyed: false });
    for (let n = 0; n < 20; n++)
      await clients.queue(api.url ?? '', `harmless-${n}`, { type: 'harmless', keyed: false });
    const stateOf = async (type: string) =>
      sql`select i.status, i.failure_reason as reason, i.last_error_code as error, i.attempt_count as attempts
      from herald.invocations i join herald.events e on e.id = i.event_id where e.type = ${type}`;
    await until(
      async () => (await stateOf('harmless')).every(({ status }) => status === 'SUCCEEDED'),
      'the others to succeed',
      60_000,
    );
    await until(async () => (await stateOf('poison'))[0]?.status === 'FAILED', 'the poison to fail', 120_000);
    const [poison] = await stateOf('poison');
    // Three that were free, and what the trigger's retries allow; a takeover may be seen twice.
    expect(poison).toMatchObject({ status: 'FAILED', error: 'WORKER_LOST' });
    expect(kills).toBeLessThanOrEqual(8);
    await drained(sql, 30_000);
  },
  240_000,
);
