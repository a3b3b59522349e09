import { describe, expect, test, vi } from 'vitest';
import { createShares, type Entry } from '../../src/actions/shares.ts';

/** Asks `count` times; the answers that come at once. */
async function ask(
  shares: ReturnType<typeof createShares>,
  trigger: string,
  count: number,
): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  for (let n = 0; n < count; n++) void shares.enter(trigger, 'QUEUE').then((entry) => entries.push(entry));
  await Promise.resolve();
  await Promise.resolve();
  return entries;
}
const going = (entries: readonly Entry[]): number => entries.filter((entry) => entry === 'GO').length;

describe('createShares', () => {
  test('a single trigger gets two thirds of the slots, and waits for its own beyond', async () => {
    vi.useFakeTimers();
    try {
      const shares = createShares(300, () => Date.now());
      const entries = await ask(shares, 'a', 300);
      expect(going(entries)).toBe(200);
      shares.leave('a', 5);
      await Promise.resolve();
      await Promise.resolve();
      expect(going(entries)).toBe(201);
    } finally {
      vi.useRealTimers();
    }
  });

  test('twenty that hang leave slots for the one that comes', async () => {
    vi.useFakeTimers();
    try {
      const shares = createShares(300, () => Date.now());
      // They come at once, as from a queue in which their jobs lie mixed.
      for (let n = 0; n < 300; n++)
        for (let trigger = 0; trigger < 20; trigger++) await ask(shares, `hangs-${trigger}`, 1);
      expect(going(await ask(shares, 'healthy', 4))).toBe(4);
    } finally {
      vi.useRealTimers();
    }
  });

  test('beyond the share of one that hangs, attempts are put off, spread, and never for longer than a minute', async () => {
    vi.useFakeTimers();
    try {
      const shares = createShares(30, () => Date.now());
      const first = await ask(shares, 'a', 30);
      expect(going(first)).toBe(20);
      vi.advanceTimersByTime(500);
      await Promise.resolve();
      const put = await ask(shares, 'a', 1000);
      expect(put.every(({ kind }) => kind === 'LATER')).toBe(true);
      const delays = put.map((entry) => (entry.kind === 'LATER' ? entry.delayMs : 0));
      expect(Math.min(...delays)).toBeGreaterThanOrEqual(400);
      expect(Math.max(...delays)).toBeLessThanOrEqual(60_000);
      expect(new Set(delays).size).toBeGreaterThan(500);
    } finally {
      vi.useRealTimers();
    }
  });

  test('everything is given back', async () => {
    const shares = createShares(9); // six for the first
    const entries = await ask(shares, 'a', 6);
    expect(going(entries)).toBe(6);
    for (const _ of entries) shares.leave('a', 1);
    expect(going(await ask(shares, 'b', 6))).toBe(6);
  });
});
