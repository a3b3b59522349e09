/** Waiting lines and turns, as several processes would use them at once. */
import { sql as raw } from 'drizzle-orm';
import type postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Database, inTransaction, openDatabase } from '../../src/store/database.ts';
import { cancel, move } from '../../src/store/invocation-moves.ts';
import { giveTurnsBack, takeTurns } from '../../src/store/turns.ts';
import { callFromLine, findLines, standInLine, sweepIntoLine } from '../../src/store/waiting-lines.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { insertTrigger } from '../support/trigger-row.ts';

let sql: postgres.Sql;
let db: Database;
let triggerId: string;
let otherId: string;
beforeAll(async () => {
  const database = await createTestDatabase();
  const { url: _, ...address } = database;
  sql = openSql(database);
  db = openDatabase(address, { name: 'lines', max: 8 });
});
afterAll(() => Promise.all([sql.end(), db.$client.end()]));
beforeEach(async () => {
  await sql`
    truncate herald.triggers, herald.events, herald.invocations, herald.turns, herald.paces,
      graphile_worker._private_jobs cascade`;
  triggerId = await insertTrigger(sql, { name: 'a', type: 'a' });
  otherId = await insertTrigger(sql, { name: 'b', type: 'b' });
});

/** Queues events and returns the ids of their invocations in the order in which their jobs are fetched. */
async function queue(type: string, count: number): Promise<readonly string[]> {
  await sql`
    select count(*) from herald.queue_events((
      select json_agg(json_build_object('type', ${type}::text)) from generate_series(1, ${count}::int)))`;
  const rows = await sql`
    select i.id from herald.invocations i join herald.triggers t on t.id = i.trigger_id
      where t.type = ${type} order by i.id`;
  const ids = rows.map((row) => row.id as string);
  // Queued in one statement they are due in the same moment, which leaves their order open.
  await sql`
    update graphile_worker._private_jobs j set run_at = now() - (${count}::int - o.place) * interval '1 millisecond'
      from unnest(${sql.array(ids)}::text[]) with ordinality o(key, place)
      where j.key = o.key`;
  return ids;
}

const lock = (ids: readonly string[]) =>
  sql`update graphile_worker._private_jobs set locked_at = now(), locked_by = 'me', attempts = 1 where key = any(${sql.array([...ids])}::text[])`;
const waiters = (ids: readonly string[], id = triggerId) =>
  ids.map((invocationId) => ({ invocationId, triggerId: id }));

/** Due jobs that the queue would fetch, by key. */
async function due(): Promise<readonly string[]> {
  const rows = await sql`
    select key from graphile_worker._private_jobs where is_available and run_at <= now() order by run_at`;
  return rows.map((row) => row.key as string);
}

describe('a line', () => {
  test('takes jobs that are being worked on and jobs that are due, and gives them back in order', async () => {
    const ids = await queue('a', 10);
    const first = ids.slice(0, 2);
    await lock(first);
    await standInLine(db, waiters(first));
    expect(await sweepIntoLine(db, [triggerId])).toBe(8);
    expect(await due()).toEqual([]);
    expect(await findLines(db)).toEqual([triggerId]);
    expect(await callFromLine(db, [{ triggerId, count: 3 }])).toEqual([{ triggerId, called: 3, more: true }]);
    const called = await due();
    expect(called.toSorted()).toEqual([...first, ids[2]].toSorted());
    const [job] = await sql`
      select attempts, max_attempts, payload from graphile_worker._private_jobs where key = ${ids[0] ?? ''}`;
    expect({ ...job }).toEqual({
      attempts: 0,
      max_attempts: 4,
      payload: { invocation: ids[0], turn: true },
    });
    expect(await callFromLine(db, [{ triggerId, count: 100 }])).toEqual([
      { triggerId, called: 7, more: false },
    ]);
    expect(await findLines(db)).toEqual([]);
    // Two of them were re-planned while they were locked; those rows end with their jobs.
    expect(await sql`select from graphile_worker._private_jobs where key is not null`).toHaveLength(10);
  });

  test('leaves other triggers alone, and those that have a turn', async () => {
    await queue('a', 3);
    const others = await queue('b', 3);
    await sweepIntoLine(db, [triggerId]);
    expect((await due()).toSorted()).toEqual([...others].toSorted());
    await callFromLine(db, [{ triggerId, count: 2 }]);
    expect(await sweepIntoLine(db, [triggerId])).toBe(0);
    expect(await due()).toHaveLength(5);
  });

  test('gives the same job to one caller only', async () => {
    await queue('a', 50);
    await queue('b', 50);
    await sweepIntoLine(db, [triggerId, otherId]);
    const calls = [triggerId, otherId].map((id) => ({ triggerId: id, count: 20 }));
    const answers = await Promise.all([
      callFromLine(db, calls),
      callFromLine(db, calls),
      callFromLine(db, calls),
    ]);
    const called = answers.flat().reduce((sum, answer) => sum + answer.called, 0);
    expect(called).toBe((await due()).length);
    expect(called).toBeGreaterThanOrEqual(80);
  });

  test('is not for an invocation that was held or finished meanwhile', async () => {
    const [held = '', finished = ''] = await queue('a', 2);
    await lock([held, finished]);
    await sql`update herald.invocations set status = 'HELD', next_attempt_at = null where id = ${held}`;
    await sql`
      update herald.invocations set status = 'CANCELLED', next_attempt_at = null, finished_at = now() where id = ${finished}`;
    await standInLine(db, waiters([held, finished]));
    const jobs = await sql`
      select key, run_at = 'infinity' as away from graphile_worker._private_jobs where locked_at is null`;
    expect(jobs.map((row) => ({ ...row }))).toEqual([{ key: held, away: true }]);
    expect(await findLines(db)).toEqual([]);
  });

  test('of a paused trigger is not called', async () => {
    await queue('a', 3);
    await sweepIntoLine(db, [triggerId]);
    await sql`update herald.triggers set status = 'PAUSED', status_reason = 'MANUAL'`;
    expect(await callFromLine(db, [{ triggerId, count: 3 }])).toEqual([{ triggerId, called: 0, more: true }]);
  });
});

describe('max_concurrency', () => {
  test('is kept by whoever asks at the same time, and by the line', async () => {
    await sql`update herald.triggers set max_concurrency = 5 where id = ${triggerId}`;
    const ids = await queue('a', 40);
    const asked = [0, 10, 20, 30].map((from) => takeTurns(db, waiters(ids.slice(from, from + 10))));
    const going = (await Promise.all(asked)).flat();
    expect(going.filter(Boolean)).toHaveLength(5);
    const gone = ids.filter((_, index) => going[index]);
    await sweepIntoLine(db, [triggerId]);
    expect(await callFromLine(db, [{ triggerId, count: 10 }])).toEqual([
      { triggerId, called: 0, more: true },
    ]);
    await giveTurnsBack(db, waiters(gone.slice(0, 2)));
    // Nobody passes the line by.
    expect(await takeTurns(db, waiters(gone.slice(0, 1)))).toEqual([false]);
    expect(await callFromLine(db, [{ triggerId, count: 10 }])).toEqual([
      { triggerId, called: 2, more: true },
    ]);
    expect(await callFromLine(db, [{ triggerId, count: 10 }])).toEqual([
      { triggerId, called: 0, more: true },
    ]);
  });

  test('gives a turn back that was given to somebody who is cancelled, or moved, before he takes it', async () => {
    await sql`update herald.triggers set max_concurrency = 1 where id = ${triggerId}`;
    const [first = '', second = '', third = ''] = await queue('a', 3);
    await sweepIntoLine(db, [triggerId]);
    const call = async () => (await callFromLine(db, [{ triggerId, count: 3 }]))[0]?.called;
    const one = (id: string, more = raw``) =>
      raw`select i.id, i.status, i.next_attempt_at ${more} from herald.invocations i where i.id = ${id} for update`;
    expect([await call(), await call()]).toEqual([1, 0]);
    expect(await inTransaction(db, (tx) => cancel(tx, one(first)))).toBe(1);
    expect([await call(), await call()]).toEqual([1, 0]);
    const to = { set: raw`next_attempt_at = now() + interval '1 hour'`, runAt: raw`m.next_attempt_at` };
    await inTransaction(db, (tx) => move(tx, one(second, raw`, 1 as place`), to));
    expect([await call(), await call()]).toEqual([1, 0]);
    // One that takes it keeps it to the end of its attempt, whatever becomes of the invocation.
    await lock([third]);
    expect(await inTransaction(db, (tx) => cancel(tx, one(third)))).toBe(1);
    expect(await sql`select from herald.turns`).toHaveLength(1);
  });

  test('gives a turn back that its process took along when it died: after the attempt’s deadline', async () => {
    await sql`update herald.triggers set max_concurrency = 1 where id = ${triggerId}`;
    const [first = '', second = ''] = await queue('a', 2);
    expect(await takeTurns(db, waiters([first]))).toEqual([true]);
    expect(await takeTurns(db, waiters([second]))).toEqual([false]);
    const [turn] = await sql`select extract(epoch from until - now())::float8 as seconds from herald.turns`;
    expect(turn?.seconds).toBeGreaterThan(10);
    expect(turn?.seconds).toBeLessThan(16);
    await sql`update herald.turns set until = now()`;
    expect(await takeTurns(db, waiters([second]))).toEqual([true]);
  });
});

describe('max_per_minute', () => {
  test('starts one at a time, and plans the line evenly', async () => {
    await sql`update herald.triggers set max_per_minute = 600 where id = ${triggerId}`;
    const ids = await queue('a', 30);
    const startedAt = performance.now();
    const going = (await Promise.all(ids.map((id) => takeTurns(db, waiters([id]))))).flat();
    const tookMs = performance.now() - startedAt;
    expect(going.filter(Boolean).length).toBeGreaterThanOrEqual(1);
    // 100 ms apart; one at once, and one that may be a little early.
    expect(going.filter(Boolean).length).toBeLessThanOrEqual(tookMs / 100 + 2);
    await sweepIntoLine(db, [triggerId]);
    const [answer] = await callFromLine(db, [{ triggerId, count: 100 }]);
    expect(answer?.called).toBeGreaterThanOrEqual(10);
    expect(answer?.called).toBeLessThanOrEqual(20);
    const gaps = await sql`
      select round(extract(epoch from run_at - lag(run_at) over (order by run_at)) * 1000)::int as ms
        from graphile_worker._private_jobs where payload ->> 'turn' = 'true' order by run_at`;
    expect(new Set(gaps.slice(1).map((row) => row.ms as number))).toEqual(new Set([100]));
    // Two seconds ahead and no further, so that a change of the limit soon holds.
    const [again] = await callFromLine(db, [{ triggerId, count: 100 }]);
    expect(again?.called).toBeLessThanOrEqual(1);
  });

  test('of one a minute lets the second wait for its minute', async () => {
    await sql`update herald.triggers set max_per_minute = 1 where id = ${triggerId}`;
    const ids = await queue('a', 2);
    expect(await takeTurns(db, waiters(ids))).toEqual([true, false]);
    await sweepIntoLine(db, [triggerId]);
    expect(await callFromLine(db, [{ triggerId, count: 5 }])).toEqual([{ triggerId, called: 0, more: true }]);
  });

  test('limits that were taken away limit nobody', async () => {
    const ids = await queue('a', 3);
    expect(await takeTurns(db, waiters(ids))).toEqual([true, true, true]);
  });
});
