/** Retention meets people who ask for another attempt of something old. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { retryInvocation } from '../../src/actions/manage-invocation.ts';
import { HERALD } from '../../src/domain/caller.ts';
import { inTransaction } from '../../src/store/database.ts';
import { lockInvocation } from '../../src/store/manual-changes.ts';
import { prune } from '../../src/store/retention.ts';
import { type OpenedStore, openStore } from '../support/database.ts';

let store: OpenedStore;
let db: OpenedStore['db'];
let sql: OpenedStore['sql'];
beforeAll(async () => {
  store = await openStore();
  ({ db, sql } = store);
});
afterAll(() => store[Symbol.asyncDispose]());

const DAY_MS = 86_400_000;

/** An event that failed for good `days` ago. */
async function makeOld(days: number) {
  const hex = (Date.now() - days * DAY_MS).toString(16).padStart(12, '0');
  const id = (end: number) => `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-00000000000${end}`;
  const at = new Date(Date.now() - days * DAY_MS).toISOString();
  const [event, invocation, trigger] = [id(1), id(2), id(3)];
  await sql`
    insert into herald.triggers (id, project, name, type, url, retries, timeout_ms, content_mode, spec_version, headers)
    values (${trigger}, 'default', ${`old-${days}`}, 'old', 'http://127.0.0.1:9/', 3, 5000, 'JSON', '1.0', '[]')`;
  await sql`
    insert into herald.events (id, project, type, source, data, data_size, received_at, due_at, origin, invocation_count)
    values (${event}, 'default', 'old', 'x', '1', 1, ${at}, ${at}, 'SQL', 1)`;
  await sql`
    insert into herald.invocations (id, event_id, trigger_id, trigger_name, status, failure_reason, attempt_count, max_attempts,
      created_at, updated_at, finished_at)
    values (${invocation}, ${event}, ${trigger}, 'old', 'FAILED', 'RETRIES_EXHAUSTED', 4, 4, ${at}, ${at}, ${at})`;
  await sql`
    insert into herald.attempts (invocation_id, number, id, status, cause, error_code, started_at, finished_at, request_url,
      request_headers, request_body_size, content_mode, spec_version)
    values (${invocation}, 4, gen_random_uuid(), 'FAILED', 'RETRY', 'TIMEOUT', ${at}, ${at}, 'x', '', 1, 'JSON', '1.0')`;
  return { event, invocation };
}

const kept = async () => {
  const [row] = await sql<{ events: number; invocations: number; attempts: number }[]>`
    select (select count(*)::int from herald.events) as events, (select count(*)::int from herald.invocations) as invocations,
      (select count(*)::int from herald.attempts) as attempts`;
  return row;
};

test('what somebody is about to retry, or has retried, is not removed; what failed again is, when it is old again', async () => {
  const { event, invocation } = await makeOld(40);
  await inTransaction(db, async (tx) => {
    expect(await lockInvocation(tx, invocation)).not.toBeNull();
    await prune(db, 30);
  });
  expect(await kept()).toEqual({ events: 1, invocations: 1, attempts: 1 });

  expect(await retryInvocation({ db, actor: HERALD }, { id: invocation, resetRetries: false })).toMatchObject(
    {
      ok: true,
    },
  );
  await prune(db, 30);
  expect(await kept()).toEqual({ events: 1, invocations: 1, attempts: 1 });

  await sql`
    update herald.invocations set status = 'FAILED', failure_reason = 'RETRIES_EXHAUSTED', next_attempt_at = null,
      finished_at = now() - interval '31 days' where id = ${invocation}`;
  await prune(db, 30);
  expect(await kept()).toEqual({ events: 0, invocations: 0, attempts: 0 });
  expect(await sql`select from herald.events where id = ${event}`).toHaveLength(0);
});

test('a retry that comes while it is being removed is refused, or keeps all of it', async () => {
  for (let days = 50; days < 60; days++) {
    const { invocation } = await makeOld(days);
    const [, retried] = await Promise.all([
      prune(db, 30),
      retryInvocation({ db, actor: HERALD }, { id: invocation, resetRetries: false }),
    ]);
    const count = retried.ok ? 1 : 0;
    expect(await kept()).toEqual({ events: count, invocations: count, attempts: count });
    const jobs = await sql`delete from graphile_worker._private_jobs where key = ${invocation} returning id`;
    expect(jobs).toHaveLength(count);
    await sql`truncate herald.events, herald.invocations, herald.attempts`;
  }
});

test('bulk operations that ended are kept for a month, others for ever', async () => {
  await sql`
    insert into herald.bulk_operations (id, kind, filter, status, finished_at)
    select gen_random_uuid(), 'CANCEL_EVENTS', '{}', case when days is null then 'RUNNING' else 'COMPLETED' end,
        now() - make_interval(days => days)
      from unnest(array[null, 29, 31]) days`;
  await prune(db, 30);
  const rows = await sql`select status from herald.bulk_operations order by status`;
  expect(rows.map(({ status }) => status)).toEqual(['COMPLETED', 'RUNNING']);
});
