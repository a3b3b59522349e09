import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, createTrigger, type Loose, queueEvent } from './ask.ts';
import { type Door, openDoor } from './door.ts';
import { GIVE_UP, play, RETRY, SUCCEED } from './outcomes.ts';

let door: Door;
beforeAll(async () => {
  door = await openDoor();
});
afterAll(() => door.close());

const ids = (connection: Loose): string[] => connection.nodes.map((node: Loose) => node.id);

describe('pages', () => {
  const expected: string[] = [];
  beforeAll(async () => {
    await createTrigger(door, { name: 'walked', type: 'walk' });
    for (let n = 0; n < 50; n++)
      expected.push((await queueEvent(door, { type: 'walk', delay: (n * 7) % 50 })).id);
  });

  const PAGE = `query ($first: Int, $after: String, $last: Int, $before: String, $orderBy: EventOrder) {
    events(filter: { type: ["walk"] }, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
      nodes { id dueAt } edges { cursor node { id } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      totalCount { value capped }
    }
  }`;

  async function walk(
    orderBy: Record<string, unknown> | undefined,
    backward: boolean,
    meanwhile?: () => Promise<unknown>,
  ) {
    const found: string[] = [];
    let cursor: string | null = null;
    for (;;) {
      const args: Record<string, unknown> = backward
        ? { last: 7, before: cursor }
        : { first: 7, after: cursor };
      const { events } = (await ask(door, PAGE, { orderBy, ...args })).data;
      expect(events.edges.map(({ node }: Loose) => node.id)).toEqual(ids(events));
      expect(events.pageInfo.startCursor).toBe(events.edges[0].cursor);
      expect(events.pageInfo.endCursor).toBe(events.edges.at(-1).cursor);
      if (backward) found.unshift(...ids(events));
      else found.push(...ids(events));
      if (!(backward ? events.pageInfo.hasPreviousPage : events.pageInfo.hasNextPage)) return found;
      cursor = backward ? events.pageInfo.startCursor : events.pageInfo.endCursor;
      await meanwhile?.();
    }
  }

  const OLDEST_FIRST = { field: 'RECEIVED_AT', direction: 'ASC' };

  test('hold every row once, forward and backward, in either direction', async () => {
    expect(await walk(OLDEST_FIRST, false)).toEqual(expected);
    expect(await walk(OLDEST_FIRST, true)).toEqual(expected);
    expect(await walk(undefined, false)).toEqual(expected.toReversed());
    expect(await walk(undefined, true)).toEqual(expected.toReversed());
  });

  test('hold every row once, sorted by a time that is not theirs alone', async () => {
    const rows = await door.sql`select id from herald.events where type = 'walk' order by due_at, id`;
    const byDue = rows.map(({ id }) => id);
    const order = { field: 'DUE_AT', direction: 'ASC' };
    expect(await walk(order, false)).toEqual(byDue);
    expect(await walk(order, true)).toEqual(byDue);
    expect(await walk({ ...order, direction: 'DESC' }, false)).toEqual(byDue.toReversed());
  });

  test('skip and repeat nothing while rows arrive', async () => {
    const before = new Set(expected);
    const meanwhile = () => queueEvent(door, { type: 'walk' }).then(({ id }) => expected.push(id));
    const downwards = await walk(undefined, false, meanwhile);
    expect(downwards).toEqual([...before].toReversed());
    const upwards = await walk(OLDEST_FIRST, false, meanwhile);
    expect(upwards.slice(0, before.size)).toEqual([...before]);
    expect(new Set(upwards).size).toBe(upwards.length);
  });

  test('are 20 rows by default and count what matches', async () => {
    const { events } = (await ask(door, PAGE)).data;
    expect(events.nodes).toHaveLength(20);
    expect(events.totalCount).toEqual({ value: expected.length, capped: false });
    expect((await ask(door, PAGE, { first: 0 })).data.events).toMatchObject({
      nodes: [],
      pageInfo: { startCursor: null, endCursor: null, hasNextPage: true },
    });
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['101 rows', { first: 101 }, /between 0 and 100, got 101/],
    ['fewer than none', { last: -1 }, /between 0 and 100/],
    ['both ends', { first: 1, last: 1 }, /first or last/],
    ['a cursor of nobody', { after: 'nonsense' }, /cursor/],
    [
      'a cursor that is JSON of another kind',
      { after: Buffer.from('{"a":1}').toString('base64url') },
      /cursor/,
    ],
    [
      'a cursor with a bad id',
      { after: Buffer.from('["RECEIVED_AT",null,"x"]').toString('base64url') },
      /cursor/,
    ],
    ['before without last', { first: 1, before: 'x' }, /last with before/],
  ])('refuse %s', async (_what, args, message) => {
    const { errors } = await ask(door, PAGE, args);
    expect(errors?.[0]?.message).toMatch(message);
    expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });

  test('refuse a cursor of another order', async () => {
    const { events } = (await ask(door, PAGE, { first: 1 })).data;
    const { errors } = await ask(door, PAGE, {
      first: 1,
      after: events.pageInfo.endCursor,
      orderBy: { field: 'DUE_AT', direction: 'ASC' },
    });
    expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });
});

describe('filters', () => {
  let triggers: Record<'a' | 'b', Loose>;
  const events: Record<string, Awaited<ReturnType<typeof queueEvent>>> = {};
  beforeAll(async () => {
    triggers = {
      a: await createTrigger(door, { name: 'filter-a', type: 'f.a', description: 'finds 100%_sure' }),
      b: await createTrigger(door, {
        name: 'filter-b',
        type: 'f.b',
        project: 'other',
        url: 'http://127.0.0.1:9/Needle',
      }),
    };
    events.ok = await queueEvent(door, { type: 'f.a' });
    events.failed = await queueEvent(door, { type: 'f.a' });
    events.retrying = await queueEvent(door, { type: 'f.a' });
    events.later = await queueEvent(door, { type: 'f.a', delay: 3600 });
    events.other = await queueEvent(door, { type: 'f.b', project: 'other' });
    events.unmatched = await queueEvent(door, { type: 'f.none', idempotencyKey: 'f-key' });
    await play(
      door.db,
      { invocationId: only(events.ok), number: 1, statusCode: 204, decision: SUCCEED },
      { invocationId: only(events.failed), number: 1, statusCode: 500, decision: GIVE_UP },
      { invocationId: only(events.retrying), number: 1, statusCode: 418, decision: RETRY },
    );
  });

  const only = (event: Loose): string => event.invocations[0];
  const named = (connection: Loose): string[] => {
    const names = new Map(Object.entries(events).map(([name, { id }]) => [id, name]));
    return connection.nodes.map((node: Loose) => names.get(node.event?.id ?? node.id)).sort();
  };

  test.each<[Record<string, unknown>, string[]]>([
    [{ type: ['f.a'] }, ['failed', 'later', 'ok', 'retrying']],
    [{ type: ['f.b', 'f.none'] }, ['other', 'unmatched']],
    [{ type: [] }, []],
    [{ type: ['f.a'], status: ['SUCCEEDED'] }, ['ok']],
    [{ type: ['f.a'], status: ['FAILED'] }, ['failed']],
    [{ type: ['f.a'], status: ['IN_PROGRESS'] }, ['retrying']],
    [{ type: ['f.a'], status: ['SCHEDULED', 'FAILED'] }, ['failed', 'later']],
    [{ type: ['f.none'], status: ['UNMATCHED'] }, ['unmatched']],
    [{ type: ['f.a'], status: ['CANCELLED'] }, []],
    [{ project: 'other' }, ['other']],
    [{ idempotencyKey: 'f-key' }, ['unmatched']],
    [{ type: ['f.a'], dueAt: { from: new Date(Date.now() + 60_000).toISOString() } }, ['later']],
    [
      { type: ['f.a'], dueAt: { to: new Date(Date.now() + 60_000).toISOString() } },
      ['failed', 'ok', 'retrying'],
    ],
    [{ type: ['f.a'], receivedAt: { from: '2000-01-01T00:00:00+02:00', to: '2000-01-02T00:00:00Z' } }, []],
    [{ type: ["' or true --"] }, []],
  ])('events %j', async (filter, expected) => {
    const query = `query ($filter: EventFilter) {
      events(filter: $filter) { nodes { id status } totalCount { value } } }`;
    const { data } = await ask(door, query, { filter });
    expect(named(data.events)).toEqual(expected);
    expect(data.events.totalCount.value).toBe(expected.length);
    const wanted = filter.status as string[] | undefined;
    if (wanted) for (const { status } of data.events.nodes) expect(wanted).toContain(status);
  });

  test.each<[Record<string, unknown>, string[]]>([
    [{ eventType: ['f.a'] }, ['failed', 'later', 'ok', 'retrying']],
    [{ project: 'other' }, ['other']],
    [{ eventType: ['f.a'], status: ['QUEUED'] }, []],
    [{ eventType: ['f.b'], status: ['QUEUED'] }, ['other']],
    [{ eventType: ['f.a'], status: ['SCHEDULED', 'RETRYING'] }, ['later', 'retrying']],
    [{ eventType: ['f.a'], failureReason: ['RETRIES_EXHAUSTED'] }, ['failed']],
    [{ eventType: ['f.a'], lastErrorCode: ['HTTP_STATUS'] }, ['failed', 'retrying']],
    [{ eventType: ['f.a'], lastStatusCode: { min: 400, max: 499 } }, ['retrying']],
    [
      { eventType: ['f.a'], lastStatusCode: { min: -2147483648, max: 2147483647 } },
      ['failed', 'ok', 'retrying'],
    ],
    [{ eventType: ['f.a'], createdAt: { to: '2000-01-01T00:00:00Z' } }, []],
    [{ eventId: 'no uuid' }, []],
    [{ triggerId: ['no uuid', ''] }, []],
    [{ eventType: ['f.a'], triggerId: [] }, []],
  ])('invocations %j', async (filter, expected) => {
    const query = `query ($filter: InvocationFilter) {
      invocations(filter: $filter) { nodes { id event { id } } totalCount { value } } }`;
    const { data, errors } = await ask(door, query, { filter });
    expect(errors).toBeUndefined();
    expect(named(data.invocations)).toEqual(expected);
    expect(data.invocations.totalCount.value).toBe(expected.length);
  });

  test('invocations of a trigger, an event, or several triggers', async () => {
    const { data } = await ask(
      door,
      `query ($a: ID!, $b: ID!, $event: ID!) {
        trigger(id: $a) { invocations(filter: { status: [FAILED] }) { nodes { event { id } } totalCount { value } } }
        both: invocations(filter: { triggerId: [$a, $b, "nope"] }) { nodes { event { id } } }
        one: invocations(filter: { eventId: $event }) { nodes { event { id } } }
        event(id: $event) { invocations(filter: { triggerId: [$b] }) { nodes { id } totalCount { value } } }
      }`,
      { a: triggers.a.id, b: triggers.b.id, event: events.ok?.id },
    );
    expect(named(data.trigger.invocations)).toEqual(['failed']);
    expect(data.trigger.invocations.totalCount.value).toBe(1);
    expect(named(data.both)).toEqual(['failed', 'later', 'ok', 'other', 'retrying']);
    expect(named(data.one)).toEqual(['ok']);
    expect(data.event.invocations).toEqual({ nodes: [], totalCount: { value: 0 } });
  });

  test('triggers by project, type, status and text', async () => {
    const search = async (filter: Record<string, unknown>) => {
      const query =
        'query ($filter: TriggerFilter) { triggers(filter: $filter) { nodes { name } totalCount { value } } }';
      const { triggers } = (await ask(door, query, { filter })).data;
      expect(triggers.totalCount.value).toBe(triggers.nodes.length);
      return triggers.nodes.map(({ name }: Loose) => name);
    };
    expect(await search({ search: 'FILTER-' })).toEqual(['filter-a', 'filter-b']);
    expect(await search({ search: 'needle' })).toEqual(['filter-b']);
    expect(await search({ search: '100%_s' })).toEqual(['filter-a']);
    expect(await search({ search: '%' })).toEqual(['filter-a']);
    expect(await search({ search: '_' })).toEqual(['filter-a']);
    expect(await search({ project: 'other' })).toEqual(['filter-b']);
    expect(await search({ type: 'f.a' })).toEqual(['filter-a']);
    expect(await search({ status: ['PAUSED', 'DISABLED'] })).toEqual([]);
    const ordered = await ask(
      door,
      `{ triggers(orderBy: { field: CREATED_AT, direction: DESC }, first: 2) { nodes { name } } }`,
    );
    expect(ordered.data.triggers.nodes).toEqual([{ name: 'filter-b' }, { name: 'filter-a' }]);
  });

  test('of more than 100 values, or with U+0000, are refused', async () => {
    const many = Array.from({ length: 101 }, (_, n) => `t${n}`);
    const query = 'query ($filter: EventFilter) { events(filter: $filter) { nodes { id } } }';
    const { errors } = await ask(door, query, { filter: { type: many } });
    expect(errors?.[0]).toMatchObject({
      message: expect.stringContaining('at most 100'),
      extensions: { code: 'BAD_USER_INPUT' },
    });
    const zero = await ask(door, query, { filter: { project: 'a\u0000b' } });
    expect(zero.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    expect(door.logged).toEqual([]);
  });

  test('of an id that is none answer null', async () => {
    const { data, errors } = await ask(
      door,
      '{ event(id: "x") { id } trigger(id: "") { id } invocation(id: "a\\u0000") { id } }',
    );
    expect(errors).toBeUndefined();
    expect(data).toEqual({ event: null, trigger: null, invocation: null });
    const upper = await ask(door, 'query ($id: ID!) { event(id: $id) { id } }', {
      id: events.ok?.id.toUpperCase(),
    });
    expect(upper.data.event.id).toBe(events.ok?.id);
  });
});

describe('statements', () => {
  const DEEP = `query ($first: Int!) { events(filter: { type: ["walk"] }, first: $first) {
    nodes {
      id status finishedAt invocationCounts { total }
      invocations(first: 5) {
        nodes {
          id status deliveryLatencyMs
          event { id type }
          trigger { id name signingKeys { id } invocations(first: 2) { nodes { id } totalCount { value } } }
          lastAttempt { id request { body } invocation { id event { id } } }
          attempts(first: 3) { nodes { id request { body } } totalCount { value } }
        }
        totalCount { value }
      }
    }
    totalCount { value }
  } }`;

  test('of a deep query do not grow with its rows', async () => {
    const { data } = await ask(
      door,
      '{ invocations(filter: { eventType: ["walk"] }, orderBy: { field: CREATED_AT, direction: DESC }, first: 30) { nodes { id } } }',
    );
    await play(
      door.db,
      ...ids(data.invocations).map((invocationId) => ({
        invocationId,
        number: 1,
        statusCode: 200,
        decision: SUCCEED,
      })),
    );
    const statements = async (first: number) => {
      const sent = await door.statementsOf(async () => {
        const { data, errors } = await ask(door, DEEP, { first });
        expect(errors).toBeUndefined();
        expect(data.events.nodes).toHaveLength(first);
        expect(data.events.nodes[0].invocations.nodes[0].lastAttempt.request.body).toContain(
          data.events.nodes[0].id,
        );
      });
      return sent.length;
    };
    await statements(1); // warms up
    const one = await statements(1);
    // Loads of two branches fall into one statement or two, as the answers come back.
    expect(await statements(30)).toBeLessThanOrEqual(one + 3);
    expect(one).toBeLessThanOrEqual(18);
  });

  test('totalCount is counted only where it is asked for', async () => {
    const sent = await door.statementsOf(() => ask(door, '{ events(first: 1) { nodes { id } } }'));
    expect(sent).toHaveLength(1);
    expect(sent[0]).not.toContain('count(');
  });

  test('one answer holds no more payload than its budget', async () => {
    const data = 'x'.repeat(250_000);
    for (let n = 0; n < 20; n++) await queueEvent(door, { type: 'heavy', data });
    const page = '{ nodes { data dataText } }';
    const aliases = Array.from(
      { length: 14 },
      (_, n) => `p${n}: events(filter: { type: ["heavy"] }, first: 100) ${page}`,
    );
    const one = await ask(door, `{ ${aliases[0]} }`);
    expect(one.data.p0.nodes[19].data).toBe(data);
    const all = await ask(door, `{ ${aliases.join(' ')} }`);
    expect(all.errors?.[0]?.extensions.code).toBe('LIMIT_EXCEEDED');
  });
});
