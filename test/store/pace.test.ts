/** The feed's rest: in proportion to what subscribers cost, and bounded. */
import { expect, test } from 'vitest';
import { createPace } from '../../src/store/pace.ts';

test('a feed that has handed out nothing, or little, rests for 4 ms', () => {
  const pace = createPace(() => 0);
  expect(pace.rest()).toBe(4);
  pace.changes(1);
  pace.batch();
  pace.items(1);
  expect(pace.rest()).toBe(4);
});

test('what many subscribers were given makes the rest longer, once', () => {
  const pace = createPace(() => 0);
  const hand = (subscribers: number): number => {
    pace.changes(10);
    for (let n = 0; n < subscribers; n++) {
      pace.batch();
      pace.items(10);
    }
    return pace.rest();
  };
  const [few, many] = [hand(100), hand(200)];
  expect(few).toBeGreaterThan(4);
  expect(many).toBeGreaterThan(few);
  expect(pace.rest()).toBe(4);
});

test('the feed of a busy machine rests for longer', () => {
  const [leisurely, busy] = [0, 1].map((busyness) => {
    const pace = createPace(() => busyness);
    pace.changes(1000);
    return pace.rest();
  });
  expect(busy).toBeGreaterThan(leisurely ?? Infinity);
});

test('it never rests for longer than half a second', () => {
  const pace = createPace();
  pace.changes(1_000_000);
  expect(pace.rest()).toBe(500);
});
