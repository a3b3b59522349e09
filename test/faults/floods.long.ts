/**
 * Much at once: beside a receiver that hangs (F18), after one was down (F19), due in the same second, and a paused
 * trigger resumed (F26). Bounds are generous where a figure is the bench's business.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTrigger, TOKEN } from '../support/app.ts';
import { drained } from '../support/checker.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';
import { createClientLedger, startReceiverLedger } from '../support/ledger.ts';
import { until } from '../support/until.ts';

const FLOOD = Number(process.env.FAULT_FLOOD ?? 10_000);
const CONCURRENCY = 100;

let sql: ReturnType<typeof openSql>;
let fleet: Fleet;
beforeAll(async () => {
  const database = await createTestDatabase();
  sql = openSql(database);
  fleet = await startFleet({
    database,
    members: [{ ROLES: 'api' }, { ROLES: 'worker', CONCURRENCY: String(CONCURRENCY) }],
  });
  await fleet.ready();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await sql.end();
});

/** Queues `count` events in batches; `due` in epoch milliseconds. */
async function queueMany(type: string, count: number, due?: number): Promise<void> {
  for (let from = 0; from < count; from += 1000) {
    const events = Array.from({ length: Math.min(1000, count - from) }, (_, n) => ({
      type,
      data: from + n,
      timestamp: due,
    }));
    const response = await fetch(`${fleet.urls()[0]}/v1/api/default/eventing/admin-queue`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ events }),
    });
    expect(response.status).toBe(200);
    await response.arrayBuffer();
  }
}

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN;

/** Queues one event after the other; milliseconds of the call, and until each one arrived. */
async function measure(
  receiver: Awaited<ReturnType<typeof startReceiverLedger>>,
  type: string,
  count: number,
) {
  const clients = createClientLedger();
  const askedAt = new Map<string, number>();
  const callMs: number[] = [];
  const first = receiver.answered.length;
  for (let n = 0; n < count; n++) {
    const key = `${type}-${crypto.randomUUID()}`;
    askedAt.set(key, performance.now());
    expect(await clients.queue(fleet.urls()[0] ?? '', key, { type, keyed: false })).toBe('ACKNOWLEDGED');
    callMs.push(performance.now() - (askedAt.get(key) ?? 0));
    await pause(10);
  }
  const own = () =>
    receiver.answered.slice(first).filter(({ delivery }) => delivery.text.includes(`"${type}-`));
  await until(() => own().length >= count, 'all to arrive', 60_000);
  const arrivalMs = own().map(({ delivery }) => {
    const { data } = JSON.parse(delivery.text) as { data: string };
    return delivery.at - (askedAt.get(data) ?? Number.NaN);
  });
  return { callMs, arrivalMs };
}

test(`F18: ${FLOOD} invocations to a black hole do not hold up a healthy receiver`, async () => {
  await using healthy = await startReceiverLedger();
  await using hole = await startReceiverLedger();
  hole.receiver.answer = () => {};
  await createTrigger(fleet, { type: 'healthy', url: healthy.receiver.url });
  const { id } = await createTrigger(fleet, {
    type: 'hole',
    url: hole.receiver.url,
    timeout: 5000,
    retries: 0,
  });
  const alone = percentile((await measure(healthy, 'healthy', 200)).arrivalMs, 0.95);
  await queueMany('hole', FLOOD);
  await until(() => hole.open() > CONCURRENCY / 4, 'the hole to swallow');
  const beside = percentile((await measure(healthy, 'healthy', 200)).arrivalMs, 0.95);
  console.log(`F18: p95 alone ${alone.toFixed(0)} ms, beside the hole ${beside.toFixed(0)} ms`);
  expect(beside).toBeLessThan(2 * alone + 250);
  expect(hole.mostOpen()).toBeLessThanOrEqual(CONCURRENCY);
  await fleet.graphql(
    `mutation ($id: ID!) { deleteTrigger(input: {id: $id, pending: CANCEL}) { userErrors { message } } }`,
    { id },
  );
  await drained(sql, 60_000);
}, 180_000);

test('F19: a receiver is down, then up: its schedule is honoured, nothing that had retries left has failed', async () => {
  await using receiver = await startReceiverLedger();
  receiver.receiver.answer = (_, res) => void res.writeHead(503).end();
  await createTrigger(fleet, { type: 'down', url: receiver.receiver.url, retries: 30, retrySchedule: [2] });
  await queueMany('down', 500);
  await until(() => receiver.answered.length > 4 * 500, 'some rounds of retries', 60_000);
  receiver.receiver.answer = (_, res) => void setTimeout(() => res.writeHead(204).end(), 20);
  await drained(sql, 60_000);
  const [row] = await sql`
    select count(*)::int as count from herald.invocations i join herald.events e on e.id = i.event_id
      where e.type = 'down' and i.status = 'SUCCEEDED'`;
  expect(row?.count).toBe(500);
  const early = await sql`
    select from herald.attempts a join herald.attempts b
        on b.invocation_id = a.invocation_id and b.number = a.number + 1
      where a.response_status = 503 and b.started_at - a.finished_at < interval '1.99 seconds'`;
  expect(early).toHaveLength(0);
  expect(receiver.mostOpen()).toBeLessThanOrEqual(CONCURRENCY);
}, 180_000);

test(`F26: ${2 * FLOOD} events due in the same second: the API answers meanwhile, and lists are quick`, async () => {
  await using receiver = await startReceiverLedger();
  await createTrigger(fleet, { type: 'flood', url: receiver.receiver.url });
  await createTrigger(fleet, { type: 'meanwhile', url: receiver.receiver.url });
  const due = Date.now() + 15_000;
  await queueMany('flood', 2 * FLOOD, due);
  await until(() => receiver.answered.length > 200, 'the flood', 60_000);
  const floodAt = performance.now();
  const { callMs } = await measure(receiver, 'meanwhile', 100);
  const listMs: number[] = [];
  for (let n = 0; n < 20; n++) {
    const askedAt = performance.now();
    await fleet.graphql('{ invocations(first: 50) { nodes { id status triggerName } } }');
    listMs.push(performance.now() - askedAt);
  }
  await drained(sql, 120_000);
  const seconds = (performance.now() - floodAt) / 1000;
  console.log(
    `F26: API p99 ${percentile(callMs, 0.99).toFixed(0)} ms, list p95 ${percentile(listMs, 0.95).toFixed(0)} ms, drained in ${seconds.toFixed(1)} s`,
  );
  expect(percentile(callMs, 0.99)).toBeLessThan(1000);
  expect(percentile(listMs, 0.95)).toBeLessThan(500);
  const [row] = await sql`
    select count(distinct i.id)::int as count from herald.invocations i join herald.events e on e.id = i.event_id
      where e.type = 'flood' and i.status = 'SUCCEEDED' and i.attempt_count = 1`;
  expect(row?.count).toBe(2 * FLOOD);
}, 300_000);

test(`F26: a trigger with ${FLOOD} held invocations is resumed`, async () => {
  await using receiver = await startReceiverLedger();
  const { id } = await createTrigger(fleet, { type: 'paused', url: receiver.receiver.url });
  await fleet.graphql('mutation ($id: ID!) { pauseTrigger(input: {id: $id}) { userErrors { message } } }', {
    id,
  });
  await queueMany('paused', FLOOD);
  expect(receiver.answered).toHaveLength(0);
  const askedAt = performance.now();
  await fleet.graphql('mutation ($id: ID!) { resumeTrigger(input: {id: $id}) { userErrors { message } } }', {
    id,
  });
  await drained(sql, 120_000);
  console.log(`F26: resumed and drained in ${((performance.now() - askedAt) / 1000).toFixed(1)} s`);
  expect(new Set(receiver.answered.map(({ delivery }) => delivery.headers['webhook-id'])).size).toBe(FLOOD);
  expect(receiver.mostOpen()).toBeLessThanOrEqual(CONCURRENCY);
}, 240_000);
