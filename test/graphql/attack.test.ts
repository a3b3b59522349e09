/** Operations made to hurt: each is refused in words and within a moment, and the server goes on as before. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { until } from '../support/until.ts';
import { ask, bodyOf, createTrigger, type Loose, post, queueEvent } from './ask.ts';
import { type Door, openDoor, TOKEN } from './door.ts';

let door: Door;
beforeAll(async () => {
  door = await openDoor();
  await createTrigger(door, { name: 'attacked', type: 'attacked' });
  await queueEvent(door, { type: 'attacked' });
});
afterAll(() => door.close());

const times = (count: number, make: (n: number) => string, separator = ' ') =>
  Array.from({ length: count }, (_, n) => make(n)).join(separator);

/** None of these may take longer, on a machine that does other things meanwhile. */
const MAX_MS = 3000;

describe('refused', () => {
  const cases: [string, string, string][] = [
    ['10,000 aliases', `{ ${times(10_000, (n) => `a${n}: __typename`)} }`, 'LIMIT_EXCEEDED'],
    [
      '1,000 aliases of a list',
      `{ ${times(1000, (n) => `a${n}: events { nodes { id } }`)} }`,
      'LIMIT_EXCEEDED',
    ],
    [
      'aliases over fragments',
      `{ ${times(14, (n) => `...f${n}`)} } ${times(14, (n) => `fragment f${n} on Query { ${times(14, (m) => `a${n}_${m}: __typename`)} }`)}`,
      'LIMIT_EXCEEDED',
    ],
    ['a depth of 3,000', `${'{ events { nodes '.repeat(1500)}{ id }${'}'.repeat(3000)}`, 'LIMIT_EXCEEDED'],
    ['brackets alone, 100,000', '{'.repeat(100_000), 'GRAPHQL_PARSE_FAILED'],
    ['a name of a megabyte where none may stand', `{ a } ${'x'.repeat(900_000)}`, 'GRAPHQL_PARSE_FAILED'],
    ['brackets in a value, 100,000', `{ event(id: ${'['.repeat(100_000)}) { id } }`, 'LIMIT_EXCEEDED'],
    ['types in brackets, 100,000', `query ($a: ${'['.repeat(100_000)}ID) { __typename }`, 'LIMIT_EXCEEDED'],
    [
      'a fragment cycle',
      '{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }',
      'GRAPHQL_VALIDATION_FAILED',
    ],
    ['a fragment of itself', '{ ...a } fragment a on Query { ...a }', 'GRAPHQL_VALIDATION_FAILED'],
    [
      'a cycle of a hundred fragments',
      `{ ...f0 } ${times(100, (n) => `fragment f${n} on Query { ...f${(n + 1) % 100} }`)}`,
      'GRAPHQL_VALIDATION_FAILED',
    ],
    [
      'a cycle through fields',
      '{ ...a } fragment a on Query { events { nodes { invocations { nodes { event { ...e } } } } } } fragment e on Event { invocations { nodes { event { ...e } } } }',
      'GRAPHQL_VALIDATION_FAILED',
    ],
    ['directives by the hundred', `{ __typename ${'@skip(if: false) '.repeat(400)} }`, 'LIMIT_EXCEEDED'],
    ['unknown directives by the thousand', `{ __typename ${'@a '.repeat(5000)} }`, 'LIMIT_EXCEEDED'],
    [
      'introspection that goes in circles',
      '{ __schema { types { fields { type { fields { type { fields { type { fields { type { name } } } } } } } } } } }',
      'GRAPHQL_VALIDATION_FAILED',
    ],
    [
      'introspection through possibleTypes',
      '{ __schema { types { possibleTypes { possibleTypes { possibleTypes { possibleTypes { name } } } } } } }',
      'GRAPHQL_VALIDATION_FAILED',
    ],
    [
      'fields that overlap by the thousand',
      `{ ${'events { nodes { id } } '.repeat(500)} }`,
      'LIMIT_EXCEEDED',
    ],
    [
      'a string of a megabyte',
      `{ event(id: "${'x'.repeat(900_000)}") { nope } }`,
      'GRAPHQL_VALIDATION_FAILED',
    ],
    ['names of a megabyte', `{ ${'x'.repeat(900_000)} }`, 'GRAPHQL_VALIDATION_FAILED'],
    ['a comment of a megabyte without an end', `{ #${'x'.repeat(900_000)}`, 'GRAPHQL_PARSE_FAILED'],
    ['a block string without an end', `{ event(id: """${'\n'.repeat(500_000)}`, 'GRAPHQL_PARSE_FAILED'],
    ['U+0000', '{ \0 }', 'GRAPHQL_PARSE_FAILED'],
    ['two operations and no name', 'query a { __typename } query b { __typename }', 'BAD_USER_INPUT'],
    ['pages too large', '{ events(first: 101) { nodes { id } } }', 'BAD_USER_INPUT'],
    ['pages of a negative size', '{ events(first: -1) { nodes { id } } }', 'BAD_USER_INPUT'],
    ['a cursor of nobody', '{ events(after: "AAAA") { nodes { id } } }', 'BAD_USER_INPUT'],
    [
      'a cursor with SQL in it',
      `{ events(after: "${Buffer.from(JSON.stringify(['RECEIVED_AT', null, "'; drop table herald.events; --"])).toString('base64url')}") { nodes { id } } }`,
      'BAD_USER_INPUT',
    ],
  ];
  test.each(cases)('%s', async (_what, query, code) => {
    const startedAt = performance.now();
    const response = await post(door, bodyOf(query));
    const text = await response.text();
    const { errors } = JSON.parse(text) as Loose;
    expect(errors?.[0]?.extensions.code, text.slice(0, 500)).toBe(code);
    expect(performance.now() - startedAt).toBeLessThan(MAX_MS);
    // An answer is not a copy of the question.
    expect(text.length).toBeLessThan(100_000);
    expect(text).not.toMatch(/Did you mean|node_modules|\.ts:\d/);
  });
});

test('fragments that double a hundred times cost nothing', async () => {
  const query = `{ ...f0 } ${times(100, (n) => `fragment f${n} on Query { ...f${n + 1} ...f${n + 1} }`)} fragment f100 on Query { __typename }`;
  const startedAt = performance.now();
  await ask(door, query);
  expect(performance.now() - startedAt).toBeLessThan(MAX_MS);
});

describe('variables', () => {
  const FILTER = 'query ($ids: [ID!]) { invocations(filter: { triggerId: $ids }) { nodes { id } } }';
  const QUEUE =
    'mutation ($input: QueueEventInput!) { queueEvent(input: $input) { event { dataText } userErrors { code } } }';

  test('of 20,000 ids are refused', async () => {
    const ids = Array.from({ length: 20_000 }, () => '0190ffff-ffff-7fff-8fff-000000000000');
    const { errors } = await ask(door, FILTER, { ids });
    expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });

  test('of 100,000 wrong values cost no 100,000 messages', async () => {
    const ids = Array.from({ length: 100_000 }, () => ({}));
    const response = await post(door, bodyOf(FILTER, { ids }));
    const text = await response.text();
    expect((JSON.parse(text) as Loose).errors[0].extensions.code).toBe('BAD_USER_INPUT');
    expect(text.length).toBeLessThan(100_000);
  });

  test('are not repeated fifty times over', async () => {
    const input = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`no${n}`, 1]));
    const response = await post(door, bodyOf(QUEUE, { input: { ...input, type: 'x'.repeat(800_000) } }));
    const text = await response.text();
    expect((JSON.parse(text) as Loose).errors[0].extensions.code).toBe('BAD_USER_INPUT');
    expect(text.length).toBeLessThan(200_000);
  });

  test('of 1,001 events are refused, and none is stored', async () => {
    const query =
      'mutation ($events: [QueueEventInput!]!) { queueEvents(input: { events: $events }) { events { id } userErrors { code } } }';
    const { data } = await ask(door, query, {
      events: Array.from({ length: 1001 }, () => ({ type: 'many' })),
    });
    expect(data.queueEvents).toEqual({ events: null, userErrors: [{ code: 'TOO_LARGE' }] });
    const { data: after } = await ask(
      door,
      '{ events(filter: { type: ["many"] }) { totalCount { value } } }',
    );
    expect(after.events.totalCount.value).toBe(0);
  });

  test('of __proto__ and constructor change nothing, and arrive', async () => {
    const evil = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"a":1}';
    const { data } = await ask(door, QUEUE, `{"input":{"type":"proto","data":${evil}}}`);
    expect(JSON.parse(data.queueEvent.event.dataText).constructor).toEqual({ prototype: { polluted: true } });
    expect(data.queueEvent.event.dataText).toContain('"__proto__"');
    expect(({} as Loose).polluted).toBeUndefined();
    for (const body of [
      '{"query":"{ __typename }","__proto__":{"variables":{}}}',
      '{"query":"{ __typename }","variables":{"__proto__":{"polluted":true}}}',
      '{"__proto__":{"query":"{ viewer { name } }"}}',
      '{"query":"query ($input: QueueEventInput!) { __typename }","variables":{"input":{"__proto__":{"type":"x"}}}}',
    ]) {
      expect((await post(door, body)).status).toBeLessThan(500);
      expect(({} as Loose).polluted).toBeUndefined();
    }
  });

  test.each(['[]', '"x"', '5', 'true', '1e999', '[[[[]]]]'])('that are %s are refused', async (variables) => {
    const response = await post(door, bodyOf('query ($a: ID) { __typename }', variables));
    expect(response.status).toBe(400);
  });

  test('nested 100,000 deep are refused', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const response = await post(door, bodyOf(QUEUE, `{"input":{"type":"deep","data":${deep}}}`));
    expect(response.status).toBeLessThan(500);
    expect(await response.text()).not.toContain('"dataText":"[');
  });
});

describe('requests', () => {
  const as = { authorization: `Bearer ${TOKEN}` };

  test.each<[string, string, Record<string, string>]>([
    [
      'urlencoded',
      'query=mutation{queueEvent(input:{type:"form"}){event{id}}}',
      { 'content-type': 'application/x-www-form-urlencoded' },
    ],
    [
      'multipart',
      '--a\r\ncontent-disposition: form-data; name="operations"\r\n\r\n{"query":"mutation{queueEvent(input:{type:\\"form\\"}){event{id}}}"}\r\n--a--',
      { 'content-type': 'multipart/form-data; boundary=a' },
    ],
    [
      'text',
      '{"query":"mutation{queueEvent(input:{type:\\"form\\"}){event{id}}}"}',
      { 'content-type': 'text/plain' },
    ],
    [
      'a batch',
      `[${times(100, () => '{"query":"mutation{queueEvent(input:{type:\\"form\\"}){event{id}}}"}', ',')}]`,
      {},
    ],
    ['JSON with a BOM and more behind it', '\ufeff{"query":"{ __typename }"}{"query":"{ __typename }"}', {}],
  ])('%s are refused and run nothing', async (_what, body, headers) => {
    const response = await post(door, body, { ...as, ...headers });
    expect([400, 415]).toContain(response.status);
    const { data } = await ask(door, '{ events(filter: { type: ["form"] }) { totalCount { value } } }');
    expect(data.events.totalCount.value).toBe(0);
  });

  test('mutations by GET are refused, subscriptions too without an event stream', async () => {
    const get = (query: string) => fetch(`${door.url}?${new URLSearchParams({ query })}`, { headers: as });
    expect((await get('mutation { queueEvent(input: { type: "form" }) { event { id } } }')).status).toBe(405);
    const both = await get(
      'query a { __typename } mutation b { queueEvent(input: { type: "form" }) { event { id } } }',
    );
    expect(both.status).toBeGreaterThanOrEqual(400);
    const named = `${door.url}?${new URLSearchParams({ query: 'query a { __typename } mutation b { queueEvent(input: { type: "form" }) { event { id } } }', operationName: 'b' })}`;
    expect((await fetch(named, { headers: as })).status).toBe(405);
  });
});

describe('subscriptions', () => {
  test('of more than 1,000 in a process are refused, however fast they come', async () => {
    const query = 'subscription { invocationUpdated(snapshot: false) { kind } }';
    const sockets = await Promise.all(
      Array.from({ length: 53 }, async () => {
        const socket = new WebSocket(door.webSocketUrl, 'graphql-transport-ws');
        const refused: string[] = [];
        socket.on('message', (text) => {
          if (String(text).includes('LIMIT_EXCEEDED')) refused.push(String(text));
        });
        await new Promise((resolve) => socket.once('open', resolve));
        socket.send(JSON.stringify({ type: 'connection_init', payload: { token: TOKEN } }));
        await new Promise((resolve) => socket.once('message', resolve));
        for (let n = 0; n < 20; n++) {
          socket.send(JSON.stringify({ id: String(n), type: 'subscribe', payload: { query } }));
        }
        return { socket, refused };
      }),
    );
    await until(() => sockets.reduce((sum, { refused }) => sum + refused.length, 0) === 60, '60 refusals');
    await until(() => door.watching() === 1000, '1,000 to be served');
    for (const { socket } of sockets) socket.terminate();
    await until(() => door.watching() === 0, 'all to be freed');
    const again = await ask(door, '{ viewer { name } }');
    expect(again.errors).toBeUndefined();
  });

  test('that end at once leave their place', async () => {
    for (let n = 0; n < 30; n++) {
      const response = await post(door, bodyOf('subscription { eventProgress(id: "x") { done } }'), {
        accept: 'text/event-stream',
      });
      expect(await response.text()).toContain('BAD_USER_INPUT');
    }
    expect(door.watching()).toBe(0);
  });
});

test('after all this it serves as before, and logged no fault of ours', async () => {
  expect((await ask(door, '{ viewer { name } }')).data.viewer.name).toBe('admin');
  expect(door.logged.filter(({ level }) => level === 'error')).toEqual([]);
});
