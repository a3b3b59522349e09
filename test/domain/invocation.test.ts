import { expect, test } from 'vitest';
import {
  FINAL_STATES,
  INVOCATION_STATES,
  type InvocationChange,
  statesThat,
  statusOf,
  TRANSITIONS,
} from '../../src/domain/invocation.ts';

test('from exactly the final states nothing happens by itself, and only a failed one can be renewed', () => {
  expect(FINAL_STATES).toEqual(['SUCCEEDED', 'FAILED', 'CANCELLED']);
  expect(FINAL_STATES.filter((state) => statesThat('RENEW').includes(state))).toEqual(['FAILED']);
});

test('every unfinished state can succeed, be given up and be cancelled', () => {
  const unfinished = INVOCATION_STATES.filter((state) => !FINAL_STATES.includes(state));
  for (const change of ['SUCCEED', 'GIVE_UP', 'CANCEL'] satisfies InvocationChange[]) {
    expect(statesThat(change)).toEqual(unfinished);
  }
});

test('what is held is released, and only that', () => {
  expect(statesThat('RELEASE')).toEqual(['HELD']);
  expect(TRANSITIONS.HELD.RELEASE).toBe('PENDING');
  expect(TRANSITIONS.HELD.RETRY).toBe('HELD');
});

test('an attempt can be asked for unless one is in flight or the trigger is paused', () => {
  expect(statesThat('RENEW')).toEqual(['PENDING', 'RETRYING', 'FAILED']);
});

test('PENDING reads as SCHEDULED before its time and as QUEUED from then on', () => {
  const due = new Date('2026-11-23T10:00:00.000Z');
  expect(statusOf('PENDING', due, new Date('2026-11-23T09:59:59.999Z'))).toBe('SCHEDULED');
  expect(statusOf('PENDING', due, due)).toBe('QUEUED');
  expect(statusOf('RETRYING', due, due)).toBe('RETRYING');
});
