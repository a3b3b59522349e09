/** Who is dead, and what becomes of the jobs: with two sessions that play the processes. */
import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Database, type DatabaseAddress, openClient, openDatabase } from '../../src/store/database.ts';
import { markRunning, type Settlement, settle } from '../../src/store/settlements.ts';
import { keepWorkerAlive, registerWorker, rescueJobs } from '../../src/store/workers.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { until } from '../support/until.ts';

let address: DatabaseAddress;
let sql: postgres.Sql;
let db: Database;
beforeAll(async () => {
  const database = await createTestDatabase();
  const { url: _, ...rest } = database;
  address = rest;
  sql = openSql(database);
  db = openDatabase(address, { name: 'workers', max: 4 });
  await sql`
    insert into herald.triggers (id, project, name, type, url, retries, timeout_ms, content_mode, spec_version, headers)
    values (herald.uuid_v7(), 'default', 't', 'a', 'http://127.0.0.1:9/', 3, 5000, 'JSON', '1.0', '[]')`;
});
afterAll(() => Promise.all([sql.end(), db.$client.end()]));
beforeEach(async () => {
  await sql`truncate herald.events, herald.invocations, herald.attempts, herald.workers, graphile_worker._private_jobs`;
});

/** A process called `poolId` that has locked one job. */
async function startProcess(poolId: string) {
  const life = openClient(address, { name: poolId, max: 1, permanent: true });
  await registerWorker(life, poolId);
  const [queued] =
    await sql`select invocations -> 0 ->> 'id' as id from herald.queue_events('[{"type":"a"}]'::json)`;
  const invocationId = queued?.id as string;
  await sql`
    update graphile_worker._private_jobs set locked_by = ${poolId}, locked_at = now(), attempts = 1
      where key = ${invocationId}`;
  return { life, invocationId };
}

async function jobOf(invocationId: string) {
  const [job] = await sql`
    select locked_by, attempts, run_at <= now() as due from graphile_worker._private_jobs where key = ${invocationId}`;
  return job === undefined ? null : { ...job };
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
const FREE = { locked_by: null, attempts: 0, due: true };

describe('rescueJobs', () => {
  test('leaves the living alone', async () => {
    const { life, invocationId } = await startProcess('pool-living');
    expect(await rescueJobs(db)).toEqual({ workers: 0, jobs: 0 });
    expect(await jobOf(invocationId)).toMatchObject({ locked_by: 'pool-living' });
    await life.end();
  });

  test('frees the jobs of one whose session has ended, and gives the attempt back', async () => {
    const { life, invocationId } = await startProcess('pool-dead');
    await life.end();
    await until(async () => (await rescueJobs(db)).jobs === 1, 'the rescue');
    expect(await jobOf(invocationId)).toEqual(FREE);
    expect(await sql`select from herald.workers`).toHaveLength(0);
  });

  test('frees the jobs of one that stopped reporting although its lock is held; it is back with its next report', async () => {
    const { life, invocationId } = await startProcess('pool-stopped');
    await sql`update herald.workers set heartbeat_at = now() - interval '1 minute'`;
    expect(await rescueJobs(db)).toEqual({ workers: 1, jobs: 1 });
    expect(await jobOf(invocationId)).toEqual(FREE);
    await keepWorkerAlive(life, 'pool-stopped');
    expect(
      await sql`select from herald.workers where heartbeat_at > now() - interval '5 seconds'`,
    ).toHaveLength(1);
    expect(await rescueJobs(db)).toEqual({ workers: 0, jobs: 0 });
    await life.end();
  });

  test('the lock is taken again after the connection was cut', async () => {
    const { life } = await startProcess('pool-cut');
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pool-cut'`;
    await until(
      () =>
        keepWorkerAlive(life, 'pool-cut').then(
          () => true,
          () => false,
        ),
      'the connection',
    );
    expect(await rescueJobs(db)).toEqual({ workers: 0, jobs: 0 });
    await life.end();
  });

  test('a zombie’s late result is discarded; its attempt stays ABANDONED and costs no retry', async () => {
    const { life, invocationId } = await startProcess('pool-zombie');
    const zombie = attempt();
    await markRunning(db, [{ invocationId, attemptsBefore: 0, elapsedMs: 500, attempt: zombie }]);
    await sql`update herald.workers set heartbeat_at = now() - interval '1 minute'`;
    await rescueJobs(db);

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

  test('an event that is lost again and again costs its retries in the end', async () => {
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
      await sql`update graphile_worker._private_jobs set locked_by = 'pool-poisoned', locked_at = now()`;
      await keepWorkerAlive(life, 'pool-poisoned');
      await sql`update herald.workers set heartbeat_at = now() - interval '1 minute'`;
      await rescueJobs(db);
    }
    const [invocation] =
      await sql`select status, failure_reason, last_error_code, attempt_count from herald.invocations`;
    expect({ ...invocation }).toEqual({
      status: 'FAILED',
      failure_reason: 'RETRIES_EXHAUSTED',
      last_error_code: 'WORKER_LOST',
      // Three that were free, and the four that the trigger's retries allow.
      attempt_count: 7,
    });
    await life.end();
  });
});
