/** How the chunks of a bulk operation follow one another. */
import { expect, test } from 'vitest';
import { createChunks } from '../../src/actions/bulk-runner.ts';

const PACE = { size: 500, reach: 20_000, perRowMs: 2 };
const failure = (code: string) => Object.assign(new Error('x'), { code });

test('the next one comes when its rows have had their time', () => {
  const chunks = createChunks(PACE);
  expect(chunks.limits()).toEqual(PACE);
  expect(chunks.went({ end: 'MORE', done: 300 })).toBe(600);
  // What was skipped costs nothing.
  expect(chunks.went({ end: 'MORE', done: 0 })).toBe(0);
  expect(chunks.went({ end: 'EARLY', done: 0, earlyMs: 41_000 })).toBe(41_000);
  expect(chunks.went({ end: 'LOCKED', done: 0 })).toBe(250);
});

test('what takes too long is halved, down to one row, and grows again', () => {
  const chunks = createChunks(PACE);
  for (let n = 1; n <= 20; n++) expect(chunks.failed(failure('57014'))).toMatchObject({ failures: n });
  expect(chunks.limits()).toEqual({ size: 1, reach: 200, perRowMs: 2 });
  for (let n = 0; n < 45; n++) chunks.went({ end: 'MORE', done: 0 });
  expect(chunks.limits()).toEqual(PACE);
});

test('a database that is away says nothing of the size', () => {
  const chunks = createChunks(PACE);
  const waits = Array.from({ length: 6 }, () => chunks.failed(failure('ECONNREFUSED')).waitMs);
  expect(waits).toEqual([500, 1000, 2000, 4000, 5000, 5000]);
  expect(chunks.limits()).toEqual(PACE);
});
