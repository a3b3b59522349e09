/** Whole processes that stop, come back, or leave: what their peers do about it. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createTrigger } from '../support/app.ts';
import { startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { openWorkers, type Workers } from './processes.ts';

let workers: Workers;
beforeAll(async () => {
  workers = await openWorkers();
});
afterEach(() => workers.end());
afterAll(() => workers[Symbol.asyncDispose]());

test('a stopped process is taken over within 5 s, also what it had only fetched; awake again it repeats nothing', async () => {
  await using receiver = await startReceiver();
  // The first requests hang, so that the process is stopped with attempts in flight and jobs at hand.
  const held = new Map<string, () => void>();
  let holding = true;
  receiver.answer = ({ headers }, res) => {
    const answer = () => void res.writeHead(204).end();
    if (holding) held.set(String(headers['webhook-id']), answer);
    else answer();
  };
  await createTrigger(workers.app, { type: 'stopped', url: receiver.url, timeout: 60_000 });
  const zombie = await workers.start();
  await workers.queue('stopped', 40);
  await until(
    async () => ((await workers.standing('stopped')).attempts.RUNNING ?? 0) >= 10,
    'attempts to be shown',
  );
  await workers.start();
  zombie.child.kill('SIGSTOP');
  const stoppedAt = performance.now();
  holding = false;
  // Some may be the other process' already. The stopped one reads its answers when it is awake again: too late.
  for (const answer of held.values()) answer();
  await until(
    () =>
      [...held.keys()].some(
        (id) => receiver.deliveries.filter((one) => one.headers['webhook-id'] === id).length > 1,
      ),
    'the first to be taken over',
  );
  // 5 s are promised; the rest is for a machine that does other things too.
  expect(performance.now() - stoppedAt).toBeLessThan(6500);
  await until(async () => (await workers.standing('stopped')).invocations.SUCCEEDED === 40, 'all to succeed');
  zombie.child.kill('SIGCONT');
  await until(() => /taken for dead/.test(zombie.output()), 'the zombie to hear of it');
  await workers.queue('stopped', 10);
  await until(
    async () => (await workers.standing('stopped')).invocations.SUCCEEDED === 50,
    'new work to be done',
  );
  // Only what was in flight when it stopped came twice.
  const times = Map.groupBy(receiver.deliveries, ({ headers }) => String(headers['webhook-id']));
  const repeated = [...times].filter(([, all]) => all.length > 1);
  expect(times.size).toBe(50);
  expect(repeated.every(([id, all]) => all.length === 2 && held.has(id))).toBe(true);
  const { attempts } = await workers.standing('stopped');
  expect(attempts.SUCCEEDED).toBe(50);
  expect(attempts.ABANDONED).toBeGreaterThan(0);
  for (const worker of workers.all) {
    worker.child.kill('SIGTERM');
    expect(await worker.exited()).toEqual({ code: 0, signal: null });
  }
}, 60_000);

test('SIGTERM with 100 slow attempts in flight: not ready at once, they end, a peer does the rest, nothing comes twice', async () => {
  await using receiver = await startReceiver();
  const held: (() => void)[] = [];
  receiver.answer = (_, res) => void held.push(() => res.writeHead(204).end());
  await createTrigger(workers.app, { type: 'drained', url: receiver.url, timeout: 60_000 });
  const leaving = await workers.start({ CONCURRENCY: '200', SHUTDOWN_SECONDS: '60' });
  await workers.queue('drained', 100);
  await receiver.received(100);
  await workers.start();
  receiver.answer = (_, res) => void res.writeHead(204).end();
  const [, url] = /ready after .* at (http:\S+)/.exec(leaving.output()) ?? [];
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  leaving.child.kill('SIGTERM');
  await until(async () => (await fetch(`${url}/readyz`)).status === 503, 'it to say that it leaves', 2000);
  await workers.queue('drained', 50);
  await until(
    async () => (await workers.standing('drained')).invocations.SUCCEEDED === 50,
    'the peer',
    10_000,
  );
  // Longer than a silent process is left alone: one that leaves goes on beating.
  expect((await workers.standing('drained')).attempts.ABANDONED).toBeUndefined();
  for (const answer of held) answer();
  expect(await leaving.exited()).toEqual({ code: 0, signal: null });
  await until(async () => (await workers.standing('drained')).invocations.SUCCEEDED === 150, 'all');
  expect(receiver.deliveries).toHaveLength(150);
  expect((await workers.standing('drained')).attempts).toEqual({ SUCCEEDED: 150 });
}, 60_000);

test('a second SIGTERM ends it now, and what was in flight is with others within 5 s', async () => {
  await using receiver = await startReceiver();
  receiver.answer = () => {};
  await createTrigger(workers.app, { type: 'impatient', url: receiver.url, timeout: 60_000 });
  const leaving = await workers.start();
  await workers.queue('impatient', 3);
  await until(
    async () => (await workers.standing('impatient')).attempts.RUNNING === 3,
    'attempts to be shown',
  );
  await workers.start();
  leaving.child.kill('SIGTERM');
  const again = setInterval(() => leaving.child.kill('SIGTERM'), 100);
  expect((await leaving.exited()).code).toBe(1);
  const endedAt = performance.now();
  clearInterval(again);
  await receiver.received(6);
  expect(performance.now() - endedAt).toBeLessThan(5000);
}, 60_000);
