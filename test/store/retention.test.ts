/** Retention meets people who ask for another attempt of something old. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { retryInvocation } from '../../src/actions/manage-invocation.ts';
import { HERALD } from '../../src/domain/caller.ts';
import { inTransaction } from '../../src/store/database.ts';
import { lockInvocation } from '../../src/store/manual-changes.ts';
import { prune } from '../../src/store/retention.ts';
import { foldTallies } from '../../src/store/stats-fold.ts';
import { type OpenedStore, openStore } from '../support/database.ts';
import { insertTrigger } from '../support/trigger-row.ts';

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
  await insertTrigger(sql, { id: trigger, name: `old-${days}`, type: 'old' });
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

test('what goes with the last invocation of a deleted trigger is counted before the trigger goes', async () => {
  await makeOld(45);
  await sql`update herald.triggers set deleted_at = now() - interval '31 days' where name = 'old-45'`;
  await foldTallies(db);
  await prune(db, 30);
  expect(await sql`select from herald.triggers where name = 'old-45'`).toHaveLength(1);
  await foldTallies(db);
  await prune(db, 30);
  expect(await sql`select from herald.triggers where name = 'old-45'`).toHaveLength(0);
  await foldTallies(db);
  const [row] = await sql`
    select count(*)::int as count from herald.trigger_counts c
      where not exists (select from herald.triggers t where t.id = c.trigger_id)`;
  expect(row?.count).toBe(0);
});

test('a trigger that was deleted goes when its last invocation has gone, keys and numbers with it; others stay', async () => {
  const rows = () =>
    sql`
      select t.name, (select count(*)::int from herald.signing_keys k where k.trigger_id = t.id) as keys,
          (select count(*)::int from herald.stats s where s.scope = 'trigger/' || t.id) as spans
        from herald.triggers t where t.type = 'gone' order by t.name`;
  await sql`
    insert into herald.triggers (id, project, name, type, url, retries, timeout_ms, content_mode, spec_version, headers, deleted_at)
    select herald.uuid_v7(), 'default', name, 'gone', 'http://127.0.0.1:9/', 3, 5000, 'JSON', '1.0', '[]', now() - days * interval '1 day'
      from (values ('a-live', null), ('b-lately', 29), ('c-used', 31), ('d-gone', 31)) t(name, days)`;
  await sql`
    insert into herald.signing_keys (id, trigger_id, algorithm, secret)
    select herald.uuid_v7(), id, 'HMAC_SHA256', 'v1.x' from herald.triggers where type = 'gone'`;
  await sql`
    insert into herald.stats (scope, grain, start, events, attempts, attempts_failed, retries, succeeded, failed, durations, latencies)
    select 'trigger/' || id, 0, 'epoch', 0, 0, 0, 0, 0, 0, '', '' from herald.triggers where type = 'gone'`;
  const { invocation } = await makeOld(29);
  await sql`
    update herald.invocations set trigger_id = (select id from herald.triggers where name = 'c-used')
      where id = ${invocation}`;
  await prune(db, 30);
  const all = { keys: 1, spans: 1 };
  expect([...(await rows())]).toEqual([
    { name: 'a-live', ...all },
    { name: 'b-lately', ...all },
    { name: 'c-used', ...all },
  ]);
  const [left] = await sql`
    select (select count(*)::int from herald.signing_keys) as keys, (
        select count(*)::int from herald.stats s
          where s.scope like 'trigger/%' and not exists (select from herald.triggers t where s.scope = 'trigger/' || t.id)) as spans`;
  expect(left).toEqual({ keys: 3, spans: 0 });
});
