import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { inTime } from '../../src/graphql/deadline.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = new Promise<string>(() => {});

test('an operation is given up after 10 s', async () => {
  const late = expect(inTime(never, { patienceMs: 0 })).rejects.toMatchObject({ code: 'TIMEOUT' });
  await vi.advanceTimersByTimeAsync(10_000);
  await late;
  expect(vi.getTimerCount()).toBe(0);
});

test('one that waits for a receiver is given the time it asked for while it ran, and no more', async () => {
  const patience = { patienceMs: 0 };
  let isOver = false;
  const late = expect(inTime(never, patience).finally(() => (isOver = true))).rejects.toThrow(/70 s/);
  await vi.advanceTimersByTimeAsync(5000);
  patience.patienceMs += 60_000;
  await vi.advanceTimersByTimeAsync(64_999);
  expect(isOver).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await late;
});

test('what comes in time is the answer, and leaves no timer behind', async () => {
  expect(await inTime(Promise.resolve('answer'), { patienceMs: 0 })).toBe('answer');
  expect(vi.getTimerCount()).toBe(0);
});
