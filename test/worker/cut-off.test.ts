/** A whole process that loses its database without a word. */
import { expect, test } from 'vitest';
import { createTrigger } from '../support/app.ts';
import { startProxy, through } from '../support/proxy.ts';
import { startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { openWorkers } from './processes.ts';

test('a process that is cut off from the database begins nothing more, and others take over', async () => {
  await using workers = await openWorkers();
  await using receiver = await startReceiver();
  await using proxy = await startProxy(workers.app.database);
  const cutOff = await workers.start({ DATABASE_URL: through(proxy, workers.app.database) });
  await createTrigger(workers.app, { type: 'cut', url: receiver.url });
  await workers.queue('cut', 5);
  await until(
    async () => (await workers.standing('cut')).invocations.SUCCEEDED === 5,
    'the first to be recorded',
  );
  proxy.mode = 'SILENT';
  await until(() => /heartbeat failed/.test(cutOff.output()), 'the heart to notice');
  await workers.start();
  await workers.queue('cut', 20);
  await until(
    async () => (await workers.standing('cut')).invocations.SUCCEEDED === 25,
    'the other one to do it',
  );
  expect(receiver.deliveries).toHaveLength(25);
  proxy.mode = 'OPEN';
  // The network is back and knows nothing of the old connections.
  proxy.cut();
  workers.all[1]?.child.kill('SIGTERM');
  await workers.all[1]?.exited();
  await workers.queue('cut', 5);
  await until(async () => (await workers.standing('cut')).invocations.SUCCEEDED === 30, 'it to work again');
  expect(receiver.deliveries).toHaveLength(30);
  cutOff.child.kill('SIGTERM');
  expect(await cutOff.exited()).toEqual({ code: 0, signal: null });
}, 90_000);
