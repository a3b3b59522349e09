/** The feed's rest: in proportion to what subscribers cost, and bounded; and what it does about a flood. */
import { expect, test } from 'vitest';
import { createPace, type Pace } from '../../src/store/pace.ts';

/** Hands ten changes to so many subscribers, made within `spanMs`. */
function hand(pace: Pace, subscribers: number, spanMs: number): void {
  pace.read({ changes: Array(10), rows: 1 }, spanMs);
  for (let n = 0; n < subscribers; n++) {
    pace.batch();
    pace.items(10, true);
  }
}

test('a feed that has handed out nothing, or little, rests for 4 ms', () => {
  const pace = createPace();
  expect(pace.next(0).restMs).toBe(4);
  hand(pace, 1, 10);
  expect(pace.next(0).restMs).toBe(4);
});

test('what many subscribers were given makes the rest longer, once', () => {
  const pace = createPace();
  hand(pace, 100, 10_000);
  const few = pace.next(0).restMs;
  hand(pace, 200, 10_000);
  const many = pace.next(0).restMs;
  expect(few).toBeGreaterThan(4);
  expect(many).toBeGreaterThan(few);
  expect(pace.next(0).restMs).toBe(4);
});

test('it never rests for longer than half a second while it can follow', () => {
  const pace = createPace();
  pace.read({ changes: Array(1_000_000), rows: 1 }, 10_000);
  expect(pace.next(0).restMs).toBe(500);
});

test('it reads fewer rows where they hold more changes', () => {
  const pace = createPace();
  expect(pace.next(0).rows).toBe(50);
  for (let n = 0; n < 10; n++) pace.read({ changes: Array(4000), rows: 10 }, 10_000);
  expect(pace.next(0).rows).toBe(5);
  for (let n = 0; n < 10; n++) pace.read({ changes: Array(5000), rows: 1 }, 10_000);
  expect(pace.next(0).rows).toBe(1);
});

test('it reads fewer changes at once where each becomes many items', () => {
  const pace = createPace();
  hand(pace, 100, 10_000);
  pace.next(0);
  for (let n = 0; n < 10; n++) hand(pace, 400, 10_000);
  const { rows } = pace.next(0);
  // Ten changes a row and some 250 to 400 items a change.
  expect(rows).toBeGreaterThanOrEqual(5);
  expect(rows).toBeLessThanOrEqual(10);
});

test('a flood that lasts is let by once, until the feed is five seconds behind', () => {
  const pace = createPace(() => 1);
  // 100 items a millisecond, which is many and no flood; a stall of the feed changes nothing about that.
  for (let n = 0; n < 100; n++) {
    hand(pace, 100, 10);
    expect(pace.next(n * 100).restMs).toBeLessThanOrEqual(500);
  }
  // Many more at once are none yet.
  hand(pace, 500, 2);
  expect(pace.next(0).restMs).toBeLessThanOrEqual(500);
  const flood = (behindMs: number): number => {
    hand(pace, 1000, 10);
    return pace.next(behindMs).restMs;
  };
  for (let n = 0; n < 20; n++) flood(0);
  const lettingBy = flood(100);
  expect(lettingBy).toBeGreaterThan(500);
  const catchingUp = flood(5000);
  expect(catchingUp).toBeLessThan(lettingBy / 2);
  // It goes on, and the feed has caught up with it: not once more.
  expect(flood(0)).toBeLessThan(lettingBy / 2);
  // Nor where it swells again after it had nearly gone.
  hand(pace, 4000, 400);
  pace.next(0);
  expect(flood(0)).toBeLessThan(lettingBy / 2);
  // What it reads now was made in quieter times; the next flood is another one.
  hand(pace, 100, 1000);
  expect(pace.next(0).restMs).toBeLessThan(catchingUp);
  for (let n = 0; n < 20; n++) flood(0);
  expect(flood(0)).toBeGreaterThan(500);
});

test('what subscribers had missed and are told now is no flood', () => {
  const pace = createPace(() => 1);
  for (let n = 0; n < 100; n++) {
    pace.read({ changes: Array(1), rows: 1 }, 1);
    pace.items(1000, false);
    expect(pace.next(0).restMs).toBeLessThanOrEqual(500);
  }
});

test('a feed that has fallen behind does not rest where its thread has time left', () => {
  let busy = 1;
  const pace = createPace(() => busy);
  const read = (behindMs: number): number => {
    pace.read({ changes: Array(2000), rows: 10 }, 200);
    return pace.next(behindMs).restMs;
  };
  expect(read(0)).toBeCloseTo(144);
  expect(read(1000)).toBeCloseTo(72);
  busy = 0.5;
  expect(read(1000)).toBe(10);
  expect(read(0)).toBeCloseTo(144);
});
