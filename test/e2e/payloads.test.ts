/** The poison corpus through every door: what is accepted is delivered as it came, what is not is the caller's error. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseKeepingDigits, stringify } from '../../src/domain/json.ts';
import { createTrigger, startTestApp, type TestApp } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { BROKEN_BYTES, INVALID, TOO_MUCH, VALID } from '../support/json-corpus.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';

let app: TestApp;
let receiver: Receiver;
let sql: ReturnType<typeof openSql>;
beforeAll(async () => {
  app = await startTestApp();
  receiver = await startReceiver();
  sql = openSql(app.database);
  await createTrigger(app, { type: 'poison', url: receiver.url, retries: 0, timeout: 20_000 });
});
afterAll(async () => {
  await sql.end();
  await app[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

/** What a door said: the event's id, or why not. */
type Answer = { readonly id: string } | { readonly refusal: string };
type Door = (text: string) => Promise<Answer>;

const MUTATION = 'queueEvent(input: $input) { event { id data } userErrors { code message } }';

async function graphql(body: string): Promise<Answer> {
  const response = await app.post('/graphql', body);
  expect(response.status, 'never a server error').toBeLessThan(500);
  const answer = (await response.json()) as {
    data?: { queueEvent: { event: { id: string } | null; userErrors: { code: string }[] } } | null;
    errors?: { extensions: { code: string } }[];
  };
  const id = answer.data?.queueEvent.event?.id;
  if (id !== undefined) return { id };
  const code = answer.errors?.[0]?.extensions.code ?? answer.data?.queueEvent.userErrors[0]?.code ?? 'none';
  expect(code).not.toBe('INTERNAL_SERVER_ERROR');
  return { refusal: code };
}

async function rest(
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  pick: (answer: unknown) => string,
): Promise<Answer> {
  const response = await fetch(app.url + path, {
    method: 'POST',
    headers: { authorization: 'Bearer test-admin-token-0123456789', 'content-type': 'application/json' },
    body,
  });
  const answer = (await response.json()) as { error?: string; code?: string };
  if (response.status === 200) return { id: pick(answer) };
  expect([400, 413, 422]).toContain(response.status);
  expect(answer.error).toMatch(/\w/);
  return { refusal: `${response.status}` };
}

const idOf = (answer: unknown) => (answer as { id: string }).id;
const firstIdOf = (answer: unknown) => idOf((answer as { events: unknown[] }).events[0]);

async function bySql(statement: Promise<readonly { id?: unknown }[]>): Promise<Answer> {
  try {
    const [row] = await statement;
    return { id: String(row?.id) };
  } catch (error) {
    const { code } = error as { code: string };
    // Wrong value, wrong JSON, wrong byte: the caller's own mistakes, by SQLSTATE.
    expect(['22023', '22P02', '22P05', '22021']).toContain(code);
    return { refusal: code };
  }
}

/** Doors that take JSON text and pass it on as it is. */
const EXACT: Readonly<Record<string, Door>> = {
  'REST /queue': (text) => rest('/queue', `{"type":"poison","data":${text}}`, idOf),
  'REST /queue, payload': (text) => rest('/queue', `{"payload" : ${text}\n, "type":"poison"}`, idOf),
  'REST batch': (text) =>
    rest('/v1/api/default/eventing/admin-queue', `{"events":[{"data":${text},"type":"poison"}]}`, firstIdOf),
  'GraphQL dataText': (text) =>
    graphql(
      JSON.stringify({
        query: `mutation ($input: QueueEventInput!) { ${MUTATION} }`,
        variables: { input: { type: 'poison', dataText: text } },
      }),
    ),
  SQL: (text) => bySql(sql`select herald.queue_event('poison', ${text}::text) as id`),
  'SQL batch': (text) =>
    bySql(
      sql`select event_id as id from herald.queue_events(${JSON.stringify([{ type: 'poison', data: text }])}::text::json)`,
    ),
};

/** The door whose JSON is parsed before it is ours: digits survive, white space and repeated keys do not. */
const variables: Door = (text) =>
  graphql(
    `{"query":"mutation ($input: QueueEventInput!) { ${MUTATION} }","variables":{"input":{"type":"poison","data":${text}}}}`,
  );

/** `data` of the delivered event, exactly. */
async function delivered(id: string): Promise<string> {
  const { text } = await until(
    () => receiver.deliveries.find((one) => one.text.includes(`"id":"${id}"`)) ?? false,
    `event ${id} to be delivered`,
  );
  const parsed = JSON.parse(text) as object;
  expect(Object.keys(parsed)).toEqual(['specversion', 'id', 'type', 'source', 'time', 'data']);
  return text.slice(text.indexOf(',"data":') + ',"data":'.length, -1);
}

const counted = async (): Promise<number> => {
  const [row] = await sql`select count(*)::int as count from herald.events`;
  return row?.count as number;
};

describe.each(Object.entries(EXACT))('%s', (_name, door) => {
  test('JSON is delivered byte for byte', async () => {
    for (const [what, text] of VALID) {
      const answer = await door(text);
      if (!('id' in answer)) throw new Error(`${what} was refused: ${answer.refusal}`);
      // White space around a value belongs to nobody; inside it is kept.
      const got = await delivered(answer.id);
      expect(got.trim() === text.trim(), what).toBe(true);
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test('what is too deep or too large is refused, and what is no JSON; nothing of it is stored', async () => {
    const before = await counted();
    for (const [what, text] of [...TOO_MUCH, ...INVALID]) {
      expect([what, 'refusal' in (await door(text))]).toEqual([what, true]);
    }
    expect(await counted()).toBe(before);
  });
});

describe('GraphQL variables', () => {
  test('JSON is delivered with every digit and character', async () => {
    for (const [what, text] of VALID) {
      const answer = await variables(text);
      if (!('id' in answer)) throw new Error(`${what} was refused: ${answer.refusal}`);
      expect((await delivered(answer.id)) === stringify(parseKeepingDigits(text)), what).toBe(true);
    }
  });

  test('what is too deep or too large is refused, and what is no JSON', async () => {
    const before = await counted();
    for (const [what, text] of [...TOO_MUCH, ...INVALID]) {
      expect([what, 'refusal' in (await variables(text))]).toEqual([what, true]);
    }
    expect(await counted()).toBe(before);
  });
});

test('GraphQL literals: JSON that GraphQL can write is delivered, the rest is an error of the query', async () => {
  for (const [what, text] of VALID) {
    const answer = await graphql(
      JSON.stringify({
        query: `mutation { queueEvent(input: { type: "poison", data: ${text} }) { event { id data } userErrors { code } } }`,
      }),
    );
    // Scalars and arrays are written alike in both; objects have their keys without quotes in GraphQL.
    if (!('id' in answer)) continue;
    const got = await delivered(answer.id);
    expect(got === stringify(parseKeepingDigits(text)), what).toBe(true);
  }
  for (const text of [
    '12345678901234567890',
    '1e400',
    '-0',
    '[1.50,[]]',
    '"\\u0000 😀"',
    '{ a: { _b: -0.0 } }',
  ]) {
    const answer = await graphql(
      JSON.stringify({
        query: `mutation { queueEvent(input: { type: "poison", data: ${text} }) { event { id } userErrors { code } } }`,
      }),
    );
    expect(answer).toHaveProperty('id');
  }
});

test.each(BROKEN_BYTES)('bytes that are no UTF-8 are refused: %s', async (_what, bytes) => {
  const body = (head: string, tail: string) =>
    Buffer.concat([Buffer.from(`${head}"`), Buffer.from(bytes), Buffer.from(`"${tail}`)]);
  expect(await rest('/queue', body('{"type":"poison","data":', '}'), idOf)).toEqual({ refusal: '400' });
  expect(await rest('/queue', body('{"data":1,"type":', '}'), idOf)).toEqual({ refusal: '400' });
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { authorization: 'Bearer test-admin-token-0123456789', 'content-type': 'application/json' },
    body: body('{"query":"{ __typename }","variables":{"a":', '}}'),
  });
  expect(response.status).toBe(400);
});

test.each([
  ['UTF-16', Buffer.from('\ufeff{"type":"poison"}', 'utf16le')],
  ['a UTF-8 BOM', Buffer.from('\ufeff{"type":"poison","data":1}')],
])('REST in %s is JSON or an error, never a fault', async (_what, body) => {
  const answer = await rest('/queue', body, idOf);
  if ('id' in answer) expect(await delivered(answer.id)).toBe('1');
});

describe('beside the data', () => {
  const BAD = ['a\u0000b', '\ud800', 'a\nb', '\u0085', 'x'.repeat(256), ''];

  test.each(BAD)('type %j is refused by every door', async (type) => {
    const before = await counted();
    const json = JSON.stringify(type);
    expect(await rest('/queue', `{"type":${json}}`, idOf)).toHaveProperty('refusal');
    const input = `{"input":{"type":${json}}}`;
    expect(
      await graphql(`{"query":"mutation ($input: QueueEventInput!) { ${MUTATION} }","variables":${input}}`),
    ).toHaveProperty('refusal');
    // A driver writes UTF-8, which has no lone surrogates: through a parameter they cannot even be said.
    if (type.isWellFormed())
      expect(await bySql(sql`select herald.queue_event(${type}) as id`)).toHaveProperty('refusal');
    expect(
      await bySql(sql`select event_id as id from herald.queue_events(${`[{"type":${json}}]`}::text::json)`),
    ).toHaveProperty('refusal');
    expect(await counted()).toBe(before);
  });

  test.each([
    ['source', 'a b'],
    ['source', 'é'],
    ['source', ''],
    ['source', 'x'.repeat(2049)],
    ['traceparent', `00-${'0'.repeat(32)}-${'1'.repeat(16)}-01`],
    ['tracestate', 'a=1\r\nx-evil: 1'],
    ['tracestate', 'a=€'],
    ['tracestate', 'x'.repeat(513)],
    ['idempotencyKey', 'a b'],
  ])('SQL with %s %j is refused', async (name, value) => {
    const batch = JSON.stringify([{ type: 'poison', [name]: value }]);
    expect(await bySql(sql`select event_id as id from herald.queue_events(${batch}::text::json)`)).toEqual({
      refusal: '22023',
    });
  });

  test('a tracestate that a header can hold is delivered, however odd', async () => {
    const tracestate = 'a=1\tb=é';
    const headers = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate };
    const response = await app.post('/queue', { type: 'poison', data: 'traced' }, headers);
    expect(response.status).toBe(200);
    const { headers: got } = await until(
      () => receiver.deliveries.find(({ text }) => text.includes('"traced"')) ?? false,
      'the traced event',
    );
    expect(got.tracestate).toBe(tracestate);
  });

  test('every type that is accepted is delivered, in binary mode as a header', async () => {
    const types = [
      'Euro € 😀',
      '100%',
      '"quoted" \\',
      ' lead and trail ',
      '\u2028',
      '%41',
      'a,b;c=d',
      '~!#$&',
      '字'.repeat(255),
    ];
    for (const type of types) {
      const { id } = await createTrigger(app, {
        type,
        url: receiver.url,
        contentMode: 'BINARY',
        specVersion: 'V1_0',
      });
      const answer = await rest('/queue', JSON.stringify({ type, data: { a: 1 } }), idOf);
      if (!('id' in answer)) throw new Error(`${type} was refused`);
      const { headers, text } = await until(
        () => receiver.deliveries.find((one) => one.headers['ce-id'] === answer.id) ?? false,
        `${type} to be delivered by trigger ${id}`,
      );
      expect(text).toBe('{"a":1}');
      expect(headers['ce-type']).toMatch(/^[\x21-\x7e]+$/);
      expect(decodeURIComponent(String(headers['ce-type']))).toBe(type);
    }
  });
});

test('whatever was accepted has been delivered', async () => {
  const [row] = await until(async () => {
    const open = await sql`select count(*)::int as count from herald.invocations where finished_at is null`;
    return (
      open[0]?.count === 0 &&
      sql`select count(*)::int as failed from herald.invocations where status <> 'SUCCEEDED'`
    );
  }, 'all to end');
  expect(row?.failed).toBe(0);
});
