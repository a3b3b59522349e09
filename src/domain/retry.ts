/** When, if ever, the next attempt is due. Pure: clock and chance are arguments. */
import type { AttemptErrorCode, Outcome } from './attempt.ts';
import type { FailureReason } from './invocation.ts';

/** What follows from an attempt. Delays are seconds from the moment the decision is stored. */
export type Decision =
  | { readonly kind: 'SUCCEED' }
  /** `by: 'QUEUE'` leaves the delay to graphile-worker's back-off; 'US' plans the job ourselves. */
  | { readonly kind: 'RETRY'; readonly by: 'QUEUE' | 'US'; readonly delaySeconds: number }
  | { readonly kind: 'GIVE_UP'; readonly reason: FailureReason };

export interface RetrySituation {
  readonly outcome: Outcome;
  /** Number of this attempt, 1 for the first. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Attempts that were made before its retries were given back. */
  readonly attemptsBeforeReset: number;
  /** Delays before each retry in seconds, the last one repeating; null for the queue's back-off. */
  readonly retrySchedule: readonly number[] | null;
  /** How often the queue has locked the job, and how often it will; they run ahead of ours after a fault. */
  readonly jobAttempts: number;
  readonly jobMaxAttempts: number;
  /** For HTTP dates in Retry-After. */
  readonly now: Date;
  /** From 0 to 1: how much of the spread this retry gets. */
  readonly random: number;
}

/**
 * Retries that we plan come up to this much later, so that what failed together does not come back in one instant: a
 * tenth of the delay, and at most a minute.
 */
const SPREAD = 0.1;
const MAX_SPREAD_SECONDS = 60;

export function decide(situation: RetrySituation): Decision {
  const { outcome, attempt, maxAttempts, retrySchedule } = situation;
  if (outcome.errorCode === null) return { kind: 'SUCCEED' };
  if (outcome.errorCode === 'GONE') return { kind: 'GIVE_UP', reason: 'RECEIVER_GONE' };
  if (outcome.errorCode === 'INVALID_REQUEST') return { kind: 'GIVE_UP', reason: 'INVALID_REQUEST' };
  if (attempt >= maxAttempts) return { kind: 'GIVE_UP', reason: finalReason(outcome.errorCode) };

  const tries = attempt - situation.attemptsBeforeReset;
  const scheduled = retrySchedule?.[Math.min(tries, retrySchedule.length) - 1];
  const asked = retryAfterSeconds(outcome, situation.now);
  // Once the queue's own count has run ahead (an internal fault cost it one), its last retry would be one too
  // few; one that stood in line counts from 1 again, and its back-off would be too short: such are planned anew.
  const { jobAttempts, jobMaxAttempts, attemptsBeforeReset } = situation;
  const countsAlike = attemptsBeforeReset === 0 ? jobAttempts >= tries : jobAttempts === tries;
  const queueCountsRight = countsAlike && jobAttempts < jobMaxAttempts;
  if (scheduled === undefined && asked === null && queueCountsRight) {
    return { kind: 'RETRY', by: 'QUEUE', delaySeconds: backOffSeconds(jobAttempts) };
  }
  const delaySeconds = Math.max(scheduled ?? backOffSeconds(tries), asked ?? 0);
  const spreadSeconds = Math.min(delaySeconds * SPREAD, MAX_SPREAD_SECONDS) * situation.random;
  const latestSeconds = Math.max(delaySeconds, MAX_RETRY_AFTER_SECONDS);
  return { kind: 'RETRY', by: 'US', delaySeconds: Math.min(delaySeconds + spreadSeconds, latestSeconds) };
}

/** graphile-worker's back-off: e^n seconds after the n-th attempt, n at most 10 (its `failJobs` statement). */
export function backOffSeconds(attempts: number): number {
  return Math.exp(Math.min(attempts, 10));
}

/** Longest wait a receiver can ask for with Retry-After, in seconds: 24 h, so that it cannot park us for ever. */
export const MAX_RETRY_AFTER_SECONDS = 24 * 60 * 60;

/**
 * Seconds the receiver asks us to wait: `Retry-After` of a 429 or 503, as delta-seconds or HTTP-date
 * (RFC 9110 section 10.2.3). Null when absent, malformed or in the past.
 */
export function retryAfterSeconds(outcome: Outcome, now: Date): number | null {
  const { response } = outcome;
  if (response === null || (response.statusCode !== 429 && response.statusCode !== 503)) return null;
  const value = response.headers.find(([name]) => name === 'retry-after')?.[1].trim();
  if (value === undefined) return null;
  const seconds = /^\d+$/.test(value) ? Number(value) : httpDateSeconds(value, now);
  return seconds !== null && seconds > 0 ? Math.min(seconds, MAX_RETRY_AFTER_SECONDS) : null;
}

function httpDateSeconds(value: string, now: Date): number | null {
  // Every HTTP-date form starts with a day's name; Date.parse alone would also take `-1` or `2099`.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(value)) return null;
  // The asctime form names no zone and means GMT; Date.parse would take the machine's.
  const at = Date.parse(value.endsWith('GMT') ? value : `${value} GMT`);
  return Number.isNaN(at) ? null : (at - now.getTime()) / 1000;
}

function finalReason(errorCode: AttemptErrorCode): FailureReason {
  return errorCode === 'BLOCKED_ADDRESS' ? 'BLOCKED' : 'RETRIES_EXHAUSTED';
}
