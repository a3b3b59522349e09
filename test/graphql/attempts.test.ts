import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, createTrigger, queueEvent } from './ask.ts';
import { type Door, openDoor } from './door.ts';
import { GIVE_UP, play, RETRY, SUCCEED } from './outcomes.ts';

let door: Door;
beforeAll(async () => {
  door = await openDoor();
});
afterAll(() => door.close());

const ATTEMPT = `{
  id number status cause errorCode errorMessage startedAt finishedAt durationMs
  timings { dnsMs connectMs tlsMs firstByteMs totalMs }
  request { url headers { name value } body bodySize }
  response { statusCode headers { name value } body bodyTruncated remoteAddress }
  invocation { id }
}`;

describe('attempts', () => {
  test('tell what was sent and what came back, oldest first', async () => {
    await createTrigger(door, { name: 'talk', type: 'talk', retries: 1 });
    const event = await queueEvent(door, { type: 'talk', data: { n: 1 } });
    const invocationId = event.invocations[0] as string;
    const garbled = Buffer.from([0x66, 0xff, 0x00, 0x21]);
    await play(door.db, {
      invocationId,
      number: 1,
      statusCode: 500,
      decision: RETRY,
      responseBody: garbled,
      bodySize: 99,
    });
    const query = `query ($id: ID!) { invocation(id: $id) {
      status attemptCount maxAttempts failureReason nextAttemptAt finishedAt deliveryLatencyMs
      lastAttempt { number }
      attempts { nodes ${ATTEMPT} edges { node { number } } pageInfo { hasNextPage } totalCount { value capped } }
      event { id source dueAt status finishedAt invocationCounts { total pending failed } }
    } }`;
    const { invocation } = (await ask(door, query, { id: invocationId })).data;
    expect(invocation).toMatchObject({
      status: 'RETRYING',
      attemptCount: 1,
      maxAttempts: 2,
      failureReason: null,
      nextAttemptAt: expect.stringMatching(/Z$/),
      finishedAt: null,
      deliveryLatencyMs: null,
      lastAttempt: { number: 1 },
      event: {
        status: 'IN_PROGRESS',
        finishedAt: null,
        invocationCounts: { total: 1, pending: 1, failed: 0 },
      },
    });
    expect(invocation.attempts).toMatchObject({
      edges: [{ node: { number: 1 } }],
      pageInfo: { hasNextPage: false },
      totalCount: { value: 1, capped: false },
    });
    const { source, dueAt } = invocation.event;
    expect(invocation.attempts.nodes).toEqual([
      {
        id: expect.stringMatching(/^[\da-f-]{36}$/),
        number: 1,
        status: 'FAILED',
        cause: 'INITIAL',
        errorCode: 'HTTP_STATUS',
        errorMessage: 'the receiver answered 500',
        startedAt: expect.stringMatching(/Z$/),
        finishedAt: expect.stringMatching(/Z$/),
        durationMs: 12,
        timings: { dnsMs: null, connectMs: 1.25, tlsMs: null, firstByteMs: 10.5, totalMs: 12 },
        request: {
          url: 'http://127.0.0.1:9/hook',
          headers: [
            { name: 'content-type', value: 'application/json' },
            { name: 'x-secret', value: '***' },
          ],
          body: `{"specversion":"1.0-rc1","id":"${event.id}","type":"talk","source":"${source}","time":"${dueAt}","data":{"n":1}}`,
          bodySize: 99,
        },
        response: {
          statusCode: 500,
          headers: [{ name: 'server', value: 'test' }],
          body: 'f\ufffd\u0000!',
          bodyTruncated: false,
          remoteAddress: '127.0.0.1',
        },
        invocation: { id: invocationId },
      },
    ]);

    await play(door.db, { invocationId, number: 2, statusCode: 200, decision: SUCCEED });
    const after = (await ask(door, query, { id: invocationId })).data.invocation;
    expect(after).toMatchObject({
      status: 'SUCCEEDED',
      attemptCount: 2,
      nextAttemptAt: null,
      lastAttempt: { number: 2 },
      deliveryLatencyMs: new Date(after.finishedAt).getTime() - new Date(dueAt).getTime(),
      event: { status: 'SUCCEEDED', finishedAt: after.finishedAt },
    });
    expect(
      after.attempts.nodes.map(({ number, cause }: { number: number; cause: string }) => [number, cause]),
    ).toEqual([
      [1, 'INITIAL'],
      [2, 'RETRY'],
    ]);
  });

  test('of many retries are paged', async () => {
    await createTrigger(door, { name: 'long', type: 'long', retries: 30 });
    const event = await queueEvent(door, { type: 'long' });
    const invocationId = event.invocations[0] as string;
    for (let number = 1; number <= 25; number++) {
      await play(door.db, {
        invocationId,
        number,
        statusCode: 503,
        decision: number === 25 ? GIVE_UP : RETRY,
      });
    }
    const query = `query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) { invocation(id: $id) {
      status failureReason
      attempts(first: $first, after: $after, last: $last, before: $before) {
        nodes { number } pageInfo { hasNextPage hasPreviousPage endCursor startCursor } totalCount { value }
      } } }`;
    const page = async (args: Record<string, unknown>) =>
      (await ask(door, query, { id: invocationId, ...args })).data.invocation;
    const numbers = ({ attempts }: { attempts: { nodes: { number: number }[] } }) =>
      attempts.nodes.map(({ number }) => number);
    const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);
    const first = await page({ first: 10 });
    expect(first).toMatchObject({
      status: 'FAILED',
      failureReason: 'RETRIES_EXHAUSTED',
      attempts: { totalCount: { value: 25 }, pageInfo: { hasNextPage: true, hasPreviousPage: false } },
    });
    expect(numbers(first)).toEqual(range(1, 10));
    expect(numbers(await page({ first: 10, after: first.attempts.pageInfo.endCursor }))).toEqual(
      range(11, 20),
    );
    const last = await page({ last: 10 });
    expect(numbers(last)).toEqual(range(16, 25));
    expect(numbers(await page({ last: 10, before: last.attempts.pageInfo.startCursor }))).toEqual(
      range(6, 15),
    );
  });

  test('show no body once the data were removed', async () => {
    await createTrigger(door, { name: 'gone', type: 'gone' });
    const event = await queueEvent(door, { type: 'gone', data: 'secret' });
    await play(door.db, {
      invocationId: event.invocations[0] as string,
      number: 1,
      statusCode: 200,
      decision: SUCCEED,
    });
    await door.sql`update herald.events set data = null where id = ${event.id}`;
    const { data } = await ask(
      door,
      `query ($id: ID!) { event(id: $id) { data dataText dataRemoved dataSize
        invocations { nodes { lastAttempt { request { body bodySize } } } } } }`,
      { id: event.id },
    );
    expect(data.event).toEqual({
      data: null,
      dataText: null,
      dataRemoved: true,
      dataSize: 8,
      invocations: { nodes: [{ lastAttempt: { request: { body: null, bodySize: 2 } } }] },
    });
  });
});
