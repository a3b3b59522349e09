import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, createTrigger, type Loose, post } from './ask.ts';
import { type Door, openDoor } from './door.ts';

let door: Door;
beforeAll(async () => {
  door = await openDoor();
  await createTrigger(door, { name: 'one', type: 'order.paid' });
  await createTrigger(door, { name: 'two', type: 'order.paid' });
});
afterAll(() => door.close());

const QUEUE = `mutation ($input: QueueEventInput!) {
  queueEvent(input: $input) { event { id } duplicate userErrors { field code message } }
}`;
const QUEUE_ALL = `mutation ($input: QueueEventsInput!) {
  queueEvents(input: $input) { events { id type } userErrors { field code message } }
}`;

const countEvents = async (): Promise<number> => {
  const rows = await door.sql`select count(*)::int as count from herald.events`;
  return rows[0]?.count;
};

describe('queueEvent', () => {
  test('stores the event with one invocation per trigger', async () => {
    const { data } = await ask(
      door,
      `mutation { queueEvent(input: { type: "order.paid", data: { id: 42 } }) {
        event {
          id project type source data dataText dataSize dataRemoved status receivedAt dueAt finishedAt origin
          idempotencyKey traceparent replayOf { id }
          invocationCounts { total pending running succeeded failed cancelled }
          invocations(orderBy: { field: CREATED_AT, direction: ASC }) {
            nodes { triggerName status attemptCount maxAttempts failureReason nextAttemptAt finishedAt deliveryLatencyMs
              lastAttempt { id } trigger { name } event { id } }
            totalCount { value capped }
          }
        }
        duplicate
        userErrors { code }
      } }`,
    );
    const { event, ...rest } = data.queueEvent;
    expect(rest).toEqual({ duplicate: false, userErrors: [] });
    expect(event).toMatchObject({
      project: 'default',
      type: 'order.paid',
      source: expect.stringMatching(/^[\da-f-]{36}$/),
      data: { id: 42 },
      dataText: '{"id":42}',
      dataSize: 9,
      dataRemoved: false,
      status: 'IN_PROGRESS',
      finishedAt: null,
      origin: 'GRAPHQL',
      idempotencyKey: null,
      traceparent: null,
      replayOf: null,
      invocationCounts: { total: 2, pending: 2, running: 0, succeeded: 0, failed: 0, cancelled: 0 },
      invocations: { totalCount: { value: 2, capped: false } },
    });
    expect(event.receivedAt).toBe(event.dueAt);
    const pending = {
      status: 'QUEUED',
      attemptCount: 0,
      maxAttempts: 4,
      failureReason: null,
      lastAttempt: null,
    };
    expect(event.invocations.nodes).toMatchObject([
      { triggerName: 'one', trigger: { name: 'one' }, event: { id: event.id }, ...pending },
      { triggerName: 'two', trigger: { name: 'two' }, event: { id: event.id }, ...pending },
    ]);
  });

  test('is UNMATCHED where no trigger listens', async () => {
    const { data } = await ask(
      door,
      `mutation { queueEvent(input: { type: "nobody" }) { event { status data dataText } } }`,
    );
    expect(data.queueEvent.event).toEqual({ status: 'UNMATCHED', data: null, dataText: 'null' });
  });

  test('adds delay to timestamp, and takes a past time for now', async () => {
    const at = new Date(Date.now() + 3_600_000);
    const due = async (input: Record<string, unknown>) => {
      const { data } = await ask(
        door,
        `mutation ($input: QueueEventInput!) { queueEvent(input: $input) {
          event { status dueAt receivedAt invocations { nodes { status nextAttemptAt } } } userErrors { message } } }`,
        { input: { type: 'order.paid', ...input } },
      );
      expect(data.queueEvent.userErrors).toEqual([]);
      return data.queueEvent.event;
    };
    const scheduled = await due({ timestamp: at.getTime(), delay: 1.5 });
    const dueAt = new Date(at.getTime() + 1500).toISOString();
    expect(scheduled).toMatchObject({ status: 'SCHEDULED', dueAt });
    expect(scheduled.invocations.nodes[0]).toEqual({ status: 'SCHEDULED', nextAttemptAt: dueAt });
    expect((await due({ timestamp: at.toISOString().replace('Z', '+00:00') })).dueAt).toBe(at.toISOString());
    const past = await due({ timestamp: '1999-12-31T23:59:59Z' });
    expect(past.status).toBe('IN_PROGRESS');
    expect(past.dueAt).toBe(past.receivedAt);
    expect((await due({ delay: null, timestamp: null, project: null, data: null })).status).toBe(
      'IN_PROGRESS',
    );
  });

  test('continues the trace of the request, or the one it names', async () => {
    const own = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const other = '00-11111111111111111111111111111111-2222222222222222-00';
    const query = `mutation ($traceparent: String) {
      queueEvent(input: { type: "traced", traceparent: $traceparent }) { event { id traceparent } userErrors { field code } } }`;
    const headers = { traceparent: own, tracestate: 'vendor=1' };
    const first = (await ask(door, query, {}, headers)).data.queueEvent.event;
    expect(first.traceparent).toBe(own);
    const second = (await ask(door, query, { traceparent: other }, headers)).data.queueEvent.event;
    expect(second.traceparent).toBe(other);
    const third = (await ask(door, query, {}, { traceparent: 'garbage', tracestate: 'a=b' })).data.queueEvent
      .event;
    expect(third.traceparent).toBeNull();
    const rows = await door.sql`select id, tracestate from herald.events where type = 'traced'`;
    const states = Object.fromEntries(rows.map(({ id, tracestate }) => [id, tracestate]));
    expect(states).toEqual({ [first.id]: 'vendor=1', [second.id]: null, [third.id]: null });
  });

  test.each<[string, Record<string, unknown>, string, string]>([
    ['an empty type', { type: '' }, 'type', 'REQUIRED'],
    ['a type of 256 characters', { type: 't'.repeat(256) }, 'type', 'TOO_LARGE'],
    ['a type with a line break', { type: 'a\nb' }, 'type', 'INVALID'],
    ['a type with U+0000', { type: 'a\u0000' }, 'type', 'INVALID'],
    ['a type with a lone surrogate', { type: '\udc00' }, 'type', 'INVALID'],
    ['a negative delay', { delay: -1 }, 'delay', 'INVALID'],
    ['a delay of 11 years', { delay: 11 * 365 * 86_400 }, 'delay', 'INVALID'],
    ['an endless delay', { delay: 1e308 }, 'delay', 'INVALID'],
    ['a date too far away', { timestamp: '9999-12-31T23:59:59Z' }, 'timestamp', 'INVALID'],
    ['a source that is no URI reference', { source: 'a b' }, 'source', 'INVALID'],
    ['an empty source', { source: '' }, 'source', 'INVALID'],
    ['an empty idempotency key', { idempotencyKey: '' }, 'idempotencyKey', 'INVALID'],
    ['an idempotency key with a space', { idempotencyKey: 'a b' }, 'idempotencyKey', 'INVALID'],
    ['a traceparent that is none', { traceparent: 'x' }, 'traceparent', 'INVALID'],
    ['an unknown project', { project: 'nowhere' }, 'project', 'NOT_FOUND'],
    ['a project with U+0000', { project: 'a\u0000b' }, 'project', 'NOT_FOUND'],
    ['a project with a lone surrogate', { project: 'a\ud800' }, 'project', 'NOT_FOUND'],
    ['data of more than 256 KiB', { data: 'x'.repeat(262_143) }, 'data', 'TOO_LARGE'],
    ['data and dataText', { data: 1, dataText: '1' }, 'dataText', 'INVALID'],
    ['dataText that is no JSON', { dataText: '{"a":x}' }, 'dataText', 'INVALID'],
    ['empty dataText', { dataText: '' }, 'dataText', 'INVALID'],
    [
      'dataText of more than 256 KiB',
      { dataText: JSON.stringify('x'.repeat(262_143)) },
      'dataText',
      'TOO_LARGE',
    ],
    ['dataText nested too deeply', { dataText: '['.repeat(201) + ']'.repeat(201) }, 'dataText', 'TOO_LARGE'],
    [
      'dataText nested 10,000 levels',
      { dataText: '['.repeat(10_000) + ']'.repeat(10_000) },
      'dataText',
      'TOO_LARGE',
    ],
  ])('refuses %s and stores nothing', async (_what, wrong, field, code) => {
    const before = await countEvents();
    const { data, errors } = await ask(door, QUEUE, { input: { type: 'order.paid', ...wrong } });
    expect(errors).toBeUndefined();
    expect(data.queueEvent).toEqual({
      event: null,
      duplicate: false,
      userErrors: [{ field: ['input', field], code, message: expect.stringMatching(/./) }],
    });
    expect(await countEvents()).toBe(before);
  });

  test('says where dataText stops being JSON', async () => {
    const message = async (dataText: string) =>
      (await ask(door, QUEUE, { input: { type: 't', dataText } })).data.queueEvent.userErrors[0].message;
    expect(await message('{"a": nope}')).toContain('"nope}" at position 6');
    expect(await message('[1, 2')).toContain('its end');
  });

  test.each<[string, string, RegExp]>([
    ['seconds', '{"type":"t","timestamp":1700000000}', /looks like seconds/],
    ['a date without offset', '{"type":"t","timestamp":"2026-01-01T00:00:00"}', /RFC 3339/],
    ['a date that is not on the calendar', '{"type":"t","timestamp":"2026-02-30T00:00:00Z"}', /RFC 3339/],
    ['half a millisecond', '{"type":"t","timestamp":1700000000000.5}', /whole epoch milliseconds/],
    ['a boolean for a time', '{"type":"t","timestamp":true}', /RFC 3339/],
    ['a number for a type', '{"type":5}', /String cannot represent/],
    ['no type', '{}', /required/],
    ['a field that is none', '{"type":"t","nope":1}', /nope/],
    ['an endless delay', '{"type":"t","delay":1e400}', /Float cannot represent/],
  ])('refuses %s as a bad request', async (_what, input, message) => {
    const before = await countEvents();
    const answer = await ask(door, QUEUE, `{"input":${input}}`);
    expect(answer.data).toBeUndefined();
    expect(answer.errors?.[0]?.message).toMatch(message);
    expect(answer.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    expect(await countEvents()).toBe(before);
  });

  test('answers a repeated idempotency key with the first event, and refuses it for another payload', async () => {
    const queue = async (input: Record<string, unknown>) =>
      (
        await ask(door, QUEUE, {
          input: { type: 'order.paid', idempotencyKey: 'k-1', data: { n: 1 }, ...input },
        })
      ).data.queueEvent;
    const first = await queue({});
    expect(first).toMatchObject({ duplicate: false, userErrors: [] });
    expect(await queue({})).toEqual({ event: first.event, duplicate: true, userErrors: [] });
    expect(await queue({ data: { n: 2 } })).toMatchObject({
      event: null,
      userErrors: [{ field: ['input', 'idempotencyKey'], code: 'IDEMPOTENCY_KEY_REUSED' }],
    });
    const found = await ask(
      door,
      '{ events(filter: { idempotencyKey: "k-1" }) { nodes { id } totalCount { value } } }',
    );
    expect(found.data.events).toEqual({ nodes: [first.event], totalCount: { value: 1 } });
  });

  test('makes one event of 50 parallel calls with one key', async () => {
    const input = { type: 'order.paid', idempotencyKey: 'parallel', data: [1, 2, 3] };
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(door, QUEUE, { input })));
    const ids = new Set(answers.map(({ data }) => data.queueEvent.event.id));
    expect(ids.size).toBe(1);
    expect(answers.filter(({ data }) => !data.queueEvent.duplicate)).toHaveLength(1);
  });
});

describe('queueEvents', () => {
  test('answers in the order of its input', async () => {
    const types = Array.from({ length: 250 }, (_, index) => `batch.${index}`);
    const { data } = await ask(door, QUEUE_ALL, { input: { events: types.map((type) => ({ type })) } });
    expect(data.queueEvents.userErrors).toEqual([]);
    expect(data.queueEvents.events.map(({ type }: Loose) => type)).toEqual(types);
  });

  test('stores all or none, and names each wrong value', async () => {
    const before = await countEvents();
    const refused = async (events: readonly Record<string, unknown>[]) => {
      const { data, errors } = await ask(door, QUEUE_ALL, { input: { events } });
      expect(errors).toBeUndefined();
      expect(data.queueEvents.events).toBeNull();
      return data.queueEvents.userErrors.map(({ field, code }: Loose) => [field.join('.'), code]);
    };
    const good = { type: 'order.paid' };
    expect(await refused([good, good, good, { type: '', delay: -1 }])).toEqual([
      ['input.events.3.type', 'REQUIRED'],
      ['input.events.3.delay', 'INVALID'],
    ]);
    expect(await refused([good, { ...good, dataText: '[' }])).toEqual([
      ['input.events.1.dataText', 'INVALID'],
    ]);
    expect(await refused([good, { ...good, dataText: '['.repeat(300) + ']'.repeat(300) }])).toEqual([
      ['input.events.1.dataText', 'TOO_LARGE'],
    ]);
    expect(await refused([good, { ...good, project: 'nowhere' }])).toEqual([
      ['input.events.1.project', 'NOT_FOUND'],
    ]);
    expect(
      await refused([
        { ...good, idempotencyKey: 'same' },
        { ...good, idempotencyKey: 'same', data: 1 },
      ]),
    ).toEqual([['input.events.1.idempotencyKey', 'IDEMPOTENCY_KEY_REUSED']]);
    expect(await refused([])).toEqual([['input.events', 'REQUIRED']]);
    expect(await refused(Array.from({ length: 1001 }, () => good))).toEqual([['input.events', 'TOO_LARGE']]);
    expect(await countEvents()).toBe(before);
  });

  test('takes 1000 events at once', async () => {
    const before = await countEvents();
    const events = Array.from({ length: 1000 }, (_, n) => ({ type: 'thousand', data: { n } }));
    const response = await post(door, JSON.stringify({ query: QUEUE_ALL, variables: { input: { events } } }));
    const { data } = (await response.json()) as Loose;
    expect(data.queueEvents.userErrors).toEqual([]);
    expect(data.queueEvents.events).toHaveLength(1000);
    expect(await countEvents()).toBe(before + 1000);
  });
});
