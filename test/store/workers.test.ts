/** Who is dead, and what becomes of the jobs: with sessions that play the processes. */
import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type Database,
  type DatabaseAddress,
  inTransaction,
  openClient,
  openDatabase,
} from '../../src/store/database.ts';
import { cancelInvocation } from '../../src/store/manual-changes.ts';
import { postponeJobs } from '../../src/store/postponements.ts';
import { findOrphans, handBackJobs, markBegun, rescueJobs } from '../../src/store/rescue.ts';
import { type Settlement, settle } from '../../src/store/settlements.ts';
import { markRunning } from '../../src/store/starts.ts';
import { beat, signOff } from '../../src/store/workers.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { insertTrigger } from '../support/trigger-row.ts';
import { until } from '../support/until.ts';

let address: DatabaseAddress;
let sql: postgres.Sql;
let db: Database;
let watcher: postgres.Sql;
beforeAll(async () => {
  const database = await createTestDatabase();
  const { url: _, ...rest } = database;
  address = rest;
  sql = openSql(database);
  db = openDatabase(address, { name: 'workers', max: 4 });
  watcher = openClient(address, { name: 'watcher', max: 1, permanent: true });
  await insertTrigger(sql);
});
afterAll(() => Promise.all([sql.end(), db.$client.end(), watcher.end()]));
beforeEach(async () => {
  await sql`truncate herald.events, herald.invocations, herald.attempts, herald.workers, graphile_worker._private_jobs`;
});

/** A process called `poolId` that has locked `count` jobs. */
async function startProcess(poolId: string, count = 1) {
  const life = openClient(address, { name: poolId, max: 1, permanent: true });
  await beat(life, [poolId]);
  const queued = await sql`
    select invocations -> 0 ->> 'id' as id
      from herald.queue_events((select json_agg(json_build_object('type', 'a')) from generate_series(1, ${count}::int)))`;
  await lock(poolId);
  const ids = queued.map(({ id }) => String(id));
  return { life, ids, invocationId: ids[0] ?? '' };
}

/** What graphile-worker does when it fetches everything. */
async function lock(poolId: string): Promise<void> {
  await sql`
    update graphile_worker._private_jobs set locked_by = ${poolId}, locked_at = now(), attempts = attempts + 1
      where locked_by is null`;
}

async function jobOf(invocationId: string) {
  const [job] = await sql`
    select id, locked_by, attempts, run_at <= now() as due, payload from graphile_worker._private_jobs
      where key = ${invocationId}`;
  return job === undefined ? null : { ...job };
}

/** What a peer sees of `poolId`, made into a suspicion. */
async function suspect(poolId: string, unlocked = false) {
  const { peers } = await beat(watcher, []);
  const seen = peers.find((peer) => peer.poolId === poolId);
  return { poolId, beat: seen?.beat ?? null, unlocked };
}

const attempt = () => ({
  id: randomUUID(),
  cause: 'INITIAL' as const,
  url: 'http://127.0.0.1:9/',
  headers: [],
  bodySize: 2,
  contentMode: 'JSON' as const,
  specVersion: '1.0' as const,
});
const delivered = {
  errorCode: null,
  errorMessage: null,
  response: null,
  timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: 1, totalMs: 1 },
};

describe('beat', () => {
  test('says who is there, whether it holds its lock, and how long ago it beat', async () => {
    const { life } = await startProcess('pool-a');
    const first = await beat(watcher, ['pool-b']);
    expect(first.fresh).toEqual(['pool-b']);
    expect(first.peers).toMatchObject([{ poolId: 'pool-a', locked: true }]);
    await beat(life, ['pool-a']);
    const second = await beat(watcher, ['pool-b']);
    expect(second.fresh).toEqual([]);
    expect(second.session).toBe(first.session);
    expect(second.peers[0]?.beat).not.toBe(first.peers[0]?.beat);
    expect(second.peers[0]?.ageMs).toBeLessThan(1000);
    await life.end();
    await until(async () => !(await beat(watcher, ['pool-b'])).peers[0]?.locked, 'the lock to go');
    await signOff(watcher, 'pool-b');
    await sql`select pg_advisory_unlock_all()`;
  });

  test('takes the lock again after the connection was cut, and tells the session apart', async () => {
    const { life } = await startProcess('pool-cut');
    const { session } = await beat(life, ['pool-cut']);
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pool-cut'`;
    const again = await until(() => beat(life, ['pool-cut']).catch(() => null), 'the connection');
    expect(again.session).not.toBe(session);
    expect(again.fresh).toEqual([]);
    expect((await beat(watcher, [])).peers).toMatchObject([{ poolId: 'pool-cut', locked: true }]);
    await life.end();
  });

  test('signing off leaves a worker that has jobs to be rescued', async () => {
    const { life } = await startProcess('pool-leaving');
    await signOff(life, 'pool-leaving');
    expect(await sql`select from herald.workers`).toHaveLength(1);
    await handBackJobs(db, 'pool-leaving', []);
    await signOff(life, 'pool-leaving');
    expect(await sql`select from herald.workers`).toHaveLength(0);
    await life.end();
  });
});

describe('rescueJobs', () => {
  test('leaves alone whoever beat since, or has its lock again', async () => {
    const { life, invocationId } = await startProcess('pool-living');
    const stale = await suspect('pool-living');
    expect(await rescueJobs(db, [{ ...stale, unlocked: true }])).toEqual({ workers: 0, jobs: 0 });
    await until(async () => {
      await beat(life, ['pool-living']);
      return (await suspect('pool-living')).beat !== stale.beat;
    }, 'the heart to move');
    expect(await rescueJobs(db, [stale])).toEqual({ workers: 0, jobs: 0 });
    expect(await jobOf(invocationId)).toMatchObject({ locked_by: 'pool-living' });
    await life.end();
  });

  test('of two rescuers at once, one wins; the attempt is given back, and what had only been fetched is not shown', async () => {
    const { life, invocationId } = await startProcess('pool-dead');
    const seen = await suspect('pool-dead', true);
    await life.end();
    await until(async () => !(await beat(watcher, [])).peers[0]?.locked, 'the lock to go');
    const both = await Promise.all([rescueJobs(db, [seen]), rescueJobs(db, [seen])]);
    expect(both.map(({ workers }) => workers).sort()).toEqual([0, 1]);
    expect(await jobOf(invocationId)).toMatchObject({ locked_by: null, attempts: 0, due: true });
    expect(await sql`select from herald.workers`).toHaveLength(0);
    expect(await sql`select from herald.attempts`).toHaveLength(0);
    expect(await sql`select status, attempt_count from herald.invocations`).toMatchObject([
      { status: 'PENDING', attempt_count: 0 },
    ]);
  });

  test('a zombie is told that it was buried; its late result is discarded, its attempt stays ABANDONED and costs no retry', async () => {
    const { life, invocationId } = await startProcess('pool-zombie');
    const zombie = attempt();
    await markRunning(db, [{ invocationId, attemptsBefore: 0, elapsedMs: 500, attempt: zombie }]);
    await rescueJobs(db, [await suspect('pool-zombie')]);
    expect((await beat(life, ['pool-zombie'])).fresh).toEqual(['pool-zombie']);

    const successor = attempt();
    await markRunning(db, [{ invocationId, attemptsBefore: 1, elapsedMs: 500, attempt: successor }]);
    const late: Settlement = {
      invocationId,
      attemptsBefore: 0,
      decision: { kind: 'GIVE_UP', reason: 'RETRIES_EXHAUSTED' },
      attempt: { ...zombie, outcome: { ...delivered, errorCode: 'TIMEOUT', errorMessage: 'late' } },
    };
    expect(await settle(db, [late])).toEqual(['OVERTAKEN']);
    const last: Settlement = {
      invocationId,
      attemptsBefore: 1,
      decision: { kind: 'SUCCEED' },
      attempt: { ...successor, outcome: delivered },
    };
    expect(await settle(db, [last])).toEqual(['DONE']);
    const attempts = await sql`select number, status, error_code from herald.attempts order by number`;
    expect(attempts.map((row) => ({ ...row }))).toEqual([
      { number: 1, status: 'ABANDONED', error_code: 'WORKER_LOST' },
      { number: 2, status: 'SUCCEEDED', error_code: null },
    ]);
    const [invocation] = await sql`select status, attempt_count, max_attempts from herald.invocations`;
    expect({ ...invocation }).toEqual({ status: 'SUCCEEDED', attempt_count: 2, max_attempts: 5 });
    await life.end();
  });

  test('an attempt whose invocation was cancelled meanwhile is ABANDONED with its process, and the invocation stays as it is', async () => {
    const { life, invocationId } = await startProcess('pool-cancelled');
    await markRunning(db, [{ invocationId, attemptsBefore: 0, elapsedMs: 500, attempt: attempt() }]);
    await inTransaction(db, (tx) => cancelInvocation(tx, invocationId));
    await rescueJobs(db, [await suspect('pool-cancelled')]);
    expect(await sql`select number, status, error_code from herald.attempts`).toMatchObject([
      { number: 1, status: 'ABANDONED', error_code: 'WORKER_LOST' },
    ]);
    expect(await sql`select status, attempt_count, max_attempts from herald.invocations`).toMatchObject([
      { status: 'CANCELLED', attempt_count: 1, max_attempts: 4 },
    ]);
    expect(await jobOf(invocationId)).toMatchObject({ locked_by: null, due: true });
    await life.end();
  });

  test('an event that is lost again and again while shown costs its retries in the end', async () => {
    const { life, invocationId } = await startProcess('pool-poisoned');
    for (let lost = 0; lost < 10; lost++) {
      const [row] = await sql`select attempt_count, status from herald.invocations`;
      if (row?.status === 'FAILED') break;
      const start = {
        invocationId,
        attemptsBefore: row?.attempt_count as number,
        elapsedMs: 500,
        attempt: attempt(),
      };
      await markRunning(db, [start]);
      await lock('pool-poisoned');
      await beat(life, ['pool-poisoned']);
      await rescueJobs(db, [await suspect('pool-poisoned')]);
    }
    const [invocation] =
      await sql`select status, failure_reason, last_error_code, attempt_count from herald.invocations`;
    expect({ ...invocation }).toEqual({
      status: 'FAILED',
      failure_reason: 'WORKER_LOST',
      last_error_code: 'WORKER_LOST',
      // Three that were free, and the four that the trigger's retries allow.
      attempt_count: 7,
    });
    await life.end();
  });

  test('jobs that were only in dead hands are counted, never shown; one that was marked as begun is guilty', async () => {
    const { life, ids } = await startProcess('pool-killed', 3);
    const [guilty = '', ...innocent] = ids;
    for (let death = 1; death <= 2; death++) {
      await rescueJobs(db, [await suspect('pool-killed')]);
      for (const id of ids) expect((await jobOf(id))?.payload).toEqual({ invocation: id, lost: death });
      await beat(life, ['pool-killed']);
      await lock('pool-killed');
    }
    for (let death = 1; death <= 7; death++) {
      expect(await markBegun(db, 'somebody-else', (await jobOf(guilty))?.id)).toBe(false);
      expect(await markBegun(db, 'pool-killed', (await jobOf(guilty))?.id)).toBe(true);
      await rescueJobs(db, [await suspect('pool-killed')]);
      const [row] =
        await sql`select status, attempt_count, max_attempts from herald.invocations where id = ${guilty}`;
      expect({ ...row }).toEqual({
        status: death < 7 ? 'RETRYING' : 'FAILED',
        attempt_count: death,
        max_attempts: 4 + Math.min(death, 3),
      });
      // It waits a little longer each time, so that others get by.
      expect((await jobOf(guilty))?.due).toBe(death === 7);
      await beat(life, ['pool-killed']);
      await lock('pool-killed');
    }
    const attempts =
      await sql`select invocation_id, number, status, error_code from herald.attempts order by number`;
    expect(attempts.map((row) => ({ ...row }))).toEqual(
      Array.from({ length: 7 }, (_, n) => ({
        invocation_id: guilty,
        number: n + 1,
        status: 'ABANDONED',
        error_code: 'WORKER_LOST',
      })),
    );
    for (const id of innocent) {
      const [row] =
        await sql`select status, attempt_count, max_attempts from herald.invocations where id = ${id}`;
      expect({ ...row }).toEqual({ status: 'PENDING', attempt_count: 0, max_attempts: 4 });
    }
    await life.end();
  });

  test('a mark of an earlier run proves nothing; putting a job off keeps the count of its losses', async () => {
    const { life, invocationId } = await startProcess('pool-old-mark');
    await rescueJobs(db, [await suspect('pool-old-mark')]);
    await lock('pool-old-mark');
    await markBegun(db, 'pool-old-mark', (await jobOf(invocationId))?.id);
    // That run failed in the ordinary way, and the job was fetched anew.
    await sql`update graphile_worker._private_jobs set locked_by = null, locked_at = null`;
    await lock('pool-old-mark');
    await beat(life, ['pool-old-mark']);
    await rescueJobs(db, [await suspect('pool-old-mark')]);
    expect(await sql`select from herald.attempts`).toHaveLength(0);
    await lock('pool-old-mark');
    await markBegun(db, 'pool-old-mark', (await jobOf(invocationId))?.id);
    await postponeJobs(db, [{ invocationId, delayMs: 0, keepsTurn: true }]);
    expect((await jobOf(invocationId))?.payload).toEqual({ invocation: invocationId, lost: 2 });
    await life.end();
  });
});

test('what has not begun is handed back as if it had never been fetched', async () => {
  const { life, ids } = await startProcess('pool-draining', 3);
  const begun = await jobOf(ids[1] ?? '');
  expect(await handBackJobs(db, 'pool-draining', [String(begun?.id)])).toBe(2);
  const jobs = await Promise.all(ids.map(jobOf));
  expect(jobs.map((job) => [job?.locked_by, job?.attempts])).toEqual([
    [null, 0],
    ['pool-draining', 1],
    [null, 0],
  ]);
  await life.end();
});

test('jobs of a process that never signed on, or whose row is lost, are found after a moment and freed; a living one is spared', async () => {
  const gone = await startProcess('p-gone');
  await gone.life.end();
  await sql`delete from herald.workers where pool_id = 'p-gone'`;
  expect(await findOrphans(db)).toEqual([]);
  await sql`update graphile_worker._private_jobs set locked_at = now() - interval '6 seconds'`;
  const orphans = await findOrphans(db);
  expect(orphans.map(({ poolId }) => poolId)).toEqual(['p-gone']);

  await beat(watcher, ['p-gone']);
  expect(await rescueJobs(db, orphans)).toEqual({ workers: 0, jobs: 0 });
  await sql`delete from herald.workers where pool_id = 'p-gone'`;
  expect(await rescueJobs(db, orphans)).toEqual({ workers: 0, jobs: 1 });
  expect(await jobOf(gone.invocationId)).toMatchObject({ locked_by: null, attempts: 0, due: true });
});

test('a job that was replaced while it ran, and whose write-off was lost, goes', async () => {
  const { life } = await startProcess('p-replaced', 2);
  const [kept] = await sql`select id::text from graphile_worker._private_jobs order by id limit 1`;
  await sql`update graphile_worker._private_jobs set key = null, attempts = max_attempts`;
  await handBackJobs(db, 'p-replaced', [String(kept?.id)]);
  const left = await sql`select id::text from graphile_worker._private_jobs`;
  expect(left.map(({ id }) => id)).toEqual([kept?.id]);
  await life.end();
});
