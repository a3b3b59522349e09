/** What is read for all subscribers of a batch of changes. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLiveRows } from '../../src/graphql/live-rows.ts';
import type { Batch } from '../../src/store/change-window.ts';
import { queueEvent } from './ask.ts';
import { type Door, openDoor } from './door.ts';

let door: Door;
beforeAll(async () => {
  door = await openDoor();
});
afterAll(() => door.close());

const batch = (): Batch => ({ changes: [], position: { end: 1n, open: [] } });

test('events are read ahead once payloads ask for them, and no more when they do not', async () => {
  const { id } = await queueEvent(door, { type: 'unmatched' });
  const live = createLiveRows(door.db);
  const readAhead = async (): Promise<boolean> => {
    const rows = live.of(batch());
    const statements = await door.statementsOf(() => rows.expectEvent(id));
    return statements.length > 0;
  };

  expect(await readAhead()).toBe(false);
  // A payload asks: it is not there yet, and has to be read.
  const first = live.of(batch());
  expect(first.eventHere(id)).toBe(null);
  expect(await first.event(id)).toMatchObject({ id, type: 'unmatched' });
  expect(first.eventHere(id)).toMatchObject({ id });

  expect(await readAhead()).toBe(true);
  const next = live.of(batch());
  await next.expectEvent(id);
  expect(next.eventHere(id)).toMatchObject({ id, type: 'unmatched' });

  // Some batches whose payloads want no events, until the last one that did is forgotten.
  for (let n = 0; n < 4; n++) live.of(batch());
  expect(await readAhead()).toBe(false);
});
