import { afterAll, beforeAll, expect, test } from 'vitest';
import { adoptStrays, releaseStrays } from '../../src/store/strays.ts';
import { type OpenedStore, openStore } from '../support/database.ts';
import { insertTrigger } from '../support/trigger-row.ts';

let store: OpenedStore;
let db: OpenedStore['db'];
let sql: OpenedStore['sql'];
beforeAll(async () => {
  store = await openStore();
  ({ db, sql } = store);
  await insertTrigger(sql);
});
afterAll(() => store[Symbol.asyncDispose]());

const jobs = async (): Promise<number> => {
  const [row] =
    await sql`select count(*)::int as count from graphile_worker._private_jobs where run_at < 'infinity'`;
  return row?.count as number;
};

test('overdue invocations without a job get one, round by round; others are left alone', async () => {
  await sql`
    select count(*) from herald.queue_events((select json_agg(json_build_object('type', 'a')) from generate_series(1, 1500)))`;
  await sql`update herald.invocations set next_attempt_at = now() - interval '1 hour'`;
  await sql`delete from graphile_worker._private_jobs where id % 3 = 0`;
  expect(await jobs()).toBe(1000);
  const first = await adoptStrays(db, null);
  const second = await adoptStrays(db, first.cursor);
  expect([first.adopted + second.adopted, second.cursor]).toEqual([500, null]);
  expect(await jobs()).toBe(1500);
  expect((await adoptStrays(db, null)).adopted).toBe(0);
});

test('what is held although its trigger is active is released chunk by chunk, as it is fetched', async () => {
  await sql`update herald.invocations set status = 'HELD', next_attempt_at = null`;
  await sql`update graphile_worker._private_jobs set run_at = 'infinity'`;
  expect(await releaseStrays(db)).toBe(1000);
  expect(await jobs()).toBe(1000);
  await sql`update graphile_worker._private_jobs set locked_at = now(), locked_by = 'me' where run_at < 'infinity'`;
  expect(await releaseStrays(db)).toBe(500);
  expect(await jobs()).toBe(1500);
  expect(await releaseStrays(db)).toBe(0);
});

test('of jobs whose attempts are used up, those that were replaced are removed, others go on, strangers stay', async () => {
  await sql`delete from graphile_worker._private_jobs`;
  const add = (task: string, key: string) =>
    sql`select graphile_worker.add_job(${task}, '{}'::json, job_key => ${key}, max_attempts => 21)`;
  const failed = () => sql`
    update graphile_worker._private_jobs set locked_at = null, locked_by = null where attempts >= max_attempts`;
  for (const task of ['deliver', 'theirs']) {
    await add(task, `${task} replaced`);
    await sql`
      update graphile_worker._private_jobs set locked_at = now(), locked_by = 'me', attempts = 1
        where key = ${`${task} replaced`}`;
    // The one that is locked loses its key, and counts as used up.
    await add(task, `${task} replaced`);
    await failed();
    await add(task, `${task} used up`);
    await sql`update graphile_worker._private_jobs set attempts = 21 where key = ${`${task} used up`}`;
  }
  await adoptStrays(db, null);
  const left = await sql`
    select t.identifier as task, j.key, j.attempts from graphile_worker._private_jobs j
      join graphile_worker._private_tasks t on t.id = j.task_id
      order by 1, 2 nulls first`;
  expect(left.map(({ task, key, attempts }) => [task, key, attempts])).toEqual([
    ['deliver', 'deliver replaced', 0],
    ['deliver', 'deliver used up', 20],
    ['theirs', null, 21],
    ['theirs', 'theirs replaced', 0],
    ['theirs', 'theirs used up', 21],
  ]);
});
