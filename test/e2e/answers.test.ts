/** What each answer of a receiver comes to, seen from outside: state, error code, time of the next attempt. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp, type TestApp } from '../support/app.ts';
import { type Receiver, startReceiver, status } from '../support/receiver.ts';
import { until } from '../support/until.ts';

let app: TestApp;
let receiver: Receiver;
let canary: Receiver;
beforeAll(async () => {
  app = await startTestApp();
  receiver = await startReceiver();
  canary = await startReceiver();
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
  await canary[Symbol.asyncDispose]();
});

interface Invocation {
  readonly status: string;
  readonly failureReason: string | null;
  readonly nextAttemptAt: string | null;
  readonly attempts: {
    readonly nodes: readonly { readonly errorCode: string | null; readonly finishedAt: string | null }[];
  };
}

/** The invocation after its first attempt, and the seconds until the next one. */
async function afterAnswer(code: number, headers: Record<string, string> = {}) {
  const type = crypto.randomUUID();
  receiver.answer = status(code, 'no', headers);
  const { id } = await createTrigger(app, { type, url: receiver.url });
  const event = await queueEvent(app, { type });
  const invocation = await until(async () => {
    const { event: now } = await app.graphql<{ event: { invocations: { nodes: readonly Invocation[] } } }>(
      `query ($id: ID!) { event(id: $id) { invocations { nodes {
        status failureReason nextAttemptAt attempts { nodes { errorCode finishedAt } } } } } }`,
      { id: event.id },
    );
    const [one] = now.invocations.nodes;
    // Two fields are two reads: the attempt may be newer than the invocation around it.
    return one !== undefined && ['RETRYING', 'FAILED'].includes(one.status) && one;
  }, 'the first attempt');
  const [attempt] = invocation.attempts.nodes;
  const waitSeconds =
    (Date.parse(invocation.nextAttemptAt ?? '') - Date.parse(attempt?.finishedAt ?? '')) / 1_000;
  return { triggerId: id, invocation, errorCode: attempt?.errorCode, waitSeconds };
}

/** graphile-worker's first back-off, e^1 seconds. */
const BACK_OFF = 2.7;
const DAY = 86_400;
const inAnHour = () => new Date(Date.now() + 3_600_000).toUTCString();

test.each<[number, string, () => string, number]>([
  [429, 'seconds', () => '100', 100],
  [503, 'seconds', () => '100', 100],
  [429, 'a date', inAnHour, 3_600],
  [429, '0', () => '0', BACK_OFF],
  [503, '-1', () => '-1', BACK_OFF],
  [429, '1e12', () => '1e12', BACK_OFF],
  [429, '1000000000000', () => '1000000000000', DAY],
  [503, 'a date in the past', () => 'Mon, 23 Nov 2020 10:00:00 GMT', BACK_OFF],
  [503, 'a date beyond all', () => 'Fri, 31 Dec 9999 23:59:59 GMT', DAY],
  [429, 'text', () => 'later, maybe', BACK_OFF],
  [500, 'seconds, but neither 429 nor 503', () => '100', BACK_OFF],
])('%i with Retry-After: %s', async (code, _what, value, seconds) => {
  const { invocation, errorCode, waitSeconds } = await afterAnswer(code, { 'retry-after': value() });
  expect(invocation.status).toBe('RETRYING');
  expect(errorCode).toBe(code === 429 ? 'RATE_LIMITED' : 'HTTP_STATUS');
  expect(waitSeconds).toBeGreaterThan(seconds - 5);
  // Up to a minute later, so that those who were refused together do not come back together; 24 h at most.
  expect(waitSeconds).toBeLessThan(Math.min(seconds + 65, 24 * 3600 + 5));
});

test.each([300, 301, 302, 303, 304, 305, 306, 307, 308])(
  '%i is a failed attempt, and is not followed',
  async (code) => {
    const { invocation, errorCode } = await afterAnswer(code, { location: canary.url });
    expect([invocation.status, errorCode]).toEqual(['RETRYING', 'REDIRECT']);
    expect(canary.deliveries).toEqual([]);
  },
);

test.each([
  400, 401, 403, 404, 406, 408, 411, 413, 415, 418, 422, 425, 451, 500, 501, 502, 504, 505, 511, 599, 700,
  999,
])('%i is retried', async (code) => {
  const { invocation, errorCode } = await afterAnswer(code);
  expect([invocation.status, errorCode]).toEqual(['RETRYING', 'HTTP_STATUS']);
});

test('410 ends it, and pauses the trigger', async () => {
  const { triggerId, invocation, errorCode } = await afterAnswer(410);
  expect(invocation).toMatchObject({ status: 'FAILED', failureReason: 'RECEIVER_GONE', nextAttemptAt: null });
  expect(errorCode).toBe('GONE');
  await until(async () => {
    const { trigger } = await app.graphql<{ trigger: { status: string; statusReason: string } }>(
      'query ($id: ID!) { trigger(id: $id) { status statusReason } }',
      { id: triggerId },
    );
    return trigger.status === 'PAUSED' && trigger.statusReason === 'RECEIVER_GONE';
  }, 'the trigger to pause');
});
