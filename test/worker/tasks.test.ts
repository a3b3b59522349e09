import type { JobHelpers } from 'graphile-worker';
import { expect, test } from 'vitest';
import type { Database } from '../../src/store/database.ts';
import { createLease } from '../../src/worker/lease.ts';
import { createSuspectLane } from '../../src/worker/suspects.ts';
import { createTasks, DELIVER } from '../../src/worker/tasks.ts';

test('a delivery begins, and asks for its trigger’s share, once the process may begin anything', async () => {
  const lease = createLease();
  let delivering = 0;
  const tasks = createTasks(
    {
      deliver: async ({ mayBegin }) => {
        delivering++;
        return (await mayBegin()) ? 'DONE' : 'RETRY';
      },
      db: {} as Database,
      suspects: createSuspectLane(),
    },
    { lease, atWork: new Set(), begun: new Set(), emptied: () => {} },
  );
  const run = () =>
    tasks[DELIVER]?.({}, {
      job: { id: '1', payload: { invocation: crypto.randomUUID() }, attempts: 1, max_attempts: 2 },
    } as unknown as JobHelpers);
  const first = run();
  await new Promise(setImmediate);
  expect(delivering).toBe(0);
  lease.renew(performance.now());
  await first;
  expect(delivering).toBe(1);
  lease.end();
  await expect(run()).rejects.toThrow('retried');
  expect(delivering).toBe(1);
});
