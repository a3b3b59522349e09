/** What a delivery came to meets what people changed while it was under way. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Settlement, settle } from '../../src/store/settlements.ts';
import { type OpenedStore, openStore } from '../support/database.ts';
import { insertTrigger } from '../support/trigger-row.ts';

let store: OpenedStore;
let db: OpenedStore['db'];
let sql: OpenedStore['sql'];
beforeAll(async () => {
  store = await openStore();
  ({ db, sql } = store);
  await insertTrigger(sql, { retries: 1 });
});
afterAll(() => store[Symbol.asyncDispose]());

/** The last attempt of an invocation failed, as whoever made it knows how many there may be. */
async function failLastAttempt(allowed: number, reason: 'RETRIES_EXHAUSTED' | 'RECEIVER_GONE') {
  const [queued] = await sql`
    select invocations -> 0 ->> 'id' as id from herald.queue_events('[{"type": "a"}]')`;
  const invocationId = String(queued?.id);
  await sql`
    update herald.invocations set status = 'RETRYING', attempt_count = 1, max_attempts = ${allowed} where id = ${invocationId}`;
  const settlement: Settlement = {
    invocationId,
    attemptsBefore: 1,
    decision: { kind: 'GIVE_UP', reason },
    maxAttempts: 2,
    attempt: {
      ...{ id: randomUUID(), cause: 'RETRY', url: 'http://127.0.0.1:9/', headers: [], bodySize: 2 },
      ...{ contentMode: 'JSON', specVersion: '1.0' },
      outcome: {
        ...{ errorCode: 'TIMEOUT', errorMessage: 'late', response: null },
        timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null, totalMs: 1 },
      },
    },
  };
  const answer = await settle(db, [settlement]);
  const [row] = await sql`
    select i.status, i.failure_reason, i.attempt_count,
        round(extract(epoch from i.next_attempt_at - i.updated_at)::numeric, 1)::float as delay,
        abs(extract(epoch from j.run_at - i.next_attempt_at)) < 0.002 as planned
      from herald.invocations i
      left join graphile_worker._private_jobs j on j.key = i.id::text
      where i.id = ${invocationId}`;
  return { answer, ...row };
}

test('who was given more retries meanwhile gets them, after the usual back-off', async () => {
  expect(await failLastAttempt(3, 'RETRIES_EXHAUSTED')).toMatchObject({
    ...{
      answer: ['DONE'],
      status: 'RETRYING',
      failure_reason: null,
      attempt_count: 2,
      delay: 7.4,
      planned: true,
    },
  });
});

test('who has none left fails, and so does who has some where the receiver is gone', async () => {
  const failed = { answer: ['DONE'], status: 'FAILED', attempt_count: 2, delay: null };
  expect(await failLastAttempt(2, 'RETRIES_EXHAUSTED')).toMatchObject(failed);
  expect(await failLastAttempt(3, 'RECEIVER_GONE')).toMatchObject({
    ...failed,
    failure_reason: 'RECEIVER_GONE',
  });
});
