import { expect, test } from 'vitest';
import { createSuspectLane } from '../../src/worker/suspects.ts';
import { until } from '../support/until.ts';

test('one after another; one that lasts lets the next one in; many are put off', async () => {
  const lane = createSuspectLane();
  const running = new Set<number>();
  const ends = Array.from({ length: 21 }, () => Promise.withResolvers<void>());
  const runs = ends.map(({ promise }, n) =>
    lane.run(async () => {
      running.add(n);
      await promise;
      running.delete(n);
    }),
  );
  await until(() => running.size === 1, 'the first');
  expect([...running]).toEqual([0]);
  expect(lane.delayMs()).toBeGreaterThan(0);
  ends[0]?.resolve();
  await runs[0];
  await until(() => running.has(1), 'the second');
  expect([...running]).toEqual([1]);
  expect(lane.delayMs()).toBeNull();
  await until(() => running.has(2), 'the third, beside the second that takes its time');
  expect([...running]).toEqual([1, 2]);
  for (const { resolve } of ends) resolve();
  await Promise.all(runs);
});

test('one that fails does not hold up the next', async () => {
  const lane = createSuspectLane();
  const failed = lane.run(() => Promise.reject(new Error('no')));
  expect(await lane.run(async () => 'yes')).toBe('yes');
  await expect(failed).rejects.toThrow('no');
});
