import { getIntrospectionQuery } from 'graphql';
import { serverAudits } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Caller } from '../../src/domain/caller.ts';
import type { GraphqlServices } from '../../src/graphql/services.ts';
import { ask, bodyOf, createTrigger, type Loose, post, queueEvent } from './ask.ts';
import { AUTHORIZED, type Door, openDoor, TOKEN } from './door.ts';

const caller = (name: string, scopes: Caller['scopes'], projects: Caller['projects'] = null): Caller => ({
  id: `key:${name}`,
  name,
  scopes,
  projects,
  watch: () => () => {},
});

let door: Door;
beforeAll(async () => {
  door = await openDoor({
    maxBodyBytes: 100_000,
    callers: {
      nothing: caller('nothing', []),
      writer: caller('writer', ['EVENTS_WRITE']),
      reader: caller('reader', ['EVENTS_READ']),
      shop: caller('shop', ['EVENTS_READ', 'EVENTS_WRITE', 'TRIGGERS_READ', 'TRIGGERS_WRITE'], ['shop']),
    },
  });
});
afterAll(() => door.close());

const as = (token: string) => ({ authorization: `Bearer ${token}` });

describe('GraphQL over HTTP', () => {
  const audits = serverAudits({
    url: () => door.url,
    fetchFn: (url: string, init: RequestInit = {}) =>
      fetch(url, {
        ...init,
        headers: { ...(init.headers as Record<string, string>), authorization: `Bearer ${TOKEN}` },
      }),
  });
  test.each(audits.map((audit) => [audit.name, audit] as const))('%s', async (_name, audit) => {
    const result = await audit.fn();
    // "MAY accept application/x-www-form-urlencoded": we do not, on purpose.
    const accepted = audit.name.startsWith('MAY') ? ['ok', 'notice'] : ['ok'];
    expect(accepted, 'reason' in result ? String(result.reason) : '').toContain(result.status);
  });
});

describe('requests', () => {
  const status = async (init: RequestInit, headers: Record<string, string> = {}) => {
    const accept = 'application/graphql-response+json';
    const response = await fetch(door.url, { ...init, headers: { ...AUTHORIZED, accept, ...headers } });
    const text = await response.text();
    return [response.status, text === '' ? null : (JSON.parse(text) as Loose).errors?.[0]?.extensions.code];
  };
  const good = '{"query":"{ __typename }"}';

  test.each<[string, RequestInit, Record<string, string>, number]>([
    [
      'a form',
      { method: 'POST', body: 'query={__typename}' },
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
    ],
    [
      'multipart',
      { method: 'POST', body: '--a--' },
      { 'content-type': 'multipart/form-data; boundary=a' },
      415,
    ],
    ['plain text', { method: 'POST', body: good }, { 'content-type': 'text/plain' }, 415],
    [
      'application/graphql',
      { method: 'POST', body: '{ __typename }' },
      { 'content-type': 'application/graphql' },
      415,
    ],
    ['a batch', { method: 'POST', body: `[${good},${good}]` }, {}, 400],
    ['no JSON', { method: 'POST', body: '{' }, {}, 400],
    ['nothing', { method: 'POST', body: '' }, {}, 400],
    ['a number', { method: 'POST', body: '1.50' }, {}, 400],
    ['null', { method: 'POST', body: 'null' }, {}, 400],
    ['no query', { method: 'POST', body: '{}' }, {}, 400],
    ['a query that is a number', { method: 'POST', body: '{"query":1.50}' }, {}, 400],
    [
      'variables that are a list',
      { method: 'POST', body: '{"query":"{ __typename }","variables":[]}' },
      {},
      400,
    ],
    [
      'variables that are a number',
      { method: 'POST', body: '{"query":"{ __typename }","variables":1.50}' },
      {},
      400,
    ],
    ['what is no UTF-8', { method: 'POST', body: new Uint8Array([0x22, 0xff, 0x22]) }, {}, 400],
  ])('of %s are refused', async (_what, init, headers, expected) => {
    const [got, code] = await status(init, headers);
    expect([got, code]).toEqual([expected, 'BAD_USER_INPUT']);
  });

  test('from another site are refused', async () => {
    const unasked = await fetch(`${door.url}?query={__typename}`, { headers: as(TOKEN) });
    expect(unasked.status).toBe(200); // a form cannot send Authorization
    const response = await door.graphql.fetch(
      new Request('http://x/graphql?query={__typename}'),
      caller('anyone', ['ADMIN']), // as with AUTH=off
    );
    expect(response.status).toBe(403);
    expect(((await response.json()) as Loose).errors[0].extensions.code).toBe('FORBIDDEN');
  });

  test('with mutations are taken by POST only', async () => {
    const query = new URLSearchParams({
      query: 'mutation { queueEvent(input: { type: "t" }) { event { id } } }',
    });
    const response = await fetch(`${door.url}?${query}`, { headers: as(TOKEN) });
    expect(response.status).toBe(405);
    expect((await fetch(door.url, { method: 'PUT', headers: as(TOKEN) })).status).toBe(405);
  });

  test('of more than the limit are answered with 413, however they come', async () => {
    const big = bodyOf('{ __typename }', { pad: 'x'.repeat(150_000) });
    expect(await status({ method: 'POST', body: big })).toEqual([413, 'PAYLOAD_TOO_LARGE']);
    const stream = new ReadableStream({
      start(controller) {
        for (let n = 0; n < 30; n++) controller.enqueue(new TextEncoder().encode('x'.repeat(10_000)));
        controller.close();
      },
    });
    expect(await status({ method: 'POST', body: stream, duplex: 'half' } as RequestInit)).toEqual([
      413,
      'PAYLOAD_TOO_LARGE',
    ]);
    expect((await ask(door, '{ __typename }')).data).toEqual({ __typename: 'Query' });
  });
});

describe('queries', () => {
  const aliases = (n: number) => `{ ${Array.from({ length: n }, (_, i) => `a${i}: __typename`).join(' ')} }`;
  const nested = (levels: number) =>
    `{ events { nodes { ${'invocations { nodes { event { '.repeat(levels)} id ${'} } }'.repeat(levels)} } } }`;

  test.each<[string, string, string | undefined]>([
    ['15 aliases', aliases(15), undefined],
    ['16 aliases', aliases(16), 'LIMIT_EXCEEDED'],
    [
      'aliases of one field in fragments',
      `{ ...f ...f } fragment f on Query ${aliases(8)}`,
      'LIMIT_EXCEEDED',
    ],
    [
      '8 directives',
      `{ __typename ${'@include(if: true) '.repeat(1)} viewer { name ${'@skip(if: false)'} } }`,
      undefined,
    ],
    ['50 directives', `{ ${'__typename @include(if: true) '.repeat(50)} }`, 'LIMIT_EXCEEDED'],
    ['a depth of 12', nested(3), undefined],
    ['a depth of 15', nested(4), 'LIMIT_EXCEEDED'],
    ['a depth of 3,000', `${'{ a '.repeat(3000)}${'}'.repeat(3000)}`, 'LIMIT_EXCEEDED'],
    ['2,001 tokens', `{ ${'__typename '.repeat(2000)} }`, 'LIMIT_EXCEEDED'],
    [
      'a fragment that includes itself',
      '{ ...f } fragment f on Query { viewer { name } ...f }',
      'GRAPHQL_VALIDATION_FAILED',
    ],
    ['a syntax error', '{ viewer', 'GRAPHQL_PARSE_FAILED'],
    ['an unknown field', '{ viewr }', 'GRAPHQL_VALIDATION_FAILED'],
    [
      'absurd pages',
      '{ events(first: 100) { nodes { invocations(first: 100) { nodes { trigger { invocations(first: 100) { nodes { event { invocations(first: 100) { nodes { id } } } } } } } } } } }',
      'LIMIT_EXCEEDED',
    ],
  ])('of %s', async (_what, query, code) => {
    for (const accept of ['application/json', 'application/graphql-response+json']) {
      const response = await post(door, bodyOf(query), { accept });
      const { errors } = (await response.json()) as Loose;
      expect(errors?.[0]?.extensions.code).toBe(code);
      const failed = accept === 'application/json' ? 200 : 400;
      expect(response.status).toBe(code === undefined ? 200 : failed);
    }
  });

  test('are answered without suggestions', async () => {
    const { errors } = await ask(door, '{ viewr { name } }');
    expect(errors?.[0]?.message).toBe('Cannot query field "viewr" on type "Query".');
  });

  test('of the README fit: an event, its invocations, their attempts', async () => {
    const { errors } = await ask(
      door,
      `{ events(first: 20) { edges { node { id invocations(first: 20) { edges { node { attempts(first: 20) {
        edges { node { request { headers { name } } response { headers { value } } } } } } } } } } } }`,
    );
    expect(errors).toBeUndefined();
  });

  test('of introspection pass', async () => {
    for (const options of [
      {},
      {
        specifiedByUrl: true,
        schemaDescription: true,
        inputValueDeprecation: true,
        directiveIsRepeatable: true,
        oneOf: true,
      },
    ]) {
      const { data, errors } = await ask(door, getIntrospectionQuery(options));
      expect(errors).toBeUndefined();
      expect(data.__schema.queryType.name).toBe('Query');
    }
  });
});

describe('scopes', () => {
  const code = async (token: string, query: string, variables = {}) => {
    const answer = await ask(door, query, variables, as(token));
    return answer.errors?.[0]?.extensions.code;
  };

  test('name what is missing', async () => {
    const { errors } = await ask(door, '{ triggers { nodes { id } } }', {}, as('nothing'));
    expect(errors?.[0]).toMatchObject({
      message: 'triggers needs a token with scope TRIGGERS_READ',
      extensions: { code: 'FORBIDDEN' },
    });
    const response = await post(door, bodyOf('{ triggers { nodes { id } } }'), as('nothing'));
    expect(response.status).toBe(403);
  });

  test('are asked of every root field', async () => {
    const { data } = await ask(door, getIntrospectionQuery());
    const fields = (name: string) => data.__schema.types.find((type: Loose) => type.name === name).fields;
    const input: Record<string, string> = {
      createApiKey: '{ name: "n", scopes: [ADMIN] }',
      createTrigger: '{ name: "n", type: "t", url: "http://127.0.0.1" }',
      queueEvent: '{ type: "t" }',
      queueEvents: '{ events: [{ type: "t" }] }',
      replayEvents: '{ filter: { project: "x" } }',
      previewDelivery: '{ triggerId: "x" }',
      testTrigger: '{ triggerId: "x" }',
      retryInvocations: '{ filter: { project: "x" } }',
      cancelEvents: '{ filter: { project: "x" } }',
    };
    for (const { name, args, type: answer } of fields('Query')) {
      if (name === 'viewer' || name === 'server') continue;
      const given = args
        .filter(({ type }: Loose) => type.kind === 'NON_NULL')
        .map((arg: Loose) => `${arg.name}: "x"`);
      const selection = answer.ofType?.kind === 'SCALAR' ? '' : '{ __typename }';
      const query = `{ ${name}${given.length > 0 ? `(${given})` : ''} ${selection} }`;
      expect(await code('nothing', query), query).toBe('FORBIDDEN');
    }
    for (const { name } of fields('Mutation')) {
      const query = `mutation { ${name}(input: ${input[name] ?? '{ id: "x" }'}) { __typename } }`;
      expect(await code('nothing', query), query).toBe('FORBIDDEN');
    }
    for (const query of [
      'subscription { invocationUpdated { kind } }',
      'subscription { eventProgress(id: "x") { done } }',
      'subscription { liveTail { kind } }',
      'subscription { queueStatus { ready } }',
    ]) {
      const response = await post(door, bodyOf(query), { ...as('nothing'), accept: 'text/event-stream' });
      expect(await response.text()).toContain('FORBIDDEN');
    }
  });

  test('let each token do what it says, and no more', async () => {
    expect((await ask(door, '{ viewer { name scopes projects } }', {}, as('writer'))).data.viewer).toEqual({
      name: 'writer',
      scopes: ['EVENTS_WRITE'],
      projects: null,
    });
    expect(
      await code('writer', 'mutation { queueEvent(input: { type: "s" }) { event { id status } } }'),
    ).toBeUndefined();
    expect(await code('writer', '{ events { nodes { id } } }')).toBe('FORBIDDEN');
    expect(
      await code(
        'writer',
        'mutation { queueEvent(input: { type: "s" }) { event { invocations { nodes { id } } } } }',
      ),
    ).toBe('FORBIDDEN');
    expect(await code('reader', '{ events { nodes { invocations { nodes { id } } } } }')).toBeUndefined();
    await createTrigger(door, { name: 'scoped', type: 's' });
    await queueEvent(door, { type: 's' });
    const mixed = await ask(door, '{ invocations { nodes { id trigger { url } } } }', {}, as('reader'));
    expect(mixed.data.invocations.nodes[0]).toMatchObject({ id: expect.any(String), trigger: null });
    expect(mixed.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });

  test('end at the projects of the token', async () => {
    const foreign = await createTrigger(door, { name: 'foreign', type: 'p' });
    const own = await createTrigger(door, { name: 'own', type: 'p', project: 'shop' });
    const hidden = await queueEvent(door, { type: 'p' });
    const seen = await queueEvent(door, { type: 'p', project: 'shop' });
    const { data, errors } = await ask(
      door,
      `query ($trigger: ID!, $event: ID!, $invocation: ID!) {
        trigger(id: $trigger) { id }
        triggerByName(name: "foreign") { id }
        event(id: $event) { id }
        invocation(id: $invocation) { id }
        triggers { nodes { id } totalCount { value } }
        events { nodes { id } totalCount { value } }
        invocations { nodes { id } totalCount { value } }
        elsewhere: events(filter: { project: "default" }) { nodes { id } }
      }`,
      { trigger: foreign.id, event: hidden.id, invocation: hidden.invocations[0] },
      as('shop'),
    );
    expect(errors).toBeUndefined();
    expect(data).toEqual({
      trigger: null,
      triggerByName: null,
      event: null,
      invocation: null,
      triggers: { nodes: [{ id: own.id }], totalCount: { value: 1 } },
      events: { nodes: [{ id: seen.id }], totalCount: { value: 1 } },
      invocations: { nodes: [{ id: seen.invocations[0] }], totalCount: { value: 1 } },
      elsewhere: { nodes: [] },
    });
    const refused = await ask(
      door,
      `mutation ($id: ID!) {
        queueEvent(input: { type: "p" }) { userErrors { field code } }
        queueEvents(input: { events: [{ type: "p" }] }) { userErrors { field code } }
        createTrigger(input: { name: "x", type: "p", url: "http://127.0.0.1" }) { userErrors { field code } }
        updateTrigger(input: { id: $id, retries: 1 }) { userErrors { field code } }
        pauseTrigger(input: { id: $id }) { userErrors { field code } }
        resumeTrigger(input: { id: $id }) { userErrors { field code } }
        deleteTrigger(input: { id: $id }) { userErrors { field code } }
      }`,
      { id: foreign.id },
      as('shop'),
    );
    const notFound = (...field: string[]) => ({
      userErrors: [{ field: ['input', ...field], code: 'NOT_FOUND' }],
    });
    expect(refused.data).toEqual({
      queueEvent: notFound('project'),
      queueEvents: notFound('events', '0', 'project'),
      createTrigger: notFound('project'),
      updateTrigger: notFound('id'),
      pauseTrigger: notFound('id'),
      resumeTrigger: notFound('id'),
      deleteTrigger: notFound('id'),
    });
    const mine = await ask(
      door,
      `mutation ($id: ID!) { pauseTrigger(input: { id: $id }) { userErrors { code } } }`,
      { id: own.id },
      as('shop'),
    );
    expect(mine.data.pauseTrigger.userErrors).toEqual([]);
  });
});

describe('faults', () => {
  /** A queue that fails as a bug or an absent database would make it fail. */
  const failing = (error: Error): Partial<GraphqlServices> => ({
    queue: { queueEvent: () => Promise.reject(error), queueEvents: () => Promise.reject(error) },
  });
  const QUEUE = 'mutation { queueEvent(input: { type: "t" }) { event { id } } }';

  test('of ours are masked, with an id that the log has too, once', async () => {
    await using broken = await openDoor({ services: failing(new Error('secret detail')) });
    const response = await post(broken, bodyOf(QUEUE));
    expect(response.status).toBe(500);
    const text = await response.text();
    expect(text).not.toContain('secret detail');
    const { errors, data } = JSON.parse(text) as Loose;
    expect(data).toBeNull();
    expect(errors).toMatchObject([
      { message: 'Unexpected error', path: ['queueEvent'], extensions: { code: 'INTERNAL_SERVER_ERROR' } },
    ]);
    expect(Object.keys(errors[0].extensions).sort()).toEqual(['code', 'requestId']);
    expect(broken.logged).toMatchObject([
      { level: 'error', fields: { requestId: errors[0].extensions.requestId, path: 'queueEvent' } },
    ]);
    expect(String(broken.logged[0]?.fields.err)).toContain('secret detail');
  });

  test('of the database are UNAVAILABLE', async () => {
    await using broken = await openDoor({
      services: failing(Object.assign(new Error('down'), { code: 'ECONNREFUSED' })),
    });
    const response = await post(broken, bodyOf(QUEUE));
    expect(response.status).toBe(503);
    expect(((await response.json()) as Loose).errors[0].extensions).toEqual({ code: 'UNAVAILABLE' });
    expect(broken.logged).toEqual([]);
  });

  test('leave the rest of the answer alone', async () => {
    await using broken = await openDoor();
    const { id } = await createTrigger(broken, { name: 'rest', type: 't' });
    await broken.sql`alter table herald.signing_keys rename to elsewhere`;
    const query = 'query ($id: ID!) { viewer { name } trigger(id: $id) { signingKeys { id } } }';
    const response = await post(broken, bodyOf(query, { id }));
    expect(response.status).toBe(200);
    const { data, errors } = (await response.json()) as Loose;
    expect(data).toEqual({ viewer: { name: 'admin' }, trigger: null });
    expect(errors).toMatchObject([
      { path: ['trigger', 'signingKeys'], extensions: { code: 'INTERNAL_SERVER_ERROR' } },
    ]);
    // Without the statement's values, which may be secrets.
    expect(broken.logged).toHaveLength(1);
    expect(JSON.stringify(broken.logged[0]?.fields)).not.toContain(id);
  });
});
