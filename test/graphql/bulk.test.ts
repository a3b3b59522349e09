/** Jobs over many rows: which rows, how fast, by whom, and that nothing is done twice or left undone. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBulkRunner } from '../../src/actions/bulk-runner.ts';
import { MAX_RUNNING_OPERATIONS } from '../../src/domain/bulk-operation.ts';
import type { Caller } from '../../src/domain/caller.ts';
import { doChunk } from '../../src/store/bulk-work.ts';
import { until } from '../support/until.ts';
import { ask, createTrigger, queueEvent } from './ask.ts';
import { type BulkCalls, bulkCalls } from './bulk-calls.ts';
import { type Door, openDoor } from './door.ts';

const shopkeeper: Caller = {
  ...{ id: 'key:shop', name: 'shop', scopes: ['EVENTS_READ', 'EVENTS_WRITE', 'EVENTS_RETRY'] },
  ...{ projects: ['shop'], watch: () => () => {} },
};
const AS_SHOPKEEPER = { authorization: 'Bearer shop-token' };

let door: Door;
let calls: BulkCalls;
beforeAll(async () => {
  door = await openDoor({ callers: { 'shop-token': shopkeeper } });
  calls = bulkCalls(door);
});
afterAll(() => door[Symbol.asyncDispose]());

/** Events of a new type for a new trigger; `failed` of them have failed for good. */
async function makeEvents(count: number, failed: number, project = 'default') {
  const type = `bulk.${crypto.randomUUID()}`;
  const trigger = await createTrigger(door, { name: type.slice(0, 20), type, project });
  const events = [];
  for (let n = 0; n < count; n++) events.push(await queueEvent(door, { type, project, delay: 3600 }));
  const ids = events.slice(0, failed).flatMap(({ invocations }) => invocations);
  await door.sql`
    update herald.invocations set status = 'FAILED', failure_reason = 'RETRIES_EXHAUSTED', finished_at = now(),
      next_attempt_at = null, attempt_count = max_attempts where id = any(${ids}::uuid[])`;
  await door.sql`delete from graphile_worker._private_jobs where key = any(${ids})`;
  return { type, trigger, ids };
}

const states = (ids: readonly string[]) =>
  door.sql<{ status: string; allowed: number; at: Date; job: boolean }[]>`
    select i.status, i.max_attempts - i.attempt_count as allowed, i.next_attempt_at as at, j.run_at = i.next_attempt_at as job
      from herald.invocations i
      left join graphile_worker._private_jobs j on j.key = i.id::text
      where i.id = any(${ids}::uuid[])
      order by i.id`;

describe('retryInvocations', () => {
  test('retries what failed, one attempt each, and nothing else', async () => {
    const { type, ids } = await makeEvents(12, 7);
    await door.sql`
      update herald.invocations i set status = 'SUCCEEDED', finished_at = now(), next_attempt_at = null
        from herald.events e where e.id = i.event_id and e.type = ${type} and i.status = 'PENDING'`;
    const other = await makeEvents(2, 2);
    const begun = await calls.begin('retryInvocations', { filter: { eventType: [type] } });
    expect(begun).toMatchObject({
      bulkOperation: { kind: 'RETRY_INVOCATIONS', status: 'RUNNING' },
      userErrors: [],
    });
    const done = await calls.completed(begun.bulkOperation.id);
    expect(done).toMatchObject({ status: 'COMPLETED', matched: 7, processed: 7, skipped: 0 });
    expect(Date.parse(done.finishedAt)).toBeGreaterThanOrEqual(Date.parse(done.createdAt));
    for (const row of await states(ids))
      expect(row).toMatchObject({ status: 'PENDING', allowed: 1, job: true });
    expect((await states(other.ids)).map(({ status }) => status)).toEqual(['FAILED', 'FAILED']);
    const { data } = await ask(
      door,
      'query ($id: ID!) { auditLog(filter: {subjectId: $id}) { nodes { action subjectName } } }',
      {
        id: begun.bulkOperation.id,
      },
    );
    expect(data.auditLog.nodes).toEqual([
      { action: 'BULK_OPERATION_STARTED', subjectName: 'RETRY_INVOCATIONS' },
    ]);
  });

  test('skips those whose trigger is paused or gone', async () => {
    const paused = await makeEvents(2, 2);
    await ask(door, 'mutation ($id: ID!) { pauseTrigger(input: {id: $id}) { userErrors { code } } }', {
      id: paused.trigger.id,
    });
    const deleted = await makeEvents(1, 1);
    await ask(door, 'mutation ($id: ID!) { deleteTrigger(input: {id: $id}) { userErrors { code } } }', {
      id: deleted.trigger.id,
    });
    const filter = { eventType: [paused.type, deleted.type] };
    const { bulkOperation } = await calls.begin('retryInvocations', { filter });
    expect(await calls.completed(bulkOperation.id)).toMatchObject({ matched: 3, processed: 0, skipped: 3 });
  });

  test('spreads them as evenly as asked, over chunks', async () => {
    const { type, ids } = await makeEvents(25, 25);
    const { bulkOperation } = await calls.begin('retryInvocations', {
      filter: { eventType: [type] },
      maxPerMinute: 1200,
    });
    expect(await calls.completed(bulkOperation.id)).toMatchObject({ processed: 25 });
    const times = (await states(ids)).map(({ at }) => at.getTime());
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    // 20 in the first second, then the others; a millisecond is lost where times are rounded.
    expect(Math.min(...gaps.slice(0, 19))).toBeGreaterThanOrEqual(49);
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(1000);
  });

  test('is gone on with where a process ended, and nothing is done twice', async () => {
    const { type, ids } = await makeEvents(3, 3);
    const runner = createBulkRunner(door.db, () => {});
    const { bulkOperation } = await calls.begin('retryInvocations', {
      filter: { eventType: [type] },
      maxPerMinute: 60,
    });
    const { id } = bulkOperation;
    await until(async () => (await calls.operation(id)).processed === 1, 'the first chunk');
    // As if the next one had been due for long.
    await door.sql`update herald.bulk_operations set next_at = now() - interval '1 minute' where id = ${id}`;
    await runner.adopt();
    await until(async () => (await calls.operation(id)).processed === 2, 'the second chunk');
    await door.sql`update herald.bulk_operations set next_at = now() where id = ${id}`;
    expect(await calls.completed(id)).toMatchObject({
      status: 'COMPLETED',
      matched: 3,
      processed: 3,
      skipped: 0,
    });
    expect((await states(ids)).map(({ allowed }) => allowed)).toEqual([1, 1, 1]);
    await runner.stop();
  });
});

test('a few slow ones keep nobody from the others', async () => {
  const slow = await makeEvents(30, 30);
  const runner = createBulkRunner(door.db, () => {});
  const filter = JSON.stringify({ eventType: [slow.type] });
  const rows = await door.sql`
    insert into herald.bulk_operations (id, kind, filter, max_per_minute)
    select herald.uuid_v7(), 'RETRY_INVOCATIONS', ${filter}, 1 from generate_series(1, 10) returning id`;
  for (const { id } of rows) runner.start(id as string);
  const quick = await makeEvents(2, 0);
  const [row] = await door.sql`
    insert into herald.bulk_operations (id, kind, filter)
    values (herald.uuid_v7(), 'CANCEL_EVENTS', ${JSON.stringify({ type: [quick.type] })}) returning id`;
  runner.start(String(row?.id));
  expect(await calls.completed(String(row?.id))).toMatchObject({ status: 'COMPLETED', processed: 2 });
  await runner.stop();
  await door.sql`update herald.bulk_operations set status = 'CANCELLED', finished_at = now() where status = 'RUNNING'`;
});

test('those whose trigger is paused are passed by in one go', async () => {
  const { type, trigger } = await makeEvents(12, 12);
  await ask(door, 'mutation ($id: ID!) { pauseTrigger(input: {id: $id}) { userErrors { code } } }', {
    id: trigger.id,
  });
  const [row] = await door.sql`
    insert into herald.bulk_operations (id, kind, filter)
    values (herald.uuid_v7(), 'RETRY_INVOCATIONS', ${JSON.stringify({ eventType: [type] })}) returning id`;
  const limits = { size: 10, reach: 20_000, perRowMs: 0 };
  expect(await doChunk(door.db, String(row?.id), limits)).toMatchObject({ end: 'MORE', done: 0 });
  expect(await doChunk(door.db, String(row?.id), limits)).toMatchObject({ end: 'DONE', done: 0 });
});

test('what a process leaves when it stops is taken up by the next one that looks, at its own pace', async () => {
  const { type } = await makeEvents(3, 3);
  const [one, other] = [createBulkRunner(door.db, () => {}), createBulkRunner(door.db, () => {})];
  const filter = JSON.stringify({ eventType: [type] });
  const [row] = await door.sql`
    insert into herald.bulk_operations (id, kind, filter, max_per_minute)
    values (herald.uuid_v7(), 'RETRY_INVOCATIONS', ${filter}, 60) returning id`;
  const id = String(row?.id);
  one.start(id);
  await until(async () => (await calls.operation(id)).processed === 1, 'the first chunk');
  const before = performance.now();
  await one.stop();
  await other.adopt();
  expect(await calls.completed(id)).toMatchObject({ status: 'COMPLETED', processed: 3, skipped: 0 });
  // Two more at one a second.
  expect(performance.now() - before).toBeGreaterThan(900);
  await other.stop();
});

describe('cancelEvents', () => {
  test('cancels what is unfinished, and takes the jobs away', async () => {
    const { type, ids } = await makeEvents(9, 2);
    const { bulkOperation } = await calls.begin('cancelEvents', { filter: { type: [type] } });
    expect(await calls.completed(bulkOperation.id)).toMatchObject({ matched: 7, processed: 7, skipped: 0 });
    const [left] = await door.sql<{ cancelled: number; jobs: number }[]>`
      select count(*) filter (where i.status = 'CANCELLED')::int as cancelled, count(j.id)::int as jobs
        from herald.invocations i
        join herald.events e on e.id = i.event_id
        left join graphile_worker._private_jobs j on j.key = i.id::text
        where e.type = ${type}`;
    expect(left).toEqual({ cancelled: 7, jobs: 0 });
    expect((await states(ids)).map(({ status }) => status)).toEqual(['FAILED', 'FAILED']);
  });
});

describe('chunks of cancelEvents', () => {
  /** An operation that only this test works on. */
  async function beginAlone(type: string): Promise<string> {
    const filter = JSON.stringify({ type: [type], receivedAt: { from: new Date(0) } });
    const [row] = await door.sql`
      insert into herald.bulk_operations (id, kind, filter) values (herald.uuid_v7(), 'CANCEL_EVENTS', ${filter}) returning id`;
    return String(row?.id);
  }
  const chunk = async (id: string) =>
    (await doChunk(door.db, id, { size: 3, reach: 20_000, perRowMs: 0 })).end;

  test('are bounded by invocations, however many an event has', async () => {
    const { type } = await makeEvents(1, 0);
    for (const name of ['b', 'c']) await createTrigger(door, { name: `${type.slice(0, 15)}-${name}`, type });
    for (let n = 0; n < 3; n++) await queueEvent(door, { type, delay: 3600 });
    const id = await beginAlone(type);
    const ends: string[] = [];
    do ends.push(await chunk(id));
    while (ends.at(-1) === 'MORE');
    // Ten invocations, three at a time.
    expect(ends).toEqual(['MORE', 'MORE', 'MORE', 'DONE']);
    expect(await calls.operation(id)).toMatchObject({ status: 'COMPLETED', processed: 4, skipped: 0 });
    const left = await door.sql`
      select from herald.invocations i join herald.events e on e.id = i.event_id
        where e.type = ${type} and i.status <> 'CANCELLED'`;
    expect(left).toHaveLength(0);
  });

  test('leave alone what others hold, and come back for it', async () => {
    const { type } = await makeEvents(2, 0);
    const id = await beginAlone(type);
    await door.sql.begin(async (tx) => {
      await tx`
        select from herald.invocations i join herald.events e on e.id = i.event_id
          where e.type = ${type} order by i.id limit 1 for update of i`;
      expect(await chunk(id)).toBe('MORE');
      expect(await chunk(id)).toBe('LOCKED');
    });
    expect(await chunk(id)).toBe('DONE');
    expect(await calls.operation(id)).toMatchObject({ processed: 2, skipped: 0 });
  });
});

describe('what is refused, and who sees what', () => {
  test('no condition, another status, an impossible pace', async () => {
    const refusals = [
      ['retryInvocations', { filter: {} }, ['input', 'filter'], 'REQUIRED'],
      ['retryInvocations', { filter: { status: ['FAILED'] } }, ['input', 'filter'], 'REQUIRED'],
      ['retryInvocations', { filter: { status: ['SUCCEEDED'] } }, ['input', 'filter', 'status'], 'INVALID'],
      [
        'retryInvocations',
        { filter: { project: 'x' }, maxPerMinute: 0 },
        ['input', 'maxPerMinute'],
        'INVALID',
      ],
      ['cancelEvents', { filter: {} }, ['input', 'filter'], 'REQUIRED'],
      [
        'cancelEvents',
        { filter: { receivedAt: {}, dueAt: { from: null } } },
        ['input', 'filter'],
        'REQUIRED',
      ],
      ['retryInvocations', { filter: { eventId: 'x' } }, ['input', 'filter', 'eventId'], 'INVALID'],
      [
        'retryInvocations',
        { filter: { triggerId: ['x'] } },
        ['input', 'filter', 'triggerId', '0'],
        'INVALID',
      ],
      ['cancelEvents', { filter: { id: ['x'] } }, ['input', 'filter', 'id', '0'], 'INVALID'],
      ['retryInvocations', { filter: { lastStatusCode: {} } }, ['input', 'filter'], 'REQUIRED'],
      ['cancelEvents', { filter: { type: ['a\u0000b'] } }, ['input', 'filter'], 'INVALID'],
    ] as const;
    for (const [mutation, input, field, code] of refusals) {
      const { bulkOperation, userErrors } = await calls.begin(mutation, input);
      expect({ bulkOperation, userErrors }).toMatchObject({
        bulkOperation: null,
        userErrors: [{ field, code }],
      });
    }
    expect(await calls.operation('nonsense')).toBeNull();
  });

  test('a caller of one project touches and sees that one only', async () => {
    const mine = await makeEvents(2, 2, 'shop');
    const others = await makeEvents(2, 2);
    const filter = { eventType: [mine.type, others.type] };
    const { bulkOperation } = await calls.begin('retryInvocations', { filter }, AS_SHOPKEEPER);
    expect(await calls.completed(bulkOperation.id)).toMatchObject({ matched: 2, processed: 2 });
    expect((await states(others.ids)).map(({ status }) => status)).toEqual(['FAILED', 'FAILED']);
    expect(await calls.operation(bulkOperation.id, AS_SHOPKEEPER)).toMatchObject({ processed: 2 });
    const hidden = await calls.begin('cancelEvents', { filter: { project: 'default' } }, AS_SHOPKEEPER);
    expect(hidden.userErrors).toMatchObject([{ field: ['input', 'filter', 'project'], code: 'NOT_FOUND' }]);
    const all = await calls.begin('cancelEvents', { filter: { type: ['none'] } });
    expect(await calls.operation(all.bulkOperation.id, AS_SHOPKEEPER)).toBeNull();
  });

  test('more at once than are good for anybody', async () => {
    await door.sql`
      insert into herald.bulk_operations (id, kind, filter, next_at)
      select herald.uuid_v7(), 'CANCEL_EVENTS', '{}', 'infinity' from generate_series(1, ${MAX_RUNNING_OPERATIONS}::int)`;
    const { userErrors } = await calls.begin('cancelEvents', { filter: { type: ['none'] } });
    expect(userErrors).toMatchObject([{ field: null, code: 'LIMIT_EXCEEDED' }]);
    // Those who see other projects are not held up.
    const theirs = await calls.begin('cancelEvents', { filter: { type: ['none'] } }, AS_SHOPKEEPER);
    expect(theirs.userErrors).toEqual([]);
    await door.sql`delete from herald.bulk_operations where next_at = 'infinity'`;
  });
});
