/** One trigger fired for one event: its states, and the complete table of how they change. */

/** States as stored. What a caller sees also depends on the clock: see `statusOf`. */
export const INVOCATION_STATES = [
  'PENDING',
  'HELD',
  'RUNNING',
  'RETRYING',
  'SUCCEEDED',
  'FAILED',
  'CANCELLED',
] as const;
export type InvocationState = (typeof INVOCATION_STATES)[number];

/** Everything that can happen to an invocation. */
export type InvocationChange =
  /** An attempt has been in flight for more than a moment. */
  | 'START'
  /** The receiver answered 2xx. */
  | 'SUCCEED'
  /** An attempt failed and another one is planned. */
  | 'RETRY'
  /** An attempt failed and was the last one, or no attempt can be made. */
  | 'GIVE_UP'
  /** The trigger was paused. */
  | 'HOLD'
  /** The trigger was resumed. */
  | 'RELEASE'
  /** Somebody cancelled it, or deleted its trigger. */
  | 'CANCEL'
  /** Somebody asked for an attempt now. */
  | 'RENEW';

/** The row of a state that is the end. */
const NO_WAY_OUT: Readonly<Record<InvocationChange, null>> = {
  START: null,
  SUCCEED: null,
  RETRY: null,
  GIVE_UP: null,
  HOLD: null,
  RELEASE: null,
  CANCEL: null,
  RENEW: null,
};

/**
 * The complete transition table; null means the change does nothing in that state. HELD can still succeed or be
 * given up: an attempt that was in flight when the trigger was paused runs to its end.
 */
export const TRANSITIONS: Readonly<
  Record<InvocationState, Readonly<Record<InvocationChange, InvocationState | null>>>
> = {
  PENDING: {
    START: 'RUNNING',
    SUCCEED: 'SUCCEEDED',
    RETRY: 'RETRYING',
    GIVE_UP: 'FAILED',
    HOLD: 'HELD',
    RELEASE: null,
    CANCEL: 'CANCELLED',
    RENEW: 'PENDING',
  },
  HELD: {
    START: null,
    SUCCEED: 'SUCCEEDED',
    RETRY: 'HELD',
    GIVE_UP: 'FAILED',
    HOLD: null,
    RELEASE: 'PENDING',
    CANCEL: 'CANCELLED',
    RENEW: null,
  },
  RUNNING: {
    START: null,
    SUCCEED: 'SUCCEEDED',
    RETRY: 'RETRYING',
    GIVE_UP: 'FAILED',
    HOLD: null,
    RELEASE: null,
    CANCEL: 'CANCELLED',
    RENEW: null,
  },
  RETRYING: {
    START: 'RUNNING',
    SUCCEED: 'SUCCEEDED',
    RETRY: 'RETRYING',
    GIVE_UP: 'FAILED',
    HOLD: 'HELD',
    RELEASE: null,
    CANCEL: 'CANCELLED',
    RENEW: 'RETRYING',
  },
  SUCCEEDED: NO_WAY_OUT,
  FAILED: { ...NO_WAY_OUT, RENEW: 'PENDING' },
  CANCELLED: NO_WAY_OUT,
};

/** States from which nothing happens any more, unless somebody asks for it. */
export const FINAL_STATES = INVOCATION_STATES.filter((state) =>
  Object.entries(TRANSITIONS[state]).every(([change, to]) => change === 'RENEW' || to === null),
);

/** States from which `change` leads somewhere: what an UPDATE must find to be allowed. */
export function statesThat(change: InvocationChange): readonly InvocationState[] {
  return INVOCATION_STATES.filter((state) => TRANSITIONS[state][change] !== null);
}

/** States as callers see them: PENDING reads as SCHEDULED before its due time and as QUEUED after. */
export const INVOCATION_STATUSES = [
  'SCHEDULED',
  'HELD',
  'QUEUED',
  'RUNNING',
  'RETRYING',
  'SUCCEEDED',
  'FAILED',
  'CANCELLED',
] as const;
export type InvocationStatus = (typeof INVOCATION_STATUSES)[number];

/** What a caller sees of `state` at the moment `now`, by the database's clock. */
export function statusOf(state: InvocationState, nextAttemptAt: Date | null, now: Date): InvocationStatus {
  if (state !== 'PENDING') return state;
  return nextAttemptAt !== null && nextAttemptAt > now ? 'SCHEDULED' : 'QUEUED';
}

/** Why an invocation failed for good. */
export const FAILURE_REASONS = [
  'RETRIES_EXHAUSTED',
  'RECEIVER_GONE',
  'BLOCKED',
  'TRIGGER_REMOVED',
  'INVALID_REQUEST',
  'WORKER_LOST',
] as const;
export type FailureReason = (typeof FAILURE_REASONS)[number];

/** Why an attempt was made. */
export const ATTEMPT_CAUSES = ['INITIAL', 'RETRY', 'MANUAL', 'TEST'] as const;
export type AttemptCause = (typeof ATTEMPT_CAUSES)[number];

/** Why attempt `number` is made. `manual`: the latest one that somebody asked for. */
export function causeOf(number: number, manual: number | null): AttemptCause {
  if (number === manual) return 'MANUAL';
  return number === 1 ? 'INITIAL' : 'RETRY';
}

export const ATTEMPT_STATUSES = ['RUNNING', 'SUCCEEDED', 'FAILED', 'ABANDONED'] as const;
export type AttemptStatus = (typeof ATTEMPT_STATUSES)[number];

/** Most attempts of an invocation that can be asked for: what is stored of them holds a few more, for those that are lost. */
export const MAX_ATTEMPTS = 32_000;
