/** The feed's rest: in proportion to what subscribers cost, and bounded. */
import { expect, test } from 'vitest';
import { createPace } from '../../src/store/pace.ts';

test('a feed that has handed out nothing, or little, rests for 4 ms', () => {
  const pace = createPace();
  expect(pace.rest()).toBe(4);
  pace.changes(1);
  pace.batch();
  pace.items(1);
  expect(pace.rest()).toBe(4);
});

test('what many subscribers were given makes the rest longer, once', () => {
  const pace = createPace();
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

test('it never rests for longer than half a second', () => {
  const pace = createPace();
  pace.changes(1_000_000);
  expect(pace.rest()).toBe(500);
});
