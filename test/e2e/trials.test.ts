/** Triggers tried out: what would be sent, and what comes of sending it once; through the whole of Herald. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MAX_TESTS_OF_CALLER, MAX_TESTS_OF_TRIGGER } from '../../src/actions/try-trigger.ts';
import { ask, createKey, type Loose } from '../http/callers.ts';
import { createTrigger, startTestApp, type TestApp } from '../support/app.ts';
import { ok, type Receiver, startReceiver, status } from '../support/receiver.ts';

let app: TestApp;
let receiver: Receiver;
beforeAll(async () => {
  [app, receiver] = await Promise.all([startTestApp(), startReceiver()]);
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

interface Problem {
  readonly field: readonly string[] | null;
  readonly code: string;
}

interface Request {
  readonly url: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly body: string;
  readonly bodySize: number;
}

interface Attempt {
  readonly number: number;
  readonly status: string;
  readonly cause: string;
  readonly errorCode: string | null;
  readonly durationMs: number;
  readonly invocation: { readonly id: string } | null;
  readonly request: Request;
  readonly response: { readonly statusCode: number; readonly body: string } | null;
}

const REQUEST = 'url headers { name value } body bodySize';

async function preview(input: Readonly<Record<string, unknown>>) {
  const { previewDelivery } = await app.graphql<{
    previewDelivery: { request: Request | null; curl: string | null; userErrors: readonly Problem[] };
  }>(
    `mutation ($input: PreviewDeliveryInput!) {
      previewDelivery(input: $input) { request { ${REQUEST} } curl userErrors { field code } }
    }`,
    { input },
  );
  return previewDelivery;
}

async function tryOut(input: Readonly<Record<string, unknown>>) {
  const { testTrigger } = await app.graphql<{
    testTrigger: { attempt: Attempt | null; userErrors: readonly Problem[] };
  }>(
    `mutation ($input: TestTriggerInput!) {
      testTrigger(input: $input) {
        attempt {
          number status cause errorCode durationMs invocation { id }
          request { ${REQUEST} } response { statusCode body }
        }
        userErrors { field code }
      }
    }`,
    { input },
  );
  return testTrigger;
}

const TEST = `mutation ($input: TestTriggerInput!) {
  testTrigger(input: $input) { attempt { status response { statusCode } } userErrors { field code } } }`;
const askAs = (secret: string, input: object) => ask(app.url, secret, TEST, { input });

const makeTrigger = (settings: Readonly<Record<string, unknown>> = {}) => {
  const type = `tried.${crypto.randomUUID()}`;
  const url = `${receiver.url}/${type}`;
  return createTrigger(app, { type, url, ...settings }).then((made) => ({ ...made, type, url }));
};
const deliveriesOf = (trigger: { readonly type: string }) =>
  receiver.deliveries.filter(({ path }) => path.endsWith(trigger.type));
const headerOf = ({ headers }: Request, name: string) => headers.find((one) => one.name === name)?.value;

describe('testTrigger', () => {
  test('sends one signed request, answers what came back, and leaves nothing behind', async () => {
    const trigger = await makeTrigger({ headers: [{ name: 'x-key', value: 'very-secret', secret: true }] });
    receiver.answer = status(201, 'got very-secret');
    const { attempt, userErrors } = await tryOut({ triggerId: trigger.id, dataText: '{"n": 1.10}' });
    receiver.answer = ok;
    expect(userErrors).toEqual([]);
    expect(attempt).toMatchObject({ number: 1, status: 'SUCCEEDED', cause: 'TEST', errorCode: null });
    expect(attempt?.invocation).toBeNull();
    // The receiver was told the secret; whoever asks is not.
    expect(attempt?.response).toEqual({ statusCode: 201, body: 'got ***' });
    const [delivery, ...others] = deliveriesOf(trigger);
    expect(others).toEqual([]);
    expect(delivery?.text).toContain('"data":{"n": 1.10}}');
    expect(delivery?.text).toBe(attempt?.request.body);
    expect(delivery?.headers['x-key']).toBe('very-secret');
    expect(attempt && headerOf(attempt.request, 'x-key')).toBe('***');
    const verified = new Webhook(trigger.secret).verify(
      delivery?.text ?? '',
      delivery?.headers as Record<string, string>,
    );
    expect(verified).toMatchObject({ type: trigger.type, data: { n: 1.1 } });
    const { trigger: after } = await app.graphql<{
      trigger: { stats: { attempts: number }; invocations: { nodes: readonly unknown[] } };
    }>(
      `query ($id: ID!) {
        trigger(id: $id) { stats(window: LAST_HOUR) { attempts } invocations { nodes { id } } }
      }`,
      { id: trigger.id },
    );
    expect(after).toEqual({ stats: { attempts: 0 }, invocations: { nodes: [] } });
    const { auditLog } = await app.graphql<{ auditLog: { nodes: readonly unknown[] } }>(
      `query ($id: ID!) { auditLog(filter: { subjectId: $id }) { nodes { action changes actor { id } } } }`,
      { id: trigger.id },
    );
    expect(auditLog.nodes[0]).toEqual({
      action: 'TRIGGER_TESTED',
      actor: { id: 'admin' },
      changes: ['data'],
    });
  });

  test('a failure is an answer, not an error', async () => {
    const trigger = await makeTrigger();
    receiver.answer = status(503, 'not today');
    const { attempt } = await tryOut({ triggerId: trigger.id });
    receiver.answer = ok;
    expect(attempt).toMatchObject({ status: 'FAILED', errorCode: 'HTTP_STATUS' });
    expect(attempt?.response).toEqual({ statusCode: 503, body: 'not today' });
    expect(deliveriesOf(trigger)).toHaveLength(1);
    expect(JSON.parse(attempt?.request.body ?? '')).toMatchObject({ data: { test: true } });
  });

  test.each([
    ['nobody listens', { url: 'http://127.0.0.1:9/' }, 'CONNECTION_REFUSED'],
    ['no answer in time', { timeout: 100 }, 'TIMEOUT'],
  ])('%s', async (_, settings, errorCode) => {
    const trigger = await makeTrigger(settings);
    receiver.answer = () => {};
    const { attempt } = await tryOut({ triggerId: trigger.id });
    receiver.answer = ok;
    expect(attempt).toMatchObject({ status: 'FAILED', errorCode, response: null });
  });

  test('of a paused trigger: that is what one tests before it is resumed', async () => {
    const trigger = await makeTrigger({ paused: true, maxPerMinute: 1 });
    for (let n = 0; n < 2; n++) {
      const { attempt } = await tryOut({ triggerId: trigger.id, type: 'other', data: null });
      expect(attempt?.status).toBe('SUCCEEDED');
      expect(JSON.parse(attempt?.request.body ?? '')).toMatchObject({ type: 'other', data: null });
    }
  });

  test('tells each mistake where it is, and sends nothing', async () => {
    const trigger = await makeTrigger();
    const { id: triggerId } = trigger;
    const wrong = async (input: Readonly<Record<string, unknown>>) => (await tryOut(input)).userErrors;
    const nobody = '0190ffff-ffff-7fff-8fff-ffffffffffff';
    expect(await wrong({ triggerId: nobody })).toEqual([
      { field: ['input', 'triggerId'], code: 'NOT_FOUND' },
    ]);
    expect(await wrong({ triggerId: 'x' })).toEqual([{ field: ['input', 'triggerId'], code: 'NOT_FOUND' }]);
    expect(await wrong({ triggerId, type: '' })).toEqual([{ field: ['input', 'type'], code: 'REQUIRED' }]);
    expect(await wrong({ triggerId, dataText: '{' })).toEqual([
      { field: ['input', 'dataText'], code: 'INVALID' },
    ]);
    expect(await wrong({ triggerId, data: 1, dataText: '1' })).toEqual([
      { field: ['input', 'dataText'], code: 'INVALID' },
    ]);
    expect(await wrong({ triggerId, dataText: JSON.stringify('x'.repeat(262_144)) })).toEqual([
      { field: ['input', 'dataText'], code: 'TOO_LARGE' },
    ]);
    expect(await wrong({ triggerId, data: 'x'.repeat(262_144) })).toEqual([
      { field: ['input', 'data'], code: 'TOO_LARGE' },
    ]);
    expect(deliveriesOf(trigger)).toEqual([]);
    await app.graphql('mutation ($id: ID!) { deleteTrigger(input: {id: $id}) { deletedTriggerId } }', {
      id: triggerId,
    });
    expect(await wrong({ triggerId })).toEqual([{ field: ['input', 'triggerId'], code: 'NOT_FOUND' }]);
  });

  test('a caller has so many at once, a trigger so many in a while, an operation one', async () => {
    const trigger = await makeTrigger({ timeout: 30_000 });
    const waiting: (() => void)[] = [];
    const before = receiver.deliveries.length;
    receiver.answer = (_, res) => void waiting.push(() => res.writeHead(204).end());
    const keys = [await createKey(app, { scopes: ['TRIGGERS_WRITE'] }), await createKey(app)];
    const mine = Array.from({ length: MAX_TESTS_OF_CALLER }, () => tryOut({ triggerId: trigger.id }));
    await receiver.received(before + MAX_TESTS_OF_CALLER);
    const limit = [{ field: null, code: 'LIMIT_EXCEEDED' }];
    expect((await tryOut({ triggerId: trigger.id })).userErrors).toEqual(limit);
    // Others are not kept from it.
    const others = keys.flatMap(({ secret }) =>
      Array.from({ length: MAX_TESTS_OF_CALLER }, () => askAs(secret, { triggerId: trigger.id })),
    );
    expect(mine.length + others.length).toBe(MAX_TESTS_OF_TRIGGER);
    await receiver.received(before + MAX_TESTS_OF_TRIGGER);
    for (const answer of waiting) answer();
    receiver.answer = ok;
    for (const { attempt } of await Promise.all(mine)) expect(attempt?.status).toBe('SUCCEEDED');
    for (const { body } of await Promise.all(others)) expect(body.data.testTrigger.userErrors).toEqual([]);
    expect((await tryOut({ triggerId: trigger.id })).userErrors).toEqual(limit);
    const other = await makeTrigger();
    const { one, two } = await app.graphql<Loose>(
      `mutation ($input: TestTriggerInput!) {
        one: testTrigger(input: $input) { userErrors { code } } two: testTrigger(input: $input) { userErrors { field code } } }`,
      { input: { triggerId: other.id } },
    );
    expect([one.userErrors, two.userErrors]).toEqual([[], limit]);
    expect(deliveriesOf(other)).toHaveLength(1);
  });

  test('who may change triggers may not sign what he likes with their keys, nor read what they answer', async () => {
    const trigger = await makeTrigger();
    const { secret } = await createKey(app, { scopes: ['TRIGGERS_WRITE'] });
    for (const own of [{ type: 'bank.transfer' }, { data: 1 }, { dataText: '1' }]) {
      const { body } = await askAs(secret, { triggerId: trigger.id, ...own });
      expect(body.errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
    }
    expect(deliveriesOf(trigger)).toEqual([]);
    const { body } = await askAs(secret, { triggerId: trigger.id });
    expect(body.data.testTrigger.attempt).toMatchObject({ status: 'SUCCEEDED', response: null });
    const { secret: elsewhere } = await createKey(app, { projects: ['elsewhere'] });
    expect((await askAs(elsewhere, { triggerId: trigger.id })).body.data.testTrigger).toEqual({
      attempt: null,
      userErrors: [{ field: ['input', 'triggerId'], code: 'NOT_FOUND' }],
    });
    expect(deliveriesOf(trigger)).toHaveLength(1);
  });

  test('ids are read as they are written elsewhere, in capitals too', async () => {
    const trigger = await makeTrigger();
    const { attempt } = await tryOut({ triggerId: trigger.id.toUpperCase() });
    expect(attempt?.status).toBe('SUCCEEDED');
    expect((await preview({ triggerId: trigger.id.toUpperCase() })).userErrors).toEqual([]);
  });
});

describe('previewDelivery', () => {
  test.each(['HMAC_SHA256', 'ED25519'])(
    'shows what would go out, and signs with no key of the trigger (%s)',
    async (signatureAlgorithm) => {
      const trigger = await makeTrigger({ signatureAlgorithm, contentMode: 'BINARY', specVersion: 'V1_0' });
      const { request, curl, userErrors } = await preview({
        triggerId: trigger.id,
        dataText: '{"it": "is"}',
      });
      expect(userErrors).toEqual([]);
      if (request === null) throw new Error('no request');
      expect(request).toMatchObject({ url: trigger.url, body: '{"it": "is"}', bodySize: 12 });
      expect(headerOf(request, 'ce-type')).toBe(trigger.type);
      expect(headerOf(request, 'webhook-signature')).toMatch(
        signatureAlgorithm === 'ED25519' ? /^v1a,[\w+/]{86}==$/ : /^v1,[\w+/]{43}=$/,
      );
      expect(deliveriesOf(trigger)).toEqual([]);
      if (signatureAlgorithm === 'HMAC_SHA256') {
        const headers = Object.fromEntries(request.headers.map(({ name, value }) => [name, value]));
        expect(() => new Webhook(trigger.secret).verify(request.body, headers)).toThrow(/signature/);
      }
      // The command line says the same to a shell.
      const { stdout } = await promisify(execFile)('sh', ['-c', `curl() { printf '%s\\0' "$@"; }; ${curl}`]);
      expect(stdout.split('\0')).toEqual([
        ...['-g', '-i', request.url],
        ...request.headers.flatMap(({ name, value }) => ['-H', `${name}: ${value}`]),
        ...['-H', 'accept:', '--data-raw', request.body, ''],
      ]);
    },
  );

  test('tells each mistake where it is', async () => {
    const nobody = '0190ffff-ffff-7fff-8fff-ffffffffffff';
    const { request, curl, userErrors } = await preview({ triggerId: nobody });
    expect({ request, curl, userErrors }).toEqual({
      request: null,
      curl: null,
      userErrors: [{ field: ['input', 'triggerId'], code: 'NOT_FOUND' }],
    });
  });
});
