/** The heart against a real database: who signs on during a beat waits for the next one, which follows at once. */
import { expect, test } from 'vitest';
import { createLog } from '../../src/log.ts';
import { createHeart } from '../../src/worker/heart.ts';
import { createTestDatabase } from '../support/database.ts';

test('a queue that begins during a beat is signed on right after it', async () => {
  const { url: _, ...address } = await createTestDatabase();
  const renewed = Promise.withResolvers<number>();
  let firstBeatAt = Number.NaN;
  const heart = createHeart({
    address,
    log: createLog('silent'),
    onDead: () => {},
    onChange: () => {
      firstBeatAt = performance.now();
    },
    onBuried: () => {},
    loadOf: () => ({ running: 0, concurrency: 1 }),
  });
  try {
    // The first beat is under way, without it.
    heart.add('pool', { renew: renewed.resolve, end: () => {}, confirm: () => false });
    const askedAt = await renewed.promise;
    expect(askedAt).toBeGreaterThanOrEqual(firstBeatAt);
    // Nothing lies between but this process' own next step; beats are a second apart otherwise.
    expect(askedAt - firstBeatAt).toBeLessThan(250);
  } finally {
    await heart.stop();
  }
});
