/** The legacy REST endpoints, with the client of record and with everything it never sends. */

import type postgres from 'postgres';
import { API } from 'space-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTrigger, startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { type Receiver, startReceiver, status } from '../support/receiver.ts';

let app: TestApp;
let receiver: Receiver;
let sql: postgres.Sql;
beforeAll(async () => {
  app = await startTestApp();
  receiver = await startReceiver();
  sql = openSql(app.database);
});
afterAll(async () => {
  await sql.end();
  await app[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

const newType = () => `rest.${crypto.randomUUID()}`;
const PATHS = ['/v1/api/default/event-triggers/queue', '/v1/api/default/eventing/queue', '/queue'];

interface Answer {
  readonly id: string;
  readonly invocations: readonly { readonly id: string; readonly trigger: string }[];
  readonly error?: string;
  readonly result?: unknown;
}

async function post(path: string, body: unknown, headers?: Record<string, string>) {
  const response = await app.post(path, body, headers);
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    body: (await response.json()) as Answer,
  };
}

async function eventCount(): Promise<number> {
  const [row] = await sql`select count(*)::int as count from herald.events`;
  return row?.count as number;
}

async function storedDue(id: string): Promise<Date> {
  const [row] = await sql`select due_at from herald.events where id = ${id}`;
  return row?.due_at as Date;
}

describe('space-api 0.19.3', () => {
  const client = () => {
    const api = new API('default', app.url);
    api.setToken(TOKEN);
    return api;
  };

  test('queues, and the trigger gets the payload', async () => {
    const type = newType();
    await createTrigger(app, { type, url: receiver.url, name: `t-${type.slice(-8)}` });
    const before = receiver.deliveries.length;
    const { status, data } = await client().queueEvent(type, { foo: 'bar' }).apply();
    expect(status).toBe(200);
    expect(data.invocations).toEqual([{ id: expect.any(String) as string, trigger: `t-${type.slice(-8)}` }]);
    const delivery = (await receiver.received(before + 1)).at(-1);
    expect(JSON.parse(delivery?.text ?? '')).toMatchObject({ id: data.id, type, data: { foo: 'bar' } });
  });

  test('delay and date', async () => {
    const type = newType();
    const date = new Date(Date.now() + 3_600_000);
    const { data } = await client().queueEvent(type, 1).delay(10).date(date).apply();
    expect((await storedDue(data.id)).getTime()).toBe(date.getTime() + 10_000);
  });

  test('synchronous resolves with the receiver’s answer', async () => {
    const type = newType();
    await using answering = await startReceiver(
      status(200, '{"price":42}', { 'content-type': 'application/json' }),
    );
    await createTrigger(app, { type, url: answering.url });
    const { status: code, data } = await client().queueEvent(type, {}).synchronous().apply();
    expect([code, data.result]).toEqual([200, { price: 42 }]);
  });

  test('without a token: 401 with a JSON error, as it expects', async () => {
    const { status, data } = await new API('default', app.url).queueEvent('x', 1).apply();
    expect([status, typeof data.error]).toEqual([401, 'string']);
  });
});

test.each(PATHS)('%s queues', async (path) => {
  const { status, type, body } = await post(path, { type: newType(), data: { a: 1 }, whatever: true });
  expect([status, type]).toEqual([200, 'application/json']);
  expect(body).toEqual({ id: expect.stringMatching(/^[\da-f-]{36}$/) as string, invocations: [] });
});

test('payload wins over data', async () => {
  const { body } = await post('/queue', { type: newType(), data: 1, payload: 2 });
  const [row] = await sql`select data from herald.events where id = ${body.id}`;
  expect(row?.data).toBe('2');
});

describe('timestamps', () => {
  const due = new Date(Math.ceil(Date.now() / 1000) * 1000 + 86_400_000);
  test.each<[string, unknown]>([
    ['epoch milliseconds', due.getTime()],
    ['epoch seconds', due.getTime() / 1000],
    ['RFC 3339', due.toISOString().replace('Z', '+00:00')],
  ])('%s', async (_, timestamp) => {
    const { body } = await post('/queue', { type: newType(), timestamp });
    expect(await storedDue(body.id)).toEqual(due);
  });

  test.each([null, '', 0, -5, -99999999999, '1970-01-01T00:00:00Z', '0001-01-01T00:00:00+23:59'])(
    '%j is now',
    async (timestamp) => {
      const { body } = await post('/queue', { type: newType(), timestamp });
      expect(Math.abs((await storedDue(body.id)).getTime() - Date.now())).toBeLessThan(10_000);
    },
  );

  test('an SDK whose clock is ahead of ours is not made to wait; a documented caller is taken at his word', async () => {
    const timestamp = new Date(Date.now() + 4000).toISOString();
    const due = async (path: string) =>
      storedDue(
        (await post(path, { type: newType(), delay: 0, payload: 1, options: {}, timestamp })).body.id,
      );
    expect((await due('/v1/api/default/eventing/queue')).getTime()).toBeLessThan(Date.parse(timestamp));
    expect((await due('/v1/api/default/event-triggers/queue')).toISOString()).toBe(timestamp);
  });
});

describe('bad input is refused in words, with nothing stored', () => {
  test.each<[string, unknown, number, RegExp]>([
    ['malformed JSON', '{"type":', 400, /JSON/],
    ['an array', '[]', 400, /an array/],
    ['no type', {}, 400, /type to be a string, got nothing/],
    ['a number as type', { type: 7 }, 400, /type to be a string, got a number/],
    ['an empty type', { type: '' }, 400, /1 to 255/],
    ['a type too long', { type: 'x'.repeat(256) }, 400, /1 to 255/],
    ['U+0000 in the type', '{"type":"a\\u0000b"}', 400, /control characters/],
    ['a negative delay', { type: 'x', delay: -1 }, 400, /delay/],
    ['a delay in words', { type: 'x', delay: 'soon' }, 400, /delay/],
    ['a bad date', { type: 'x', timestamp: '2026-02-30T00:00:00Z' }, 400, /timestamp/],
    ['a timestamp that is none', { type: 'x', timestamp: true }, 400, /timestamp/],
    ['a timestamp beyond time', { type: 'x', timestamp: 1e300 }, 400, /timestamp/],
    ['options of the wrong kind', { type: 'x', options: 1 }, 400, /options/],
    ['isSynchronous of the wrong kind', { type: 'x', isSynchronous: 'yes' }, 400, /isSynchronous/],
    ['data too large', { type: 'x', data: 'x'.repeat(300_000) }, 413, /262144/],
    ['a body too large', { type: 'x', data: 'x'.repeat(1_100_000) }, 413, /1048576/],
    [
      'data nested too deeply',
      `{"type":"x","data":${'['.repeat(10_000)}${']'.repeat(10_000)}}`,
      413,
      /nested/,
    ],
    ['bad UTF-8', Buffer.from([0x7b, 0xff, 0x7d]).toString('latin1'), 400, /./],
  ])('%s', async (_, body, code, message) => {
    const before = await eventCount();
    const answer = await post('/queue', body);
    expect([answer.status, answer.type]).toEqual([code, 'application/problem+json']);
    expect(answer.body.error).toMatch(message);
    expect(answer.body).toMatchObject({
      status: code,
      title: expect.any(String) as string,
      detail: answer.body.error,
    });
    expect(await eventCount()).toBe(before);
  });

  test('an unknown project is 404, the wrong content type 415, the wrong method 405, an unknown path 404', async () => {
    expect((await post('/v1/api/nowhere/eventing/queue', { type: 'x' })).status).toBe(404);
    expect((await post('/queue', { type: 'x' }, { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await fetch(`${app.url}/queue`)).status).toBe(405);
    expect((await post('/v2/queue', { type: 'x' })).status).toBe(404);
  });

  test.each(['', 'Bearer', 'Bearer ', 'Bearer wrong', `Basic ${TOKEN}`])(
    'Authorization: %j is 401',
    async (authorization) => {
      const response = await app.post('/queue', { type: 'x' }, { authorization });
      const challenge = `Bearer realm="herald"${authorization === 'Bearer wrong' ? ', error="invalid_token"' : ''}`;
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, challenge]);
    },
  );

  test('a foreign Host or Origin is 403', async () => {
    expect((await post('/queue', { type: 'x' }, { origin: 'https://evil.example' })).status).toBe(403);
  });
});

describe('Idempotency-Key', () => {
  test('the same call again answers with the first event, bare or quoted; another body is 422', async () => {
    const type = newType();
    const first = await post('/queue', { type, data: 1 }, { 'idempotency-key': 'abc-1' });
    const again = await post('/queue', { type, data: 1 }, { 'idempotency-key': '"abc-1"' });
    expect(again).toEqual(first);
    const other = await post('/queue', { type, data: 2 }, { 'idempotency-key': 'abc-1' });
    expect([other.status, typeof other.body.error]).toEqual([422, 'string']);
  });

  test('a batch under one key: the same call again gives the same events, a longer one is 422', async () => {
    const path = '/v1/api/default/eventing/admin-queue';
    const key = { 'idempotency-key': 'k'.repeat(255) };
    const events = [{ type: newType() }, { type: newType() }];
    const first = await post(path, { events }, key);
    expect(first.status).toBe(200);
    expect(await post(path, { events }, key)).toEqual(first);
    const before = await eventCount();
    expect((await post(path, { events: [...events, { type: newType() }] }, key)).status).toBe(422);
    expect(await eventCount()).toBe(before);
  });

  test('somebody’s open transaction on a key holds up that key alone', async () => {
    await using other = openSql(app.database);
    const open = await other.reserve();
    await open`begin`;
    await using _ = { [Symbol.asyncDispose]: () => open`rollback`.then(() => open.release()) };
    await open`select herald.queue_event('x', idempotency_key => 'held')`;
    const held = post('/queue', { type: 'x' }, { 'idempotency-key': 'held' });
    const free = await post('/queue', { type: newType() }, { 'idempotency-key': 'free' });
    expect(free.status).toBe(200);
    // The Idempotency-Key HTTP header field (IETF draft), section 2.7.
    expect(await held).toMatchObject({ status: 409, body: { code: 'IDEMPOTENCY_IN_PROGRESS' } });
    const { queueEvent } = await app.graphql<{ queueEvent: unknown }>(
      `mutation { queueEvent(input: {type: "x", idempotencyKey: "held"}) { event { id } userErrors { field code } } }`,
    );
    expect(queueEvent).toEqual({
      event: null,
      userErrors: [{ field: ['input', 'idempotencyKey'], code: 'IDEMPOTENCY_IN_PROGRESS' }],
    });
    const { queueEvents } = await app.graphql<{ queueEvents: unknown }>(
      `mutation {
        queueEvents(input: {events: [{type: "y"}, {type: "x", idempotencyKey: "held"}]}) { events { id } userErrors { field code } } }`,
    );
    expect(queueEvents).toEqual({
      events: null,
      userErrors: [{ field: ['input', 'events'], code: 'IDEMPOTENCY_IN_PROGRESS' }],
    });
  });

  test('a table that somebody holds is no key in use', async () => {
    await using other = openSql(app.database);
    await other.begin(async (open) => {
      await open`lock table herald.events in access exclusive mode`;
      const held = await post('/queue', { type: 'x' }, { 'idempotency-key': 'fresh' });
      expect(held).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } });
    });
  });

  test('50 at once: one event', async () => {
    const type = newType();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => post('/queue', { type }, { 'idempotency-key': 'abc-2' })),
    );
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    const [row] = await sql`select count(*)::int as count from herald.events where type = ${type}`;
    expect(row?.count).toBe(1);
  });
});

describe('admin-queue', () => {
  const path = '/v1/api/default/eventing/admin-queue';

  test('queues a batch, data verbatim', async () => {
    const [a, b] = [newType(), newType()];
    const response = await app.post(
      path,
      `{"events":[{"type":"${a}","payload":1.50}, {"type":"${b}","data": {"x": 1}}]}`,
    );
    const { events } = (await response.json()) as { events: readonly Answer[] };
    const rows =
      await sql`select data from herald.events where id in ${sql(events.map(({ id }) => id))} order by id`;
    expect(rows.map(({ data }) => data as string)).toEqual(['1.50', '{"x": 1}']);
  });

  test('all or none', async () => {
    const before = await eventCount();
    const answer = await post(path, { events: [{ type: newType() }, { type: '' }] });
    expect([answer.status, await eventCount()]).toEqual([400, before]);
    expect((await post(path, { events: [] })).status).toBe(400);
  });
});

describe('isSynchronous', () => {
  test('every delivery failed for good: 504 that names the event', async () => {
    const type = newType();
    await using failing = await startReceiver(status(500));
    await createTrigger(app, { type, url: failing.url, retries: 0 });
    const answer = await post('/queue', { type, isSynchronous: true });
    expect([answer.status, typeof answer.body.id]).toEqual([504, 'string']);
  });

  test('no trigger: there is nothing to wait for', async () => {
    const answer = await post('/queue', { type: newType(), isSynchronous: true });
    expect(answer).toMatchObject({ status: 200, body: { result: null, invocations: [] } });
  });

  test.each([
    ['', null],
    ['plain text', 'plain text'],
  ])('a body of %j is the result %j', async (body, result) => {
    const type = newType();
    await using answering = await startReceiver(status(200, body));
    await createTrigger(app, { type, url: answering.url });
    expect((await post('/queue', { type, isSynchronous: true })).body.result).toBe(result);
  });
});
