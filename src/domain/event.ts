/** A queued occurrence: what a caller may ask for, and how a due time is written. */
import { type Problem, problem } from './errors.ts';
import { depthOf, MAX_DATA_DEPTH } from './json.ts';

/** Longest event type, in characters (wire.md section 2). */
export const MAX_TYPE_LENGTH = 255;
/** Largest payload, in bytes of UTF-8: what the webhook peers accept, and small enough to batch by the thousand. */
export const MAX_DATA_BYTES = 256 * 1024;
/** Most events in one `queueEvents`. */
export const MAX_BATCH_SIZE = 1000;
/** Furthest due time from now, in days: ten years. Further ahead is a unit mistake. */
export const MAX_SCHEDULE_DAYS = 3650;
/** A caller's "now" up to this far ahead of ours is now: the legacy SDKs send their own clock (wire.md section 2). */
export const CLOCK_TOLERANCE_MS = 5000;

/** Numbers below this are epoch seconds, not milliseconds: it is 1973 in milliseconds and the year 5138 in seconds. */
export const SMALLEST_EPOCH_MS = 1e11;

export const EVENT_ORIGINS = ['GRAPHQL', 'REST', 'SQL', 'CONSOLE', 'REPLAY'] as const;
export type EventOrigin = (typeof EVENT_ORIGINS)[number];

export const EVENT_STATUSES = [
  'SCHEDULED',
  'IN_PROGRESS',
  'SUCCEEDED',
  'FAILED',
  'CANCELLED',
  'UNMATCHED',
] as const;
export type EventStatus = (typeof EVENT_STATUSES)[number];

/** An event as asked for, before it is stored. */
export interface NewEvent {
  readonly type: string;
  /** The payload's exact JSON text. */
  readonly data: string;
  /** Seconds added to `timestamp`. */
  readonly delay: number;
  /** When delivery is due before `delay` is added; null for now, by the database's clock. */
  readonly timestamp: Date | null;
  readonly project: string;
  /** CloudEvents `source`; null for the installation's own. */
  readonly source: string | null;
  readonly idempotencyKey: string | null;
  /** What the idempotency key stands for, where that is more than the event's own values: the request's body. */
  readonly fingerprint?: string;
  readonly traceparent: string | null;
  readonly tracestate: string | null;
  readonly origin: EventOrigin;
}

/** How many of an event's invocations are in which state. */
export interface InvocationCounts {
  readonly total: number;
  readonly pending: number;
  readonly running: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
}

/** The aggregate of an event's invocations at the moment `now`. */
export function eventStatusOf(counts: InvocationCounts, dueAt: Date, now: Date): EventStatus {
  if (counts.total === 0) return 'UNMATCHED';
  if (counts.pending + counts.running > 0) {
    const untouched = counts.pending === counts.total;
    return untouched && dueAt > now ? 'SCHEDULED' : 'IN_PROGRESS';
  }
  if (counts.failed > 0) return 'FAILED';
  return counts.succeeded > 0 ? 'SUCCEEDED' : 'CANCELLED';
}

/** Everything wrong with `event`; `now` bounds how far ahead it may be due. */
export function checkEvent(event: NewEvent, now: Date): readonly Problem[] {
  return [
    ...checkType(event.type),
    ...checkProject(event.project),
    ...checkData(event.data),
    ...checkDue(event, now),
    ...checkSource(event.source),
    ...checkIdempotencyKey(event.idempotencyKey),
    ...checkTraceparent(event.traceparent),
  ];
}

/** Problems of an event type, also as a trigger names it. */
export function checkType(type: string): readonly Problem[] {
  if (type.length === 0)
    return [problem('type', 'REQUIRED', 'expected type to have 1 to 255 characters, got none')];
  const characters = [...type].length;
  if (characters > MAX_TYPE_LENGTH) {
    return [problem('type', 'TOO_LARGE', `expected type to have 1 to 255 characters, got ${characters}`)];
  }
  if (/\p{Cc}/u.test(type) || !type.isWellFormed()) {
    return [problem('type', 'INVALID', 'expected type to be free of control characters and lone surrogates')];
  }
  return [];
}

/** RFC 3339 section 5.6, with the year range of DateTime; offset required. */
const RFC_3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/** The moment an RFC 3339 text names, to the millisecond; null when it is none. Leap seconds read as the next second. */
export function parseRfc3339(text: string): Date | null {
  const parts = RFC_3339.exec(text);
  if (parts === null) return null;
  const [, year, month, day, hour, minute, second, fraction = '', offset = 'Z'] = parts;
  const leap = second === '60';
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${leap ? '59' : second}${fraction.slice(0, 4)}${offset.toUpperCase()}`;
  const at = new Date(Date.parse(iso) + (leap ? 1000 : 0));
  if (Number.isNaN(at.getTime())) return null;
  // Date.parse rolls 2026-02-30 over into March: refuse what is not on the calendar.
  const days = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  return Number(day) <= days && year !== '0000' ? at : null;
}

/** Whether the project exists is for the database to say; this is what it could not even look for. */
function checkProject(project: string): readonly Problem[] {
  if (!project.includes('\0') && project.isWellFormed()) return [];
  return [problem('project', 'NOT_FOUND', `no project ${JSON.stringify(project)}`)];
}

/** Problems of a payload, given as JSON text. */
export function checkData(data: string): readonly Problem[] {
  const bytes = Buffer.byteLength(data);
  if (bytes > MAX_DATA_BYTES) {
    return [problem('data', 'TOO_LARGE', `expected data of at most ${MAX_DATA_BYTES} bytes, got ${bytes}`)];
  }
  const depth = depthOf(data);
  if (depth > MAX_DATA_DEPTH) {
    return [
      problem('data', 'TOO_LARGE', `expected data nested at most ${MAX_DATA_DEPTH} levels, got ${depth}`),
    ];
  }
  return [];
}

/** Problems of a due time; `now` bounds how far ahead it may be. */
export function checkDue(event: Pick<NewEvent, 'delay' | 'timestamp'>, now: Date): readonly Problem[] {
  if (!Number.isFinite(event.delay) || event.delay < 0) {
    return [problem('delay', 'INVALID', `expected delay to be 0 or more seconds, got ${event.delay}`)];
  }
  const dueMs = (event.timestamp?.getTime() ?? now.getTime()) + event.delay * 1000;
  if (dueMs - now.getTime() > MAX_SCHEDULE_DAYS * 86_400_000) {
    const field = event.timestamp === null ? 'delay' : 'timestamp';
    return [
      problem(field, 'INVALID', `expected delivery to be due within ${MAX_SCHEDULE_DAYS} days from now`),
    ];
  }
  return [];
}

function checkSource(source: string | null): readonly Problem[] {
  if (source === null) return [];
  // RFC 3986: the characters a URI reference can hold; CloudEvents requires it to be non-empty.
  if (source.length <= 2048 && /^[\w\-.~:/?#[\]@!$&'()*+,;=%]+$/.test(source)) return [];
  return [
    problem('source', 'INVALID', 'expected source to be a URI reference of 1 to 2048 characters (RFC 3986)'),
  ];
}

function checkIdempotencyKey(key: string | null): readonly Problem[] {
  if (key === null || /^[\x21-\x7e]{1,255}$/.test(key)) return [];
  return [
    problem('idempotencyKey', 'INVALID', 'expected idempotencyKey to be 1 to 255 visible ASCII characters'),
  ];
}

/** W3C Trace Context, section 3.2.2, version 00. */
export function isTraceparent(text: string): boolean {
  return /^00-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/.test(text);
}

function checkTraceparent(traceparent: string | null): readonly Problem[] {
  if (traceparent === null || isTraceparent(traceparent)) return [];
  return [
    problem('traceparent', 'INVALID', 'expected traceparent to be a W3C Trace Context header, version 00'),
  ];
}
