/** What states and failures mean, in words for people; complete tables, so that a new one cannot be forgotten. */
import type { AttemptErrorCode } from '../domain/attempt.ts';
import type { EventOrigin, EventStatus } from '../domain/event.ts';
import type { FailureReason, InvocationStatus } from '../domain/invocation.ts';
import type { TriggerStatus, TriggerStatusReason } from '../domain/trigger.ts';
import type { Style } from './output.ts';

export const INVOCATION_STYLE: Readonly<Record<InvocationStatus, Style>> = {
  SCHEDULED: 'blue',
  HELD: 'yellow',
  QUEUED: 'blue',
  RUNNING: 'cyan',
  RETRYING: 'yellow',
  SUCCEEDED: 'green',
  FAILED: 'red',
  CANCELLED: 'dim',
};

export const EVENT_STYLE: Readonly<Record<EventStatus, Style>> = {
  SCHEDULED: 'blue',
  IN_PROGRESS: 'cyan',
  SUCCEEDED: 'green',
  FAILED: 'red',
  CANCELLED: 'dim',
  UNMATCHED: 'yellow',
};

export const TRIGGER_STYLE: Readonly<Record<TriggerStatus, Style>> = {
  ACTIVE: 'green',
  PAUSED: 'yellow',
  DISABLED: 'dim',
};

/** What a list says behind the state of a trigger. */
export const PAUSE_MARK: Readonly<Record<TriggerStatusReason, string>> = {
  MANUAL: '',
  RECEIVER_GONE: ' (410)',
  CONSECUTIVE_FAILURES: ' (failing)',
};

/** Why a trigger is paused. */
export const PAUSE: Readonly<Record<TriggerStatusReason, string>> = {
  MANUAL: 'by hand',
  RECEIVER_GONE: 'the receiver answered 410 Gone: correct its URL first',
  CONSECUTIVE_FAILURES:
    'every attempt failed for longer than PAUSE_FAILING_AFTER_HOURS allows: see that the receiver is back first',
};

export const ORIGIN: Readonly<Record<EventOrigin, string>> = {
  GRAPHQL: 'over GraphQL',
  REST: 'over REST',
  SQL: 'in an SQL transaction',
  CONSOLE: 'in the web console',
  REPLAY: 'by a replay',
};

/** Why an invocation was given up, and what helps. */
export const FAILURE: Readonly<Record<FailureReason, string>> = {
  RETRIES_EXHAUSTED: 'every attempt failed and no more are allowed',
  RECEIVER_GONE:
    'the receiver answered 410 Gone, which ends it for good and pauses the trigger until somebody resumes it',
  BLOCKED: 'the address is not one that webhooks may go to (EGRESS, EGRESS_ALLOW_CIDRS)',
  TRIGGER_REMOVED: 'the trigger was deleted or disabled',
  INVALID_REQUEST: 'no request could be made of this event and this trigger',
  WORKER_LOST: 'the process that made the attempt died, again and again: this delivery may be what kills it',
};

/** What it means that an attempt failed this way; its own message says the rest. */
export const ERROR: Readonly<Record<AttemptErrorCode, string>> = {
  HTTP_STATUS: 'the receiver did not answer with 2xx',
  REDIRECT: 'the receiver redirects, which is never followed: put the final URL into the trigger',
  GONE: 'the receiver answered 410 Gone: it wants nothing any more',
  RATE_LIMITED: 'the receiver asks to be called less often',
  TIMEOUT: "no answer within the trigger's timeout",
  DNS_NOT_FOUND: 'the host name does not exist, or has no usable address',
  DNS_FAILURE: 'the name server could not be asked',
  CONNECTION_REFUSED: 'nothing listens at that address',
  CONNECTION_RESET: 'the connection was closed before an answer',
  NETWORK: 'the network did not carry it',
  TLS: 'no trusted TLS connection: look at the certificate, its names and its dates',
  BLOCKED_ADDRESS: 'the address is not one that webhooks may go to (EGRESS, EGRESS_ALLOW_CIDRS)',
  PROTOCOL: 'the answer was not HTTP',
  WORKER_LOST: 'Herald stopped in the middle of it; whether the receiver saw it is not known',
  INVALID_REQUEST: 'the request could not be made',
};
