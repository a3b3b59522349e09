/** From `queueEvent` to the receiver, through the whole of Herald. */
import { HTTP } from 'cloudevents';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp, type TestApp } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { ok, type Receiver, startReceiver, status } from '../support/receiver.ts';
import { until } from '../support/until.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app[Symbol.asyncDispose]());

/** A type of its own for each test, so that they share one Herald. */
const newType = () => `test.${crypto.randomUUID()}`;

interface Invocation {
  readonly id: string;
  readonly status: string;
  readonly failureReason: string | null;
  readonly attemptCount: number;
  readonly maxAttempts: number;
  readonly nextAttemptAt: string | null;
  readonly attempts: { readonly nodes: readonly Attempt[] };
}

interface Attempt {
  readonly number: number;
  readonly status: string;
  readonly cause: string;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly durationMs: number | null;
  readonly startedAt: string;
  readonly request: {
    readonly url: string;
    readonly headers: readonly { name: string; value: string }[];
    readonly body: string;
  };
  readonly response: {
    readonly statusCode: number;
    readonly body: string;
    readonly bodyTruncated: boolean;
  } | null;
}

/** The event's only invocation, once `reached` holds. */
async function invocationOf(
  eventId: string,
  reached: (invocation: Invocation) => boolean,
): Promise<Invocation> {
  return until(async () => {
    const { event } = await app.graphql<{ event: { invocations: { nodes: readonly Invocation[] } } }>(
      `query ($id: ID!) { event(id: $id) { invocations { nodes {
        id status failureReason attemptCount maxAttempts nextAttemptAt
        attempts { nodes { number status cause errorCode errorMessage durationMs startedAt
          request { url headers { name value } body } response { statusCode body bodyTruncated } } }
      } } } }`,
      { id: eventId },
    );
    const [invocation] = event.invocations.nodes;
    return invocation !== undefined && reached(invocation) && invocation;
  }, 'the invocation to get there');
}

const finished = ({ status }: Invocation) => ['SUCCEEDED', 'FAILED', 'CANCELLED'].includes(status);

async function withReceiver(work: (receiver: Receiver) => Promise<void>): Promise<void> {
  await using receiver = await startReceiver();
  await work(receiver);
}

test('the webhook is the one of the wire format, and verifies with standardwebhooks', () =>
  withReceiver(async (receiver) => {
    const type = newType();
    const trigger = await createTrigger(app, { type, url: receiver.url });
    const data = { b: 1, a: ['€', { nested: null }] };
    const event = await queueEvent(app, { type, data });
    const [delivery] = await receiver.received(1);
    if (delivery === undefined) throw new Error('unreachable');

    const body = JSON.parse(delivery.text) as Record<string, unknown>;
    expect(Object.keys(body)).toEqual(['specversion', 'id', 'type', 'source', 'time', 'data']);
    expect(body).toMatchObject({ specversion: '1.0-rc1', id: event.id, type, data });
    expect(body.source).toMatch(/^[\da-f-]{36}$/);
    expect(delivery.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': expect.stringMatching(/^herald\/\d+\.\d+\.\d+$/) as string,
      traceparent: expect.stringMatching(/^00-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/) as string,
    });
    expect(Object.keys(delivery.headers).filter((name) => name.startsWith('ce-'))).toEqual([]);
    new Webhook(trigger.secret).verify(delivery.body, delivery.headers as Record<string, string>);

    const invocation = await invocationOf(event.id, finished);
    expect(delivery.headers['webhook-id']).toBe(invocation.id);
    expect(invocation).toMatchObject({
      status: 'SUCCEEDED',
      attemptCount: 1,
      maxAttempts: 4,
      nextAttemptAt: null,
    });
    expect(invocation.attempts.nodes).toHaveLength(1);
    expect(invocation.attempts.nodes[0]).toMatchObject({
      status: 'SUCCEEDED',
      cause: 'INITIAL',
      errorCode: null,
      request: { url: receiver.url, body: delivery.text },
      response: { statusCode: 200, body: '{"ok":true}', bodyTruncated: false },
    });
    const sent = Object.fromEntries(
      invocation.attempts.nodes[0]?.request.headers.map(({ name, value }) => [name, value]) ?? [],
    );
    expect(sent['webhook-signature']).toBe(delivery.headers['webhook-signature']);
  }));

test('structured mode is read by the CloudEvents SDK', () =>
  withReceiver(async (receiver) => {
    const type = newType();
    await createTrigger(app, { type, url: receiver.url, contentMode: 'STRUCTURED', specVersion: 'V1_0' });
    const event = await queueEvent(app, { type, data: { amount: 7 }, source: 'urn:shop' });
    const [delivery] = await receiver.received(1);
    const parsed = HTTP.toEvent({ headers: delivery?.headers ?? {}, body: delivery?.text ?? '' });
    const cloudEvent = Array.isArray(parsed) ? parsed[0] : parsed;
    expect(cloudEvent).toMatchObject({
      id: event.id,
      type,
      source: 'urn:shop',
      specversion: '1.0',
      data: { amount: 7 },
    });
  }));

test('binary mode is read by the CloudEvents SDK, attributes from headers', () =>
  withReceiver(async (receiver) => {
    const type = `${newType()}.€`;
    await createTrigger(app, { type, url: receiver.url, contentMode: 'BINARY', specVersion: 'V1_0' });
    const event = await queueEvent(app, { type, data: [1, 2] });
    const [delivery] = await receiver.received(1);
    expect(delivery?.text).toBe('[1,2]');
    expect(delivery?.headers).toMatchObject({ 'ce-id': event.id, 'ce-specversion': '1.0' });
    expect(decodeURIComponent(String(delivery?.headers['ce-type']))).toBe(type);
  }));

describe('data arrive byte for byte', () => {
  const text =
    '{"z":1, "a":12345678901234567890,"a":1e400,"n":"\\u0000\\ud800\\u00e9", "m":-0,"f":1.50, "":null}';

  test('through dataText', () =>
    withReceiver(async (receiver) => {
      const type = newType();
      await createTrigger(app, { type, url: receiver.url });
      await queueEvent(app, { type, dataText: text });
      const [delivery] = await receiver.received(1);
      expect(delivery?.text).toContain(`"data":${text}}`);
    }));

  test('through REST', () =>
    withReceiver(async (receiver) => {
      const type = newType();
      await createTrigger(app, { type, url: receiver.url });
      await app.post('/queue', `{"type":"${type}", "data" : ${text} }`);
      const [delivery] = await receiver.received(1);
      expect(delivery?.text).toContain(`"data":${text}}`);
    }));

  test('through GraphQL variables: every digit', () =>
    withReceiver(async (receiver) => {
      const type = newType();
      await createTrigger(app, { type, url: receiver.url });
      const data =
        '{"big":12345678901234567890,"money":1.50,"huge":1e400,"zero":-0,"nul":"\\u0000","lone":"\\ud800"}';
      const query =
        'mutation ($t: String!, $d: JSON) { queueEvent(input: {type: $t, data: $d}) { event { id data } } }';
      const response = await app.post(
        '/graphql',
        `{"query":${JSON.stringify(query)},"variables":{"t":"${type}","d":${data}}}`,
      );
      const answer = await response.text();
      const [delivery] = await receiver.received(1);
      expect(delivery?.text).toContain(`"data":${data}}`);
      expect(answer).toContain(`"data":${data}`);
    }));
});

describe('retries', () => {
  test('a failing receiver gets 1 + retries attempts with the queue’s back-off, same id and body each time', () =>
    withReceiver(async (receiver) => {
      const type = newType();
      receiver.answer = status(503, 'not today');
      await createTrigger(app, { type, url: receiver.url, retries: 1 });
      const event = await queueEvent(app, { type, data: 1 });
      const retrying = await invocationOf(event.id, ({ attemptCount }) => attemptCount === 1);
      expect(retrying.status).toBe('RETRYING');
      const [first, second] = await receiver.received(2);
      const invocation = await invocationOf(event.id, finished);
      expect(invocation).toMatchObject({
        status: 'FAILED',
        failureReason: 'RETRIES_EXHAUSTED',
        attemptCount: 2,
      });
      expect(
        invocation.attempts.nodes.map(({ number, status, cause, errorCode }) => [
          number,
          status,
          cause,
          errorCode,
        ]),
      ).toEqual([
        [1, 'FAILED', 'INITIAL', 'HTTP_STATUS'],
        [2, 'FAILED', 'RETRY', 'HTTP_STATUS'],
      ]);
      expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
      expect(second?.body.equals(first?.body as Buffer)).toBe(true);
      // e^1 seconds: never sooner. How much later is the machine's affair.
      expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(2650);
      expect(await jobCount(invocation.id)).toBe(0);
    }));

  test('a schedule of the trigger’s own, then success', () =>
    withReceiver(async (receiver) => {
      const type = newType();
      receiver.answer = (delivery, res) => (receiver.deliveries.length < 3 ? status(500) : ok)(delivery, res);
      await createTrigger(app, { type, url: receiver.url, retrySchedule: [0] });
      const event = await queueEvent(app, { type });
      const invocation = await invocationOf(event.id, finished);
      expect(invocation).toMatchObject({ status: 'SUCCEEDED', attemptCount: 3 });
      expect(invocation.attempts.nodes.map(({ status }) => status)).toEqual([
        'FAILED',
        'FAILED',
        'SUCCEEDED',
      ]);
      expect(await jobCount(invocation.id)).toBe(0);
    }));

  test('retries: 0 is one attempt', () =>
    withReceiver(async (receiver) => {
      const type = newType();
      receiver.answer = status(404);
      await createTrigger(app, { type, url: receiver.url, retries: 0 });
      const event = await queueEvent(app, { type });
      const invocation = await invocationOf(event.id, finished);
      expect(invocation).toMatchObject({ status: 'FAILED', attemptCount: 1, maxAttempts: 1 });
      expect(receiver.deliveries).toHaveLength(1);
    }));

  test('Retry-After of a 429 is kept', () =>
    withReceiver(async (receiver) => {
      const type = newType();
      receiver.answer = status(429, '', { 'retry-after': '3600' });
      await createTrigger(app, { type, url: receiver.url });
      const event = await queueEvent(app, { type });
      const invocation = await invocationOf(event.id, ({ status }) => status === 'RETRYING');
      const waitMs =
        Date.parse(invocation.nextAttemptAt ?? '') -
        Date.parse(invocation.attempts.nodes[0]?.startedAt ?? '');
      expect(waitMs).toBeGreaterThan(3_590_000);
      expect(invocation.attempts.nodes[0]?.errorCode).toBe('RATE_LIMITED');
    }));

  test('a receiver that never answers is cut off at the timeout', () =>
    withReceiver(async (receiver) => {
      const type = newType();
      receiver.answer = () => {};
      await createTrigger(app, { type, url: receiver.url, retries: 0, timeout: 200 });
      const event = await queueEvent(app, { type });
      const invocation = await invocationOf(event.id, finished);
      expect(invocation.attempts.nodes[0]).toMatchObject({ errorCode: 'TIMEOUT', response: null });
      expect(invocation.attempts.nodes[0]?.errorMessage).toMatch(/200 ms/);
    }));

  test('an attempt in flight for more than a moment is shown, with what was sent; a cancelled one is too', () =>
    withReceiver(async (receiver) => {
      for (const end of ['SUCCEEDED', 'CANCELLED']) {
        const type = newType();
        let finish = (): void => {};
        receiver.answer = (delivery, res) => {
          finish = () => ok(delivery, res);
        };
        const trigger = await createTrigger(app, { type, url: receiver.url });
        const event = await queueEvent(app, { type });
        const running = await invocationOf(event.id, ({ status }) => status === 'RUNNING');
        expect(running).toMatchObject({ attemptCount: 1, nextAttemptAt: null });
        expect(running.attempts.nodes[0]).toMatchObject({
          number: 1,
          status: 'RUNNING',
          durationMs: null,
          response: null,
        });
        if (end === 'CANCELLED') {
          await app.graphql('mutation ($id: ID!) { deleteTrigger(input: {id: $id}) { cancelledCount } }', {
            id: trigger.id,
          });
        }
        finish();
        // Two fields are two reads: the attempt may be newer than the invocation around it.
        const finishedOne = await invocationOf(
          event.id,
          ({ status, attempts }) => status === end && attempts.nodes[0]?.status === 'SUCCEEDED',
        );
        expect(finishedOne).toMatchObject({ status: end, attemptCount: 1 });
        expect(finishedOne.attempts.nodes).toHaveLength(1);
        expect(finishedOne.attempts.nodes[0]?.durationMs).toBeGreaterThan(300);
        expect(await jobCount(finishedOne.id)).toBe(0);
      }
    }));

  test('nobody listening is CONNECTION_REFUSED', async () => {
    const type = newType();
    const receiver = await startReceiver();
    await receiver[Symbol.asyncDispose]();
    await createTrigger(app, { type, url: receiver.url, retries: 0 });
    const event = await queueEvent(app, { type });
    const invocation = await invocationOf(event.id, finished);
    expect(invocation.attempts.nodes[0]?.errorCode).toBe('CONNECTION_REFUSED');
  });
});

describe('triggers', () => {
  test('410 ends the invocation and pauses the trigger; what comes then is held until it is resumed', () =>
    withReceiver(async (receiver) => {
      const type = newType();
      receiver.answer = status(410);
      const trigger = await createTrigger(app, { type, url: receiver.url });
      const first = await queueEvent(app, { type });
      expect(await invocationOf(first.id, finished)).toMatchObject({
        status: 'FAILED',
        failureReason: 'RECEIVER_GONE',
        attemptCount: 1,
      });
      await until(async () => {
        const { trigger: now } = await app.graphql<{ trigger: { status: string; statusReason: string } }>(
          'query ($id: ID!) { trigger(id: $id) { status statusReason } }',
          { id: trigger.id },
        );
        return now.status === 'PAUSED' && now.statusReason === 'RECEIVER_GONE';
      }, 'the pause');
      const { auditLog } = await app.graphql<{ auditLog: { nodes: unknown[] } }>(
        'query ($id: ID!) { auditLog(filter: {subjectId: $id, actorId: "herald"}) { nodes { action actor { name } } } }',
        { id: trigger.id },
      );
      expect(auditLog.nodes).toEqual([{ action: 'TRIGGER_PAUSED', actor: { name: 'Herald' } }]);
      const second = await queueEvent(app, { type });
      expect((await invocationOf(second.id, () => true)).status).toBe('HELD');
      receiver.answer = ok;
      const { resumeTrigger } = await app.graphql<{ resumeTrigger: { releasedCount: number } }>(
        'mutation ($id: ID!) { resumeTrigger(input: {id: $id}) { releasedCount userErrors { message } } }',
        { id: trigger.id },
      );
      expect(resumeTrigger.releasedCount).toBe(1);
      expect((await invocationOf(second.id, finished)).status).toBe('SUCCEEDED');
    }));

  test('pausing holds what waits; resuming delivers it', () =>
    withReceiver(async (receiver) => {
      const type = newType();
      const trigger = await createTrigger(app, { type, url: receiver.url });
      const event = await queueEvent(app, { type, delay: 3600 });
      expect((await invocationOf(event.id, () => true)).status).toBe('SCHEDULED');
      await app.graphql('mutation ($id: ID!) { pauseTrigger(input: {id: $id}) { trigger { id } } }', {
        id: trigger.id,
      });
      expect((await invocationOf(event.id, () => true)).status).toBe('HELD');
      await app.graphql('mutation ($id: ID!) { resumeTrigger(input: {id: $id}) { trigger { id } } }', {
        id: trigger.id,
      });
      const resumed = await invocationOf(event.id, () => true);
      expect(resumed.status).toBe('SCHEDULED');
      expect(Date.parse(resumed.nextAttemptAt ?? '') - Date.now()).toBeGreaterThan(3_500_000);
    }));

  test('deleting cancels what waits, or lets it finish', () =>
    withReceiver(async (receiver) => {
      for (const pending of ['CANCEL', 'FINISH']) {
        const type = newType();
        const trigger = await createTrigger(app, { type, url: receiver.url });
        const event = await queueEvent(app, { type, delay: 1 });
        const { deleteTrigger } = await app.graphql<{ deleteTrigger: { cancelledCount: number } }>(
          'mutation ($id: ID!, $p: PendingPolicy) { deleteTrigger(input: {id: $id, pending: $p}) { deletedTriggerId cancelledCount } }',
          { id: trigger.id, p: pending },
        );
        expect(deleteTrigger.cancelledCount).toBe(pending === 'CANCEL' ? 1 : 0);
        const invocation = await invocationOf(event.id, finished);
        expect(invocation.status).toBe(pending === 'CANCEL' ? 'CANCELLED' : 'SUCCEEDED');
        expect(await jobCount(invocation.id)).toBe(0);
      }
      expect(receiver.deliveries).toHaveLength(1);
    }));

  test('fewer retries while an attempt is in flight: it was the last', () =>
    withReceiver(async (receiver) => {
      const type = newType();
      let finish = (): void => {};
      receiver.answer = (delivery, res) => {
        finish = () => status(500)(delivery, res);
      };
      const trigger = await createTrigger(app, { type, url: receiver.url });
      const event = await queueEvent(app, { type });
      await receiver.received(1);
      await app.graphql(
        'mutation ($id: ID!) { updateTrigger(input: {id: $id, retries: 0}) { trigger { id } } }',
        {
          id: trigger.id,
        },
      );
      finish();
      const invocation = await invocationOf(event.id, finished);
      expect(invocation).toMatchObject({
        status: 'FAILED',
        failureReason: 'RETRIES_EXHAUSTED',
        attemptCount: 1,
        maxAttempts: 1,
      });
    }));

  test('a disabled trigger gets no new events, and what it had is delivered', () =>
    withReceiver(async (receiver) => {
      const type = newType();
      const trigger = await createTrigger(app, { type, url: receiver.url });
      const event = await queueEvent(app, { type, delay: 0.5 });
      await app.graphql(
        'mutation ($id: ID!) { updateTrigger(input: {id: $id, status: DISABLED}) { trigger { id } } }',
        {
          id: trigger.id,
        },
      );
      expect((await queueEvent(app, { type })).status).toBe('UNMATCHED');
      expect((await invocationOf(event.id, finished)).status).toBe('SUCCEEDED');
    }));

  test('new settings hold from the next attempt on; secret headers arrive in clear and are shown nowhere', () =>
    withReceiver(async (receiver) => {
      const type = newType();
      const headers = [
        { name: 'X-Api-Key', value: 'open-sesame', secret: true },
        { name: 'X-Shop', value: 'one' },
      ];
      const trigger = await createTrigger(app, { type, url: receiver.url, headers });
      const first = await queueEvent(app, { type });
      await invocationOf(first.id, finished);
      await app.graphql(
        `mutation ($id: ID!, $h: [HttpHeaderInput!]) { updateTrigger(input: {id: $id, headers: $h}) { userErrors { message } } }`,
        {
          id: trigger.id,
          h: [
            { name: 'x-api-key', value: '***', secret: true },
            { name: 'x-shop', value: 'two' },
          ],
        },
      );
      const second = await queueEvent(app, { type });
      const invocation = await invocationOf(second.id, finished);
      const seen = receiver.deliveries.map(({ headers }) => [headers['x-api-key'], headers['x-shop']]);
      expect(seen).toEqual([
        ['open-sesame', 'one'],
        ['open-sesame', 'two'],
      ]);
      expect(invocation.attempts.nodes[0]?.request.headers).toContainEqual({
        name: 'x-api-key',
        value: '***',
      });
      await using sql = openSql(app.database);
      const dump =
        await sql`select (select json_agg(t)::text from herald.triggers t) || (select json_agg(a)::text from herald.attempts a) || (select json_agg(k)::text from herald.signing_keys k) as text`;
      expect(dump[0]?.text).not.toContain('open-sesame');
      expect(dump[0]?.text).not.toContain(trigger.secret);
    }));
});

describe('scheduling', () => {
  test('delay and timestamp: not before their time, and on time', () =>
    withReceiver(async (receiver) => {
      const type = newType();
      await createTrigger(app, { type, url: receiver.url });
      const dueAt = Date.now() + 1500;
      await queueEvent(app, { type, timestamp: dueAt - 500, delay: 0.5 });
      const [delivery] = await receiver.received(1);
      // The database's clock decides, and it is this machine's. Lateness is the bench's business; a second is a bug.
      expect(delivery?.atEpochMs).toBeGreaterThanOrEqual(dueAt - 1);
      expect(delivery?.atEpochMs).toBeLessThan(dueAt + 1000);
      expect((JSON.parse(delivery?.text ?? '') as { time: string }).time).toBe(new Date(dueAt).toISOString());
    }));

  test('a past timestamp is due at once', () =>
    withReceiver(async (receiver) => {
      const type = newType();
      await createTrigger(app, { type, url: receiver.url });
      await queueEvent(app, { type, timestamp: '2001-09-09T01:46:40Z' });
      await receiver.received(1);
    }));
});

test('a user’s own transaction: the committed event is delivered, the rolled back one never', () =>
  withReceiver(async (receiver) => {
    const type = newType();
    await createTrigger(app, { type, url: receiver.url });
    await using sql = openSql(app.database);
    await sql
      .begin(async (tx) => {
        await tx`select herald.queue_event(${type}, '"rolled back"')`;
        throw new Error('changed my mind');
      })
      .catch(() => {});
    await sql.begin((tx) => tx`select herald.queue_event(${type}, '"committed"')`);
    const [delivery] = await receiver.received(1);
    expect((JSON.parse(delivery?.text ?? '') as { data: string }).data).toBe('committed');
    expect(receiver.deliveries).toHaveLength(1);
  }));

test('an event nobody waits for is kept as UNMATCHED', async () => {
  const event = await queueEvent(app, { type: newType() });
  expect(event.status).toBe('UNMATCHED');
});

/** 0, once graphile-worker has written the job off: a few milliseconds after the last attempt was recorded. */
async function jobCount(invocationId: string): Promise<number> {
  await using sql = openSql(app.database);
  await until(async () => {
    const jobs =
      await sql`select from graphile_worker._private_jobs where payload ->> 'invocation' = ${invocationId}`;
    return jobs.length === 0;
  }, 'the job to be gone');
  return 0;
}
