/** The waker on a real queue, whose jobs are taken here instead of by graphile-worker. */
import { expect, test } from 'vitest';
import { openDatabase } from '../../src/store/database.ts';
import { readNextDue } from '../../src/store/workers.ts';
import { createWaker } from '../../src/worker/waker.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { until } from '../support/until.ts';

test('a job that falls due just after the fetch it was woken for is fetched without waiting for the poll', async () => {
  const database = await createTestDatabase();
  await using sql = openSql(database);
  const { url: _, ...address } = database;
  const db = openDatabase(address, { name: 'waker', max: 2 });
  let looks = 0;
  const isTaken = async () =>
    looks > 0 && (await sql`select from graphile_worker._private_jobs`).length === 0;
  let wakeUps = 0;
  const waker = createWaker({
    announcements: { hear: () => () => {} },
    readNextDue: async (since) => {
      if (looks === 0) {
        await sql`select graphile_worker.add_job('deliver', '{}', run_at => now() + interval '300 milliseconds')`;
      }
      // The look that follows the fetch comes after the due time, and would find nothing in the future.
      if (looks === 1) {
        await until(
          async () =>
            (await sql`select from graphile_worker._private_jobs where run_at <= now()`).length === 1,
          'the job to be due',
        );
      }
      looks++;
      return readNextDue(db, since);
    },
    wake: () => {
      wakeUps++;
      // The second fetch, at the due time, comes a moment too early, as one does whose clock is a little behind. (The
      // first follows the first look, and would take the job where that look took longer than the job's wait.)
      if (wakeUps !== 2) void sql`delete from graphile_worker._private_jobs where run_at <= now()`.execute();
    },
  });
  await until(isTaken, 'the job to be taken', 5000);
  expect(wakeUps).toBeLessThan(5);
  waker.stop();
  await db.$client.end();
});
