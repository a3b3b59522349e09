import { sql } from 'drizzle-orm';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createWebSocketClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { inTransaction, type Transaction } from '../../src/store/database.ts';
import { until } from '../support/until.ts';
import { createTrigger, type Loose, queueEvent } from './ask.ts';
import { type Door, openDoor, TOKEN } from './door.ts';
import { GIVE_UP, play, RETRY, SUCCEED } from './outcomes.ts';

let door: Door;
beforeAll(async () => {
  door = await openDoor();
});
afterAll(() => door.close());

/** What a subscription has delivered so far. */
interface Watching {
  readonly items: Loose[];
  readonly over: () => 'COMPLETE' | 'ERROR' | null;
  readonly error: () => unknown;
  readonly stop: () => void;
}

type Subscribe = (query: string, variables?: Record<string, unknown>) => Watching;

interface Subscriber {
  readonly subscribe: Subscribe;
  readonly dispose: () => unknown;
}

function webSocket(to: Door = door): Subscriber {
  const client = createWebSocketClient({
    url: to.webSocketUrl,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: { authorization: `Bearer ${TOKEN}` },
  });
  return {
    subscribe: (query, variables) => watch(client, query, variables),
    dispose: () => client.dispose(),
  };
}

function sse(to: Door = door): Subscriber {
  const client = createSseClient({
    url: to.url,
    singleConnection: false,
    retryAttempts: 0,
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  return {
    subscribe: (query, variables) => watch(client, query, variables),
    dispose: () => client.dispose(),
  };
}

function watch(
  client: { subscribe: Loose },
  query: string,
  variables: Record<string, unknown> = {},
): Watching {
  const items: Loose[] = [];
  let over: 'COMPLETE' | 'ERROR' | null = null;
  let failure: unknown = null;
  const stop = client.subscribe(
    { query, variables },
    {
      next: (item: Loose) => items.push(item),
      error: (error: unknown) => {
        over = 'ERROR';
        failure = error;
      },
      complete: () => {
        over ??= 'COMPLETE';
      },
    },
  );
  return { items, over: () => over, error: () => failure, stop };
}

const UPDATES = `subscription ($filter: InvocationFilter, $snapshot: Boolean) {
  invocationUpdated(filter: $filter, snapshot: $snapshot) {
    kind at previousStatus status
    invocation { id status triggerName event { type status } trigger { name } attempts { totalCount { value } } }
    attempt { number status response { statusCode } }
  }
}`;
const PROGRESS = `subscription ($id: ID!) {
  eventProgress(id: $id) {
    at done
    counts { total pending running succeeded failed cancelled }
    event { id status }
    invocation { id }
  }
}`;

const updates = (watching: Watching) => watching.items.map(({ data }) => data.invocationUpdated);
const progress = (watching: Watching) => watching.items.map(({ data }) => data.eventProgress);

/** Waits until the feed has read its position for `watching`: then changes made from now on arrive. */
async function live(watching: Watching, kind = 'SNAPSHOT'): Promise<void> {
  await until(() => updates(watching).some((update) => update.kind === kind), kind);
}

describe.each([
  ['graphql-transport-ws', webSocket],
  ['server-sent events', sse],
] as const)('over %s', (name, open) => {
  const type = `sub.${name}`;
  let client: Subscriber;
  beforeAll(async () => {
    client = open();
    await createTrigger(door, { name: `t-${name.split(' ')[0]}`, type, retries: 2 });
  });
  afterAll(() => client.dispose());

  test('invocationUpdated starts with what is unfinished, then tells each change as it was', async () => {
    const before = await queueEvent(door, { type });
    const watching = client.subscribe(UPDATES, { filter: { eventType: [type] } });
    await live(watching);
    expect(updates(watching)).toEqual([
      {
        kind: 'SNAPSHOT',
        at: expect.stringMatching(/Z$/),
        previousStatus: null,
        status: 'QUEUED',
        invocation: {
          id: before.invocations[0],
          status: 'QUEUED',
          triggerName: expect.any(String),
          event: { type, status: 'IN_PROGRESS' },
          trigger: { name: expect.any(String) },
          attempts: { totalCount: { value: 0 } },
        },
        attempt: null,
      },
    ]);
    const after = await queueEvent(door, { type, delay: 3600 });
    await until(() => updates(watching).length === 2, 'CREATED');
    expect(updates(watching)[1]).toMatchObject({
      kind: 'CREATED',
      previousStatus: null,
      status: 'SCHEDULED',
      invocation: { id: after.invocations[0], status: 'SCHEDULED' },
    });
    const invocationId = before.invocations[0] as string;
    await play(door.db, { invocationId, number: 1, statusCode: 500, decision: RETRY });
    await play(door.db, { invocationId, number: 2, statusCode: 200, decision: SUCCEED });
    await until(() => updates(watching).length === 4, 'CHANGED twice');
    expect(updates(watching).slice(2)).toMatchObject([
      {
        kind: 'CHANGED',
        previousStatus: 'QUEUED',
        status: 'RETRYING',
        attempt: { number: 1, status: 'FAILED', response: { statusCode: 500 } },
      },
      {
        kind: 'CHANGED',
        previousStatus: 'RETRYING',
        status: 'SUCCEEDED',
        invocation: {
          status: 'SUCCEEDED',
          event: { status: 'SUCCEEDED' },
          attempts: { totalCount: { value: 2 } },
        },
        attempt: { number: 2, status: 'SUCCEEDED', response: { statusCode: 200 } },
      },
    ]);
    watching.stop();
    await until(() => door.watching() === 0, 'the subscriber to be freed');
  });

  test('eventProgress ends by itself when the event is finished', async () => {
    await createTrigger(door, { name: `second-${name.split(' ')[0]}`, type });
    const event = await queueEvent(door, { type });
    const [first, second] = event.invocations as [string, string];
    const watching = client.subscribe(PROGRESS, { id: event.id });
    await until(() => watching.items.length === 1, 'the current state');
    await play(door.db, { invocationId: first, number: 1, statusCode: 200, decision: SUCCEED });
    await play(door.db, { invocationId: second, number: 1, statusCode: 500, decision: GIVE_UP });
    await until(() => watching.over(), 'the end');
    expect(watching.over()).toBe('COMPLETE');
    const none = { total: 2, pending: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0 };
    expect(progress(watching)).toMatchObject([
      {
        done: false,
        counts: { ...none, pending: 2 },
        invocation: null,
        event: { id: event.id, status: 'IN_PROGRESS' },
      },
      { done: false, counts: { ...none, pending: 1, succeeded: 1 }, invocation: { id: first } },
      {
        done: true,
        counts: { ...none, succeeded: 1, failed: 1 },
        invocation: { id: second },
        event: { status: 'FAILED' },
      },
    ]);
    await until(() => door.watching() === 0, 'the subscriber to be freed');
  });

  test('eventProgress of what is over is one update', async () => {
    const unmatched = await queueEvent(door, { type: 'nobody.listens' });
    const watching = client.subscribe(PROGRESS, { id: unmatched.id });
    await until(() => watching.over(), 'the end');
    expect(watching.over()).toBe('COMPLETE');
    expect(progress(watching)).toMatchObject([
      { done: true, counts: { total: 0 }, event: { status: 'UNMATCHED' } },
    ]);
  });

  test.each([['no uuid'], ['01a2092f-0000-7000-8000-000000000000']])(
    'eventProgress refuses the id %s',
    async (id) => {
      const watching = client.subscribe(PROGRESS, { id });
      await until(() => watching.over(), 'the end');
      const { errors } = watching.items[0] ?? { errors: watching.error() };
      expect(errors).toMatchObject([{ message: `no event "${id}"`, extensions: { code: 'BAD_USER_INPUT' } }]);
      expect(door.watching()).toBe(0);
    },
  );

  test('a client that vanishes is forgotten', async () => {
    const own = open();
    const watchings = [own.subscribe(UPDATES, { filter: { eventType: ['x'] } }), own.subscribe(UPDATES, {})];
    await live(watchings[1] as Watching);
    await until(() => door.watching() === 2, 'both to be served');
    await own.dispose();
    for (const watching of watchings) watching.stop();
    await until(() => door.watching() === 0, 'both to be freed');
  });

  test('filters judge the change and the invocation it left', async () => {
    const filtered = `${type}.filtered`;
    const trigger = await createTrigger(door, {
      name: `f-${name.split(' ')[0]}`,
      type: filtered,
      retries: 5,
    });
    const marker = await queueEvent(door, { type: filtered });
    const other = await queueEvent(door, { type: filtered });
    const [mine, theirs] = [marker.invocations[0] as string, other.invocations[0] as string];
    const filters = [
      { eventType: [filtered], status: ['RETRYING', 'QUEUED'] },
      { triggerId: [trigger.id.toUpperCase()], eventId: other.id },
      { eventType: [filtered], lastStatusCode: { min: 500 } },
      { eventType: [filtered], project: 'elsewhere' },
    ];
    const [byStatus, byEvent, byCode, byProject] = filters.map((filter) =>
      client.subscribe(UPDATES, { filter }),
    ) as [Watching, Watching, Watching, Watching];
    await live(byStatus);
    await live(byEvent);
    await until(() => door.watching() === 4, 'all to be served');
    const sentinel = client.subscribe(UPDATES, { filter: { eventType: [filtered] }, snapshot: true });
    await live(sentinel);
    await play(door.db, { invocationId: mine, number: 1, statusCode: 404, decision: RETRY });
    await play(door.db, { invocationId: mine, number: 2, statusCode: 503, decision: RETRY });
    await play(door.db, { invocationId: theirs, number: 1, statusCode: 200, decision: SUCCEED });
    await until(() => updates(sentinel).filter(({ kind }) => kind === 'CHANGED').length === 3, 'all changes');
    const seen = (watching: Watching) =>
      updates(watching)
        .filter(({ kind }) => kind !== 'SNAPSHOT')
        .map(({ status, invocation }) => [status, invocation.id === mine ? 'mine' : 'theirs']);
    await until(
      () => seen(byStatus).length === 2 && seen(byEvent).length === 1 && seen(byCode).length >= 1,
      'theirs',
    );
    expect(seen(byStatus)).toEqual([
      ['RETRYING', 'mine'],
      ['RETRYING', 'mine'],
    ]);
    expect(seen(byEvent)).toEqual([['SUCCEEDED', 'theirs']]);
    // The row may have moved on to 503 by the time the first change is looked at.
    expect(new Set(seen(byCode).map(String))).toEqual(new Set(['RETRYING,mine']));
    expect(byProject.items).toEqual([]);
    for (const watching of [byStatus, byEvent, byCode, byProject, sentinel]) watching.stop();
    await until(() => door.watching() === 0, 'all to be freed');
  });

  test('keeps every digit', async () => {
    const query = `subscription ($id: ID!) { eventProgress(id: $id) { event { data dataText } } }`;
    const text = '[12345678901234567890,1.50]';
    const { id } = await queueEvent(door, { type: 'nobody.digits', dataText: text });
    const watching = client.subscribe(query, { id });
    await until(() => watching.over(), 'the end');
    expect(watching.items[0].data.eventProgress.event).toEqual({ data: JSON.parse(text), dataText: text });
  });
});

test.each([
  ['graphql-transport-ws', webSocket],
  ['server-sent events', sse],
] as const)('faults of ours are masked over %s too', async (_name, open) => {
  const own = await openDoor();
  const client = open(own);
  await createTrigger(own, { name: 'masked', type: 'masked' });
  await queueEvent(own, { type: 'masked' });
  await own.sql`alter table herald.signing_keys rename to elsewhere`;
  const watching = client.subscribe(
    'subscription { invocationUpdated { invocation { trigger { signingKeys { id } } } } }',
  );
  await until(() => watching.items.length === 1, 'the fault');
  expect(watching.items[0]).toMatchObject({
    data: { invocationUpdated: { invocation: { trigger: null } } },
    errors: [{ message: 'Unexpected error', extensions: { code: 'INTERNAL_SERVER_ERROR' } }],
  });
  expect(own.logged).toHaveLength(1);
  await client.dispose();
  await own.close();
});

describe('a subscriber that missed changes', () => {
  /** More changes at once than the feed hands out, with `work` among them. */
  const flood = (work: (tx: Transaction) => Promise<unknown>) =>
    inTransaction(door.db, async (tx) => {
      await tx.execute(sql`insert into herald.changes (entries) select '' from generate_series(1, 5001)`);
      await work(tx);
      await tx.execute(sql`select herald.announce()`);
    });

  test('is told to read again, and is told the state', async () => {
    const { subscribe, dispose } = webSocket();
    await createTrigger(door, { name: 'flooded', type: 'flood' });
    const event = await queueEvent(door, { type: 'flood' });
    const watching = subscribe(UPDATES, { filter: { eventType: ['flood'] } });
    await live(watching);
    await flood(async () => {});
    await until(() => watching.items.length === 3, 'the state again');
    expect(updates(watching)).toMatchObject([
      { kind: 'SNAPSHOT' },
      { kind: 'RESYNC', previousStatus: null, status: null, invocation: null, attempt: null },
      { kind: 'SNAPSHOT', invocation: { id: event.invocations[0] } },
    ]);
    await dispose();
  });

  test('of eventProgress still hears of the end', async () => {
    const { subscribe, dispose } = webSocket();
    const event = await queueEvent(door, { type: 'flood' });
    const watching = subscribe(PROGRESS, { id: event.id });
    await until(() => watching.items.length === 1, 'the current state');
    const invocationId = event.invocations[0] as string;
    await flood((tx) => play(tx, { invocationId, number: 1, statusCode: 200, decision: SUCCEED }));
    await until(() => watching.over(), 'the end');
    expect(watching.over()).toBe('COMPLETE');
    expect(progress(watching).at(-1)).toMatchObject({ done: true, counts: { total: 1, succeeded: 1 } });
    await dispose();
  });
});

describe('WebSocket connections', () => {
  const closed = (url: string, init: Loose, options: Loose = {}) =>
    new Promise<{ code: number; reason: string }>((resolve, reject) => {
      const socket = new WebSocket(url, 'graphql-transport-ws', options);
      socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: init })));
      socket.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
      socket.on('error', reject);
    });

  test.each([[undefined], [{ authorization: 'Bearer wrong' }], [{ token: '' }], [{ authorization: 5 }]])(
    'are refused with %j',
    async (init) => {
      expect(await closed(door.webSocketUrl, init)).toEqual({ code: 4403, reason: 'Forbidden' });
    },
  );

  test.each<[string, Loose, Loose]>([
    ['authorization', { authorization: `Bearer ${TOKEN}` }, {}],
    ['Authorization', { Authorization: `bearer ${TOKEN}` }, {}],
    ['token', { token: TOKEN }, {}],
    ['the header of the upgrade', undefined, { headers: { authorization: `Bearer ${TOKEN}` } }],
  ])('take the token from %s, and run queries and mutations too', async (_what, init, options) => {
    const socket = new WebSocket(door.webSocketUrl, 'graphql-transport-ws', options);
    const messages: Loose[] = [];
    socket.on('message', (text) => messages.push(String(text)));
    socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: init })));
    await until(() => messages.length === 1, 'the acknowledgement');
    const query =
      'mutation ($data: JSON) { queueEvent(input: { type: "ws", data: $data }) { event { data } } }';
    socket.send(
      `{"id":"1","type":"subscribe","payload":{"query":${JSON.stringify(query)},"variables":{"data":1.50}}}`,
    );
    await until(() => messages.length === 3, 'the answer');
    expect(messages[1]).toContain('"data":1.50');
    expect(JSON.parse(messages[2])).toEqual({ id: '1', type: 'complete' });
    socket.close();
  });

  test('are refused from a foreign page, and on other paths', async () => {
    await expect(
      closed(door.webSocketUrl, {}, { headers: { origin: 'http://evil.example' } }),
    ).rejects.toThrow('403');
    await expect(closed(door.webSocketUrl.replace('/graphql', '/other'), {})).rejects.toThrow('404');
    const allowed = { headers: { origin: 'http://allowed.example' } };
    expect(await closed(door.webSocketUrl, {}, allowed)).toMatchObject({ code: 4403 });
  });

  test('hold 20 operations at most', async () => {
    const { subscribe, dispose } = webSocket();
    const watchings = Array.from({ length: 21 }, () => subscribe(UPDATES, { filter: { eventType: ['x'] } }));
    const last = watchings[20] as Watching;
    await until(() => last.over(), 'the refusal');
    expect(last.error()).toMatchObject([{ extensions: { code: 'LIMIT_EXCEEDED' } }]);
    await until(() => door.watching() === 20, '20 to be served');
    expect(watchings.slice(0, 20).every(({ over }) => over() === null)).toBe(true);
    await dispose();
    await until(() => door.watching() === 0, 'all to be freed');
  });

  test.each<[string, string, string]>([
    ['a syntax error', '{', 'GRAPHQL_PARSE_FAILED'],
    ['an unknown field', '{ nope }', 'GRAPHQL_VALIDATION_FAILED'],
    [
      'too many aliases',
      `{ ${Array.from({ length: 16 }, (_, n) => `a${n}: __typename`).join(' ')} }`,
      'LIMIT_EXCEEDED',
    ],
  ])('tell of %s', async (_what, query, code) => {
    const { subscribe, dispose } = webSocket();
    const watching = subscribe(query);
    await until(() => watching.over(), 'the error');
    expect(watching.error()).toMatchObject([{ extensions: { code } }]);
    expect(JSON.stringify(watching.error())).not.toContain('"http"');
    await dispose();
  });

  test('are closed by messages that are too long, too deep or no JSON, and others live on', async () => {
    const { subscribe, dispose } = webSocket();
    const watching = subscribe(UPDATES, {});
    await live(watching);
    const sendRaw = (text: string) =>
      new Promise<number>((resolve) => {
        const socket = new WebSocket(door.webSocketUrl, 'graphql-transport-ws');
        socket.on('open', () => socket.send(text));
        socket.on('error', () => {});
        socket.on('close', (code) => resolve(code));
      });
    expect(await sendRaw('nonsense')).toBe(4400);
    expect(
      await sendRaw(`{"type":"ping","payload":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`),
    ).toBe(4400);
    expect(await sendRaw(`{"type":"ping","payload":{"a":"${'x'.repeat(1_100_000)}"}}`)).toBe(1009);
    expect(watching.over()).toBeNull();
    await dispose();
  });
});
