import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AttemptErrorCode, Outcome } from '../../src/domain/attempt.ts';
import {
  backOffSeconds,
  decide,
  MAX_RETRY_AFTER_SECONDS,
  type RetrySituation,
  retryAfterSeconds,
} from '../../src/domain/retry.ts';

const NOW = new Date('2026-11-23T10:00:00Z');
const TIMINGS = { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: 1, totalMs: 1 };

function outcome(errorCode: AttemptErrorCode | null, statusCode = 500, retryAfter?: string): Outcome {
  const headers = retryAfter === undefined ? [] : [['retry-after', retryAfter] as const];
  const response = { statusCode, headers, body: Buffer.alloc(0), bodyTruncated: false, remoteAddress: null };
  return { errorCode, errorMessage: errorCode, response, timings: TIMINGS };
}

function situation(change: Partial<RetrySituation>): RetrySituation {
  return {
    outcome: outcome('HTTP_STATUS'),
    attempt: 1,
    maxAttempts: 4,
    attemptsBeforeReset: 0,
    retrySchedule: null,
    jobAttempts: 1,
    jobMaxAttempts: 4,
    now: NOW,
    random: 0,
    ...change,
  };
}

describe('decide', () => {
  test('2xx succeeds', () => {
    expect(decide(situation({ outcome: outcome(null, 204) }))).toEqual({ kind: 'SUCCEED' });
  });

  test('where the retries were given back, schedule and back-off begin anew', () => {
    const reset = { attempt: 9, maxAttempts: 12, attemptsBeforeReset: 8, jobMaxAttempts: 4 };
    const scheduled = decide(situation({ ...reset, jobAttempts: 1, retrySchedule: [20, 100, 400] }));
    expect(scheduled).toEqual({ kind: 'RETRY', by: 'US', delaySeconds: 20 });
    const queue = decide(situation({ ...reset, jobAttempts: 1 }));
    expect(queue).toEqual({ kind: 'RETRY', by: 'QUEUE', delaySeconds: backOffSeconds(1) });
    // The job was not replaced, as its attempt was due: its own count would wait too long.
    const ahead = decide(situation({ ...reset, jobAttempts: 3 }));
    expect(ahead).toEqual({ kind: 'RETRY', by: 'US', delaySeconds: backOffSeconds(1) });
  });

  test('a failure with retries left is left to the queue and its back-off', () => {
    const decision = decide(situation({ attempt: 2, jobAttempts: 2 }));
    expect(decision).toEqual({ kind: 'RETRY', by: 'QUEUE', delaySeconds: Math.exp(2) });
  });

  test('the last failure gives up; retries: 0 means one attempt', () => {
    const exhausted = { kind: 'GIVE_UP', reason: 'RETRIES_EXHAUSTED' };
    expect(decide(situation({ attempt: 4, jobAttempts: 4 }))).toEqual(exhausted);
    expect(decide(situation({ attempt: 1, maxAttempts: 1, jobMaxAttempts: 1 }))).toEqual(exhausted);
  });

  test('a schedule is ours to keep, its last delay repeating', () => {
    const delays = [1, 2, 3, 4].map((attempt) => {
      const decision = decide(
        situation({ attempt, maxAttempts: 9, jobAttempts: attempt, retrySchedule: [5, 60] }),
      );
      return decision.kind === 'RETRY' && decision.by === 'US' ? decision.delaySeconds : null;
    });
    expect(delays).toEqual([5, 60, 60, 60]);
  });

  test('410 and a request that cannot be built end it at once; blocked addresses are retried', () => {
    expect(decide(situation({ outcome: outcome('GONE', 410) }))).toEqual({
      kind: 'GIVE_UP',
      reason: 'RECEIVER_GONE',
    });
    expect(decide(situation({ outcome: outcome('INVALID_REQUEST') }))).toEqual({
      kind: 'GIVE_UP',
      reason: 'INVALID_REQUEST',
    });
    expect(decide(situation({ outcome: outcome('BLOCKED_ADDRESS') })).kind).toBe('RETRY');
    const last = decide(situation({ outcome: outcome('BLOCKED_ADDRESS'), attempt: 4 }));
    expect(last).toEqual({ kind: 'GIVE_UP', reason: 'BLOCKED' });
  });

  test('a job whose own count ran ahead is planned anew, so that no retry is lost', () => {
    const decision = decide(situation({ attempt: 3, jobAttempts: 4 }));
    expect(decision).toEqual({ kind: 'RETRY', by: 'US', delaySeconds: Math.exp(3) });
  });

  test('a job that stood in line counts from 1 again, but its back-off goes on', () => {
    const decision = decide(situation({ attempt: 3, jobAttempts: 1 }));
    expect(decision).toEqual({ kind: 'RETRY', by: 'US', delaySeconds: Math.exp(3) });
  });

  test('law: what we plan comes as late as asked, and at most a tenth or a minute later', () => {
    fc.assert(
      fc.property(fc.nat(7 * 86_400), fc.double({ min: 0, max: 1, noNaN: true }), (delay, random) => {
        const decision = decide(situation({ retrySchedule: [delay], random }));
        if (decision.kind !== 'RETRY') throw new Error('expected a retry');
        expect(decision.delaySeconds).toBeGreaterThanOrEqual(delay);
        expect(decision.delaySeconds).toBeLessThanOrEqual(Math.min(delay * 1.1, delay + 60));
      }),
    );
  });

  test('law: an invocation ends after at most maxAttempts failures, whatever the queue counts', () => {
    fc.assert(
      fc.property(fc.nat(50), fc.nat(60), (retries, drift) => {
        const maxAttempts = retries + 1;
        let attempt = 0;
        for (;;) {
          attempt++;
          const decision = decide(
            situation({ attempt, maxAttempts, jobAttempts: attempt + drift, jobMaxAttempts: maxAttempts }),
          );
          if (decision.kind === 'GIVE_UP') break;
        }
        expect(attempt).toBe(maxAttempts);
      }),
    );
  });
});

describe('retryAfterSeconds', () => {
  test.each([
    ['120', 120],
    ['0', null],
    ['-1', null],
    ['1000000000000', MAX_RETRY_AFTER_SECONDS],
    ['soon', null],
    ['2099', 2099],
    ['Mon, 23 Nov 2026 10:01:00 GMT', 60],
    ['Monday, 23-Nov-26 10:01:00 GMT', 60],
    ['Mon Nov 23 10:01:00 2026', 60],
    ['Mon, 23 Nov 2026 10:01:00 nonsense', null],
    ['1.5', null],
    ['9'.repeat(400), MAX_RETRY_AFTER_SECONDS],
    ['Mon, 23 Nov 2026 09:00:00 GMT', null],
    ['Mon, 23 Nov 2099 09:00:00 GMT', MAX_RETRY_AFTER_SECONDS],
  ])('%s → %s', (value, expected) => {
    expect(retryAfterSeconds(outcome('RATE_LIMITED', 429, value), NOW)).toBe(expected);
  });

  test('counts for 429 and 503 only', () => {
    expect(retryAfterSeconds(outcome('HTTP_STATUS', 503, '7'), NOW)).toBe(7);
    expect(retryAfterSeconds(outcome('HTTP_STATUS', 500, '7'), NOW)).toBeNull();
  });

  test('lengthens the back-off, never shortens it', () => {
    const wait = (value: string) => {
      const decision = decide(situation({ outcome: outcome('RATE_LIMITED', 429, value) }));
      return decision.kind === 'RETRY' ? decision.delaySeconds : null;
    };
    expect(wait('100')).toBe(100);
    expect(wait('1')).toBe(backOffSeconds(1));
  });
});
