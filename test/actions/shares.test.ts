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

  test('beyond the share of one that hangs the queue’s jobs stand in line at once; who was called waits a moment', async () => {
    vi.useFakeTimers();
    try {
      const shares = createShares(30, () => Date.now());
      expect(going(await ask(shares, 'a', 30))).toBe(20);
      // Others come and go meanwhile: it is not this process that stands still.
      for (let n = 0; n < 10; n++) {
        vi.advanceTimersByTime(50);
        if (going(await ask(shares, 'b', 1)) === 1) shares.leave('b', 5);
      }
      expect(await ask(shares, 'a', 3)).toEqual(['LATER', 'LATER', 'LATER']);
      const called: Entry[] = [];
      void shares.enter('a', 'LINE').then((entry) => called.push(entry));
      await vi.advanceTimersByTimeAsync(100);
      expect(called).toEqual([]);
      shares.leave('a', 5000);
      await vi.advanceTimersByTimeAsync(0);
      expect(called).toEqual(['GO']);
    } finally {
      vi.useRealTimers();
    }
  });

  test('who waited in vain waited for all: while every job waits, that is no stall', async () => {
    vi.useFakeTimers();
    try {
      const shares = createShares(30, () => Date.now());
      const first = await ask(shares, 'a', 40);
      expect(going(first)).toBe(20);
      await vi.advanceTimersByTimeAsync(400);
      expect(first.slice(20)).toEqual(Array(20).fill('LATER'));
      expect(await ask(shares, 'a', 2)).toEqual(['LATER', 'LATER']);
      // One that ends says that others may.
      shares.leave('a', 5);
      expect(going(await ask(shares, 'a', 1))).toBe(1);
      const again = await ask(shares, 'a', 1);
      expect(again).toEqual([]);
      shares.leave('a', 5);
      await vi.advanceTimersByTimeAsync(0);
      expect(again).toEqual(['GO']);
    } finally {
      vi.useRealTimers();
    }
  });

  test('a stall of this process says nothing about a receiver: its jobs wait a moment', async () => {
    vi.useFakeTimers();
    try {
      const shares = createShares(30, () => Date.now());
      expect(going(await ask(shares, 'a', 20))).toBe(20);
      vi.setSystemTime(Date.now() + 5000);
      const late = await ask(shares, 'a', 3);
      expect(late).toEqual([]);
      for (let n = 0; n < 3; n++) shares.leave('a', 5);
      await vi.advanceTimersByTimeAsync(0);
      expect(late).toEqual(['GO', 'GO', 'GO']);
    } finally {
      vi.useRealTimers();
    }
  });

  test('the slots of a fast receiver are used several times between two calls', async () => {
    const shares = createShares(30);
    for (const durationMs of [20, 200]) {
      for (let n = 0; n < 100; n++) {
        await ask(shares, 'a', 1);
        // Somebody is left, so that the average is remembered.
        if (n > 0) shares.leave('a', durationMs);
      }
      const room = shares.room('a', { own: 0, all: 0 }, 100);
      expect(room).toBe(durationMs === 20 ? 4 * 19 : 18);
    }
  });

  test('there is room for as many as may go together, less those on their way', async () => {
    const shares = createShares(30);
    expect(shares.room('a', { own: 0, all: 0 }, 100)).toBe(20);
    expect(shares.room('a', { own: 0, all: 15 }, 100)).toBe(10);
    await ask(shares, 'a', 20);
    expect([shares.room('a', { own: 0, all: 0 }, 100), shares.room('b', { own: 0, all: 0 }, 100)]).toEqual([
      0, 6,
    ]);
    expect(shares.room('b', { own: 0, all: 100 }, 100)).toBe(4);
  });

  test('a slow receiver’s slots are filled little by little, also after all its attempts ended together', async () => {
    const shares = createShares(300);
    await ask(shares, 'a', 100);
    for (let n = 0; n < 100; n++) shares.leave('a', 5000);
    const room = shares.room('a', { own: 0, all: 0 }, 100);
    expect(room).toBeGreaterThan(1);
    expect(room).toBeLessThan(20);
    // It has recovered.
    for (let n = 0; n < 60; n++) {
      await ask(shares, 'a', 1);
      shares.leave('a', 5);
    }
    expect(shares.room('a', { own: 0, all: 0 }, 100)).toBe(200);
  });

  test('everything is given back', async () => {
    const shares = createShares(9); // six for the first
    const entries = await ask(shares, 'a', 6);
    expect(going(entries)).toBe(6);
    for (const _ of entries) shares.leave('a', 1);
    expect(going(await ask(shares, 'b', 6))).toBe(6);
  });
});
