/** What people do to single invocations and events: retry, cancel, reschedule; through the whole of Herald. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp, type TestApp } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { ok, type Receiver, startReceiver, status } from '../support/receiver.ts';
import { until } from '../support/until.ts';

let app: TestApp;
let receiver: Receiver;
beforeAll(async () => {
  [app, receiver] = await Promise.all([startTestApp(), startReceiver()]);
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

const HOUR = 3600;

interface Invocation {
  readonly id: string;
  readonly status: string;
  readonly failureReason: string | null;
  readonly attemptCount: number;
  readonly maxAttempts: number;
  readonly nextAttemptAt: string | null;
  readonly finishedAt: string | null;
  readonly attempts: { readonly nodes: readonly { readonly cause: string; readonly status: string }[] };
}

const INVOCATION = `id status failureReason attemptCount maxAttempts nextAttemptAt finishedAt
  attempts { nodes { cause status } }`;

/** A trigger with a path of its own at the receiver, and an event for it. */
async function fire(
  settings: Readonly<Record<string, unknown>> = {},
  event: Readonly<Record<string, unknown>> = {},
) {
  const type = `manual.${crypto.randomUUID()}`;
  const trigger = await createTrigger(app, { type, url: `${receiver.url}/${type}`, retries: 0, ...settings });
  const queued = await queueEvent(app, { type, data: { some: 'data' }, ...event });
  const [{ id }] = await invocationsOf(queued.id);
  return { type, trigger, event: queued.id, invocation: id };
}

async function invocationsOf(event: string): Promise<readonly [Invocation, ...Invocation[]]> {
  const answer = await app.graphql<{ event: { invocations: { nodes: [Invocation, ...Invocation[]] } } }>(
    `query ($id: ID!) {
      event(id: $id) { invocations(orderBy: {field: CREATED_AT, direction: ASC}) { nodes { ${INVOCATION} } } }
    }`,
    { id: event },
  );
  return answer.event.invocations.nodes;
}

const reached = (event: string, wanted: string): Promise<Invocation> =>
  until(async () => {
    const [invocation] = await invocationsOf(event);
    return invocation.status === wanted && invocation;
  }, `the invocation to be ${wanted}`);

interface Answer {
  readonly userErrors: readonly {
    readonly field: readonly string[];
    readonly code: string;
    readonly message: string;
  }[];
  readonly invocation?: Invocation | null;
  readonly event?: { readonly status: string; readonly dueAt: string } | null;
  readonly cancelledCount?: number;
}

type Mutation = 'retryInvocation' | 'cancelInvocation' | 'cancelEvent' | 'rescheduleEvent';

const ANSWERS: Readonly<Record<Mutation, string>> = {
  retryInvocation: `invocation { ${INVOCATION} }`,
  cancelInvocation: `invocation { ${INVOCATION} }`,
  cancelEvent: 'event { status dueAt } cancelledCount',
  rescheduleEvent: 'event { status dueAt }',
};

async function change(mutation: Mutation, input: Readonly<Record<string, unknown>>): Promise<Answer> {
  const inputType = `${mutation[0]?.toUpperCase()}${mutation.slice(1)}Input`;
  const answer = await app.graphql<Record<string, Answer>>(
    `mutation ($input: ${inputType}!) {
      ${mutation}(input: $input) { ${ANSWERS[mutation]} userErrors { field code message } }
    }`,
    { input },
  );
  return answer[mutation] as Answer;
}

const refused = (code: string, message: RegExp) => ({
  userErrors: [{ field: ['input', 'id'], code, message: expect.stringMatching(message) as string }],
});

const requestsTo = (type: string) => receiver.deliveries.filter(({ path }) => path.endsWith(type));

async function leftoverJobs(): Promise<number> {
  await using sql = openSql(app.database);
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from graphile_worker._private_jobs where locked_at is null and run_at < 'infinity'`;
  return row?.count ?? 0;
}

describe('retryInvocation', () => {
  test('gives one that failed for good one attempt, under the same webhook-id', async () => {
    receiver.answer = status(500);
    const { type, event, invocation } = await fire();
    await reached(event, 'FAILED');

    receiver.answer = ok;
    const retried = await change('retryInvocation', { id: invocation });
    expect(retried).toMatchObject({
      userErrors: [],
      invocation: { id: invocation, status: 'QUEUED', failureReason: null, maxAttempts: 2, finishedAt: null },
    });
    expect(await reached(event, 'SUCCEEDED')).toMatchObject({
      attemptCount: 2,
      attempts: {
        nodes: [
          { cause: 'INITIAL', status: 'FAILED' },
          { cause: 'MANUAL', status: 'SUCCEEDED' },
        ],
      },
    });
    expect(requestsTo(type).map(({ headers }) => headers['webhook-id'])).toEqual([invocation, invocation]);
  });

  test('ends in failure again where that attempt fails, and can be asked for again', async () => {
    receiver.answer = status(500);
    const { event, invocation } = await fire();
    await reached(event, 'FAILED');
    for (const attempts of [2, 3]) {
      await change('retryInvocation', { id: invocation });
      const failed = await until(async () => {
        const [one] = await invocationsOf(event);
        return one.attemptCount === attempts && one;
      });
      expect(failed).toMatchObject({
        status: 'FAILED',
        failureReason: 'RETRIES_EXHAUSTED',
        maxAttempts: attempts,
      });
    }
  });

  test('with resetRetries all its retries follow', async () => {
    receiver.answer = status(500);
    const { event, invocation } = await fire({ retries: 1, retrySchedule: [0, HOUR] });
    await reached(event, 'FAILED');
    const retried = await change('retryInvocation', { id: invocation, resetRetries: true });
    expect(retried.invocation).toMatchObject({ attemptCount: 2, maxAttempts: 4 });
    const failed = await until(async () => {
      const [one] = await invocationsOf(event);
      return one.attemptCount === 4 && one.status === 'FAILED' && one;
    });
    expect(failed.attempts.nodes.map(({ cause }) => cause)).toEqual(['INITIAL', 'RETRY', 'MANUAL', 'RETRY']);
  });

  test('brings a planned retry forward instead of adding one', async () => {
    receiver.answer = status(500);
    const { type, event, invocation } = await fire({ retries: 2, retrySchedule: [HOUR] });
    await reached(event, 'RETRYING');
    receiver.answer = ok;
    expect((await change('retryInvocation', { id: invocation })).invocation).toMatchObject({
      maxAttempts: 3,
    });
    const done = await reached(event, 'SUCCEEDED');
    expect(done.attempts.nodes.map(({ cause }) => cause)).toEqual(['INITIAL', 'MANUAL']);
    expect(requestsTo(type)).toHaveLength(2);
    expect(await leftoverJobs()).toBe(0);
  });

  test('brings one forward that waits for its due time; one that is due already is left as it is', async () => {
    const gate = Promise.withResolvers<void>();
    receiver.answer = (_, res) => void gate.promise.then(() => res.end());
    const { type, event, invocation } = await fire({}, { delay: HOUR });
    expect((await change('retryInvocation', { id: invocation })).invocation).toMatchObject({
      status: 'QUEUED',
    });
    await until(() => requestsTo(type).length === 1);
    await reached(event, 'RUNNING');
    expect(await change('retryInvocation', { id: invocation })).toMatchObject(
      refused('WRONG_STATE', /in flight/),
    );
    gate.resolve();
    await reached(event, 'SUCCEEDED');
    expect(requestsTo(type)).toHaveLength(1);
  });

  test('says why not', async () => {
    receiver.answer = ok;
    const delivered = await fire();
    await reached(delivered.event, 'SUCCEEDED');
    const done = await change('retryInvocation', { id: delivered.invocation });
    expect(done).toMatchObject({ invocation: null, ...refused('WRONG_STATE', /this one is SUCCEEDED/) });

    const paused = await fire({ paused: true });
    const held = await change('retryInvocation', { id: paused.invocation });
    expect(held).toMatchObject(refused('WRONG_STATE', /is paused; resume it first/));

    receiver.answer = status(500);
    const orphan = await fire();
    await reached(orphan.event, 'FAILED');
    await app.graphql('mutation ($id: ID!) { deleteTrigger(input: {id: $id}) { userErrors { code } } }', {
      id: orphan.trigger.id,
    });
    const deleted = await change('retryInvocation', { id: orphan.invocation });
    expect(deleted).toMatchObject(refused('WRONG_STATE', /was deleted/));

    for (const id of [crypto.randomUUID(), 'nonsense']) {
      expect(await change('retryInvocation', { id })).toMatchObject(refused('NOT_FOUND', /no invocation/));
    }
  });
});

describe('cancelling', () => {
  test('an event that waits is never delivered; asked again, the answer is the same', async () => {
    const { type, event, invocation } = await fire({}, { delay: HOUR });
    const cancelled = await change('cancelEvent', { id: event });
    expect(cancelled).toMatchObject({ userErrors: [], event: { status: 'CANCELLED' }, cancelledCount: 1 });
    expect(await invocationsOf(event)).toMatchObject([
      { id: invocation, nextAttemptAt: null, attemptCount: 0 },
    ]);
    expect(await leftoverJobs()).toBe(0);
    expect(await change('cancelEvent', { id: event })).toMatchObject({ userErrors: [], cancelledCount: 0 });
    expect(await change('cancelInvocation', { id: invocation })).toMatchObject({ userErrors: [] });
    expect(await change('retryInvocation', { id: invocation })).toMatchObject(
      refused('WRONG_STATE', /this one is CANCELLED/),
    );
    expect(requestsTo(type)).toEqual([]);
  });

  test('one invocation of two leaves the other', async () => {
    const { type } = await fire();
    await createTrigger(app, { type, url: `${receiver.url}/${type}` });
    const two = await queueEvent(app, { type, delay: HOUR });
    const [one, other] = await invocationsOf(two.id);
    expect((await change('cancelInvocation', { id: one.id })).invocation).toMatchObject({
      status: 'CANCELLED',
    });
    const statuses = (await invocationsOf(two.id)).map(({ id, status: of }) => [id, of]);
    expect(statuses).toEqual([
      [one.id, 'CANCELLED'],
      [other?.id, 'SCHEDULED'],
    ]);
    expect(await change('cancelEvent', { id: two.id })).toMatchObject({ cancelledCount: 1 });
  });

  test('what is held, between attempts or in flight ends too; the attempt in flight is recorded', async () => {
    const held = await fire({ paused: true });
    expect(await change('cancelEvent', { id: held.event })).toMatchObject({ event: { status: 'CANCELLED' } });

    receiver.answer = status(503);
    const waiting = await fire({ retries: 1, retrySchedule: [HOUR] });
    await reached(waiting.event, 'RETRYING');
    expect(await change('cancelEvent', { id: waiting.event })).toMatchObject({ cancelledCount: 1 });

    const gate = Promise.withResolvers<void>();
    receiver.answer = (_, res) => void gate.promise.then(() => res.end());
    const flying = await fire();
    await reached(flying.event, 'RUNNING');
    expect((await change('cancelInvocation', { id: flying.invocation })).invocation).toMatchObject({
      status: 'CANCELLED',
    });
    gate.resolve();
    const recorded = await until(async () => {
      const [one] = await invocationsOf(flying.event);
      return one.attempts.nodes[0]?.status === 'SUCCEEDED' && one;
    });
    expect(recorded.status).toBe('CANCELLED');
    expect(await leftoverJobs()).toBe(0);
  });

  test('says why not', async () => {
    receiver.answer = ok;
    const { event, invocation } = await fire();
    await reached(event, 'SUCCEEDED');
    expect(await change('cancelEvent', { id: event })).toMatchObject({
      event: null,
      cancelledCount: 0,
      ...refused('WRONG_STATE', /all its invocations are finished/),
    });
    expect(await change('cancelInvocation', { id: invocation })).toMatchObject(
      refused('WRONG_STATE', /this one is SUCCEEDED/),
    );
    const unmatched = await queueEvent(app, { type: 'nobody.wants.this', delay: HOUR });
    expect(await change('cancelEvent', { id: unmatched.id })).toMatchObject(
      refused('WRONG_STATE', /no trigger matched/),
    );
    expect(await change('cancelEvent', { id: crypto.randomUUID() })).toMatchObject(
      refused('NOT_FOUND', /no event/),
    );
  });
});

describe('rescheduleEvent', () => {
  test('moves the due time, the job and the time in the webhook', async () => {
    receiver.answer = ok;
    const { type, event } = await fire({}, { delay: HOUR });
    const at = new Date(Date.now() + 2 * HOUR * 1000).toISOString();
    expect(await change('rescheduleEvent', { id: event, timestamp: at, delay: 1.5 })).toMatchObject({
      event: { status: 'SCHEDULED', dueAt: new Date(Date.parse(at) + 1500).toISOString() },
    });
    const [later] = await invocationsOf(event);
    expect(Date.parse(later.nextAttemptAt ?? '')).toBe(Date.parse(at) + 1500);

    const moved = await change('rescheduleEvent', { id: event });
    await reached(event, 'SUCCEEDED');
    const [request] = requestsTo(type);
    expect(JSON.parse(request?.text ?? '')).toMatchObject({ time: moved.event?.dueAt });
    expect(requestsTo(type)).toHaveLength(1);
    expect(await leftoverJobs()).toBe(0);
  });

  test('what is held stays held, and goes at its new time', async () => {
    receiver.answer = ok;
    const { event, trigger } = await fire({ paused: true });
    const [held] = await invocationsOf(event);
    expect(await change('rescheduleEvent', { id: event, delay: HOUR })).toMatchObject({ userErrors: [] });
    expect(await invocationsOf(event)).toMatchObject([{ id: held.id, status: 'HELD', nextAttemptAt: null }]);
    await app.graphql('mutation ($id: ID!) { resumeTrigger(input: {id: $id}) { userErrors { code } } }', {
      id: trigger.id,
    });
    const [released] = await invocationsOf(event);
    expect(released.status).toBe('SCHEDULED');
    expect(Date.parse(released.nextAttemptAt ?? '') - Date.now()).toBeGreaterThan((HOUR - 60) * 1000);
  });

  test('says why not', async () => {
    receiver.answer = status(500);
    const begun = await fire({ retries: 1, retrySchedule: [HOUR] });
    await reached(begun.event, 'RETRYING');
    expect(await change('rescheduleEvent', { id: begun.event, delay: 1 })).toMatchObject({
      event: null,
      ...refused('WRONG_STATE', /first attempt has begun/),
    });
    const waiting = await fire({}, { delay: HOUR });
    const far = await change('rescheduleEvent', { id: waiting.event, delay: 1e10 });
    expect(far.userErrors).toMatchObject([{ field: ['input', 'delay'], code: 'INVALID' }]);
    await change('cancelEvent', { id: waiting.event });
    expect(await change('rescheduleEvent', { id: waiting.event })).toMatchObject(
      refused('WRONG_STATE', /all its invocations are finished/),
    );
  });
});

test('who did it is in the audit log', async () => {
  receiver.answer = status(500);
  const { type, event, invocation, trigger } = await fire({ retries: 1, retrySchedule: [HOUR] });
  await reached(event, 'RETRYING');
  await change('retryInvocation', { id: invocation });
  await reached(event, 'FAILED');
  const later = await queueEvent(app, { type, delay: HOUR });
  await change('rescheduleEvent', { id: later.id, delay: 2 * HOUR });
  await change('cancelEvent', { id: later.id });
  const entries = await Promise.all(
    [invocation, later.id].map(async (subjectId) => {
      const { auditLog } = await app.graphql<{ auditLog: { nodes: readonly unknown[] } }>(
        `query ($subjectId: ID!) {
          auditLog(filter: {subjectId: $subjectId}) { nodes { action project subjectName changes actor { id } } }
        }`,
        { subjectId },
      );
      return auditLog.nodes;
    }),
  );
  const entry = (action: string, subjectName: string, changes: readonly string[] = []) => ({
    ...{ action, project: 'default', subjectName, changes, actor: { id: 'admin' } },
  });
  expect(entries).toEqual([
    [entry('INVOCATION_RETRIED', trigger.name)],
    [entry('EVENT_CANCELLED', type), entry('EVENT_RESCHEDULED', type, ['dueAt'])],
  ]);
});
