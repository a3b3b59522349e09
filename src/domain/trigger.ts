/** A standing order (event type → url): what it may say, and the limits it keeps. */
import type { ContentMode, SpecVersion } from './envelope.ts';
import { type Problem, problem } from './errors.ts';
import { checkType } from './event.ts';
import { secretBytes } from './signature.ts';

export const DEFAULT_PROJECT = 'default';
/** Retries after the first attempt: the predecessor's default, and a cap that the back-off stretches to 10 days. */
export const DEFAULT_RETRIES = 3;
export const MAX_RETRIES = 50;
/** Deadline of one attempt, in milliseconds. */
export const DEFAULT_TIMEOUT_MS = 5000;
export const MIN_TIMEOUT_MS = 100;
export const MAX_TIMEOUT_MS = 120_000;
/** Longest delay in a retry schedule, in seconds: a week. */
export const MAX_RETRY_DELAY_SECONDS = 7 * 24 * 60 * 60;
export const MAX_URL_LENGTH = 2048;
export const MAX_DESCRIPTION_LENGTH = 1024;
export const MAX_HEADERS = 20;
export const MAX_HEADER_VALUE_LENGTH = 4096;
/** Most attempts in flight at once that a trigger can be limited to: more than any process makes (`CONCURRENCY`). */
export const MAX_CONCURRENCY_LIMIT = 10_000;
/** Most attempts a minute that a trigger can be limited to: 1,000 a second. */
export const MAX_PER_MINUTE_LIMIT = 60_000;
/** What a secret header's value reads as; given back in an update it keeps the stored value. */
export const MASKED = '***';

export const TRIGGER_STATUSES = ['ACTIVE', 'PAUSED', 'DISABLED'] as const;
export type TriggerStatus = (typeof TRIGGER_STATUSES)[number];

export const TRIGGER_STATUS_REASONS = ['MANUAL', 'RECEIVER_GONE', 'CONSECUTIVE_FAILURES'] as const;
export type TriggerStatusReason = (typeof TRIGGER_STATUS_REASONS)[number];

/** What becomes of a deleted trigger's unfinished invocations. */
export const PENDING_POLICIES = ['CANCEL', 'FINISH'] as const;
export type PendingPolicy = (typeof PENDING_POLICIES)[number];

export const SIGNATURE_ALGORITHMS = ['HMAC_SHA256', 'ED25519'] as const;
export type SignatureAlgorithm = (typeof SIGNATURE_ALGORITHMS)[number];
/** How long replaced keys go on signing, in hours. */
export const DEFAULT_GRACE_HOURS = 24;
export const MAX_GRACE_HOURS = 720;
/** Keys of one trigger that sign at once: each adds a signature of up to 92 bytes to every request. */
export const MAX_LIVE_KEYS = 5;

/** A header of the trigger's own as asked for, value in clear. */
export interface TriggerHeader {
  readonly name: string;
  readonly value: string;
  readonly secret: boolean;
}

/** What a caller decides about a trigger. */
export interface TriggerSettings {
  readonly name: string;
  readonly description: string | null;
  readonly type: string;
  readonly url: string;
  readonly retries: number;
  readonly timeoutMs: number;
  /** Seconds before each retry, the last one repeating; null for the queue's back-off. */
  readonly retrySchedule: readonly number[] | null;
  readonly contentMode: ContentMode;
  readonly specVersion: SpecVersion;
  readonly headers: readonly TriggerHeader[];
  /** Most attempts in flight at once, over all processes; null for no limit of its own. */
  readonly maxConcurrency: number | null;
  /** Most attempts started per minute, over all processes; null for no limit of its own. */
  readonly maxPerMinute: number | null;
}

/** Everything wrong with the given settings; absent ones are not looked at. The URL's address is judged by egress. */
export function checkTrigger(settings: Partial<TriggerSettings>): readonly Problem[] {
  const { name, description, type, url, retries, timeoutMs, retrySchedule, headers } = settings;
  const { maxConcurrency, maxPerMinute } = settings;
  return [
    ...(name === undefined ? [] : checkName('name', name)),
    ...(type === undefined ? [] : checkType(type)),
    ...(url === undefined ? [] : checkLength('url', url, MAX_URL_LENGTH)),
    ...(retries === undefined ? [] : checkWhole('retries', retries, 0, MAX_RETRIES)),
    ...(timeoutMs === undefined ? [] : checkWhole('timeout', timeoutMs, MIN_TIMEOUT_MS, MAX_TIMEOUT_MS)),
    ...(description == null ? [] : checkText('description', description, MAX_DESCRIPTION_LENGTH)),
    ...(retrySchedule == null ? [] : checkSchedule(retrySchedule)),
    ...(headers === undefined ? [] : checkHeaders(headers)),
    ...(maxConcurrency == null ? [] : checkWhole('maxConcurrency', maxConcurrency, 1, MAX_CONCURRENCY_LIMIT)),
    ...(maxPerMinute == null ? [] : checkWhole('maxPerMinute', maxPerMinute, 1, MAX_PER_MINUTE_LIMIT)),
  ];
}

/** Problems of the name of a trigger or project. */
export function checkName(field: string, name: string): readonly Problem[] {
  if (/^[\w.-]{1,64}$/.test(name)) return [];
  const message = `expected ${field} to be 1 to 64 letters, digits, "-", "_" or ".", got ${JSON.stringify(name.slice(0, 80))}`;
  return [problem(field, name === '' ? 'REQUIRED' : 'INVALID', message)];
}

/** Problems of a signing secret that a caller brings along; null brings none. */
export function checkSecret(secret: string | null, algorithm: SignatureAlgorithm): readonly Problem[] {
  if (secret === null) return [];
  if (algorithm !== 'HMAC_SHA256') {
    const message = `expected no signingSecret with signatureAlgorithm ${algorithm}: its keys are made here`;
    return [problem('signingSecret', 'INVALID', message)];
  }
  if (secretBytes(secret) !== null) return [];
  return [
    problem(
      'signingSecret',
      'INVALID',
      'expected signingSecret to be whsec_ and the base64 of 24 to 64 bytes',
    ),
  ];
}

/** Problems of the hours that replaced keys go on signing. */
export function checkGraceHours(hours: number): readonly Problem[] {
  return checkWhole('gracePeriodHours', hours, 0, MAX_GRACE_HOURS);
}

/** Names a trigger may not set: ours, hop-by-hop, and those that clouds trust (security.md). */
const RESERVED_HEADER =
  /^(?:host|connection|keep-alive|proxy-.*|te|transfer-encoding|upgrade|trailer|expect|user-agent|content-.*|webhook-.*|ce-.*|x-amz-.*|x-google-.*|x-goog-.*|x-azure-.*|traceparent|tracestate|accept-encoding)$/;
/** RFC 9110 section 5.6.2. */
const HEADER_TOKEN = /^[\w!#$%&'*+.^`|~-]{1,256}$/;

function checkHeaders(headers: readonly TriggerHeader[]): readonly Problem[] {
  if (headers.length > MAX_HEADERS) {
    return [
      problem('headers', 'TOO_LARGE', `expected at most ${MAX_HEADERS} headers, got ${headers.length}`),
    ];
  }
  const seen = new Set<string>();
  return headers.flatMap((header, index) => {
    const name = header.name.toLowerCase();
    const repeated = seen.has(name);
    seen.add(name);
    const at = (part: string): readonly string[] => ['headers', String(index), part];
    if (!HEADER_TOKEN.test(name)) {
      return [
        problem(
          at('name'),
          'HEADER_NOT_ALLOWED',
          'expected a header name to be a token (RFC 9110 section 5.6.2)',
        ),
      ];
    }
    if (RESERVED_HEADER.test(name)) {
      return [problem(at('name'), 'HEADER_NOT_ALLOWED', `header ${name} is reserved and cannot be set`)];
    }
    if (repeated) return [problem(at('name'), 'HEADER_NOT_ALLOWED', `header ${name} is given twice`)];
    if (!/^[\x20-\x7e\t]*$/.test(header.value) || header.value.length > MAX_HEADER_VALUE_LENGTH) {
      const expected = `at most ${MAX_HEADER_VALUE_LENGTH} visible ASCII characters, spaces and tabs`;
      return [
        problem(at('value'), 'HEADER_NOT_ALLOWED', `expected the value of header ${name} to be ${expected}`),
      ];
    }
    return [];
  });
}

function checkSchedule(schedule: readonly number[]): readonly Problem[] {
  if (schedule.length === 0 || schedule.length > MAX_RETRIES) {
    const message = `expected retrySchedule to name 1 to ${MAX_RETRIES} delays, got ${schedule.length}`;
    return [problem('retrySchedule', 'INVALID', message)];
  }
  return schedule.flatMap((delay, index) =>
    checkWhole(['retrySchedule', String(index)], delay, 0, MAX_RETRY_DELAY_SECONDS),
  );
}

function checkWhole(
  field: string | readonly string[],
  value: number,
  min: number,
  max: number,
): readonly Problem[] {
  if (Number.isInteger(value) && value >= min && value <= max) return [];
  const name = typeof field === 'string' ? field : field.join('.');
  return [problem(field, 'INVALID', `expected ${name} between ${min} and ${max}, got ${value}`)];
}

export function checkText(field: string, value: string, max: number): readonly Problem[] {
  if (value.includes('\0') || !value.isWellFormed()) {
    return [problem(field, 'INVALID', `expected ${field} to be free of U+0000 and lone surrogates`)];
  }
  return checkLength(field, value, max);
}

function checkLength(field: string, value: string, max: number): readonly Problem[] {
  if (value.length <= max) return [];
  return [problem(field, 'TOO_LARGE', `expected ${field} of at most ${max} characters, got ${value.length}`)];
}
