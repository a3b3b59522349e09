/** An event that kills whoever delivers it (F05), again and again. */
import { expect, test } from 'vitest';
import { createTrigger } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { openWorkers } from './processes.ts';

test('an event that kills its worker at once ends as FAILED; its neighbours are delivered, none is blamed', async () => {
  await using workers = await openWorkers();
  await using receiver = await startReceiver();
  receiver.answer = ({ text }, res) => {
    // What an event that crashes the process looks like from outside: it dies before it can record anything.
    if (text.includes('"data":7')) workers.all.at(-1)?.child.kill('SIGKILL');
    else setTimeout(() => res.writeHead(204).end(), 30);
  };
  await createTrigger(workers.app, { type: 'poison', url: receiver.url, retries: 0 });
  await workers.queue('poison', 15);
  let deaths = 0;
  for (; deaths < 15; deaths++) {
    const killer = workers.spawn();
    const ended = killer.exited();
    const done = until(
      async () => {
        const { invocations } = await workers.standing('poison');
        return killer.child.killed || (invocations.SUCCEEDED === 14 && invocations.FAILED === 1);
      },
      'the end of the worker or of the work',
      30_000,
    );
    await Promise.race([ended, done]);
    if (!killer.child.killed) break;
    await ended;
  }
  const { invocations, attempts } = await workers.standing('poison');
  expect(invocations).toEqual({ SUCCEEDED: 14, FAILED: 1 });
  expect(attempts.SUCCEEDED).toBe(14);
  // Twice unknown, three times for nothing, once for its only attempt.
  expect(deaths).toBe(6);
  await using sql = openSql(workers.app.database);
  const [failed] = await sql`
    select i.failure_reason, i.attempt_count from herald.invocations i where i.status = 'FAILED'`;
  expect({ ...failed }).toEqual({ failure_reason: 'WORKER_LOST', attempt_count: 4 });
  expect(attempts.ABANDONED).toBe(4);
}, 120_000);
