/** An event in plain words. Pure: from what the API says to text. */
import type { AttemptErrorCode } from '../domain/attempt.ts';
import type { EventOrigin, EventStatus } from '../domain/event.ts';
import type { AttemptStatus, FailureReason, InvocationStatus } from '../domain/invocation.ts';
import type { TriggerStatus, TriggerStatusReason } from '../domain/trigger.ts';
import { paint, plain, shortened } from './output.ts';
import { suggestion } from './suggest.ts';
import { clockTime, dayAndTime, duration, fromNow } from './time.ts';
import { ERROR, EVENT_STYLE, FAILURE, INVOCATION_STYLE, ORIGIN, PAUSE } from './words.ts';

/** What has to be asked of an Event for an `ExplainedEvent`. */
export const EVENT_FIELDS = `id project type source dataText dataSize dataRemoved status receivedAt dueAt finishedAt origin
  replayOf { id } idempotencyKey invocations(first: 100) { nodes {
    id triggerName status failureReason attemptCount maxAttempts nextAttemptAt finishedAt deliveryLatencyMs
    attempts(last: 100) { nodes {
      id number status cause errorCode errorMessage startedAt finishedAt durationMs
      request { url } response { statusCode body remoteAddress }
    } }
  } }`;

export interface ExplainedEvent {
  readonly id: string;
  readonly project: string;
  readonly type: string;
  readonly dataText: string | null;
  readonly dataSize: number;
  readonly dataRemoved: boolean;
  readonly status: EventStatus;
  readonly receivedAt: string;
  readonly dueAt: string;
  readonly finishedAt: string | null;
  readonly origin: EventOrigin;
  readonly replayOf: { readonly id: string } | null;
  readonly idempotencyKey: string | null;
  readonly invocations: { readonly nodes: readonly ExplainedInvocation[] };
}

export interface ExplainedInvocation {
  readonly id: string;
  readonly triggerName: string;
  readonly status: InvocationStatus;
  readonly failureReason: FailureReason | null;
  readonly attemptCount: number;
  readonly maxAttempts: number;
  readonly nextAttemptAt: string | null;
  readonly deliveryLatencyMs: number | null;
  readonly attempts: { readonly nodes: readonly ExplainedAttempt[] };
}

export interface ExplainedAttempt {
  readonly number: number;
  readonly status: AttemptStatus;
  readonly errorCode: AttemptErrorCode | null;
  readonly errorMessage: string | null;
  readonly startedAt: string;
  readonly durationMs: number | null;
  readonly request: { readonly url: string };
  readonly response: { readonly statusCode: number; readonly body: string | null } | null;
}

/** A trigger of the project of an event that no trigger matched. */
export interface Rival {
  readonly name: string;
  readonly type: string;
  readonly status: TriggerStatus;
  readonly createdAt: string;
  readonly statusChangedAt: string;
}

export interface Explanation {
  readonly event: ExplainedEvent;
  readonly rivals: readonly Rival[];
  /** By invocation: why its trigger is paused, as far as that is known. */
  readonly pauses: ReadonlyMap<string, TriggerStatusReason>;
  readonly nowMs: number;
}

/** Characters shown of the data, and of a response's body. */
const SHOWN_DATA = 200;
const SHOWN_BODY = 120;
/** Later than this after its time, and something holds it up. */
const LATE_MS = 5000;

export function explain(explanation: Explanation): string {
  const { event, rivals, nowMs } = explanation;
  const { id, type, status, project, receivedAt, dueAt, origin, replayOf, idempotencyKey } = event;
  const isScheduled = Date.parse(dueAt) - Date.parse(receivedAt) > 1000;
  const key = idempotencyKey === null ? '' : ` with the idempotency key ${plain(idempotencyKey)}`;
  return [
    `${paint('bold', plain(type))}  ${paint(EVENT_STYLE[status], status)}  ${paint('dim', id)}`,
    `  queued ${dayAndTime(receivedAt)} ${ORIGIN[origin]}${replayOf === null ? '' : ` of ${replayOf.id}`} in the project ${project}${key}`,
    ...(isScheduled ? [`  due ${dayAndTime(dueAt)} (${fromNow(dueAt, nowMs)})`] : []),
    `  data ${describeData(event)}`,
    ...event.invocations.nodes.flatMap((invocation) => ['', ...explainInvocation(invocation, explanation)]),
    '',
    verdict(event, rivals),
  ].join('\n');
}

function describeData({ dataText, dataSize, dataRemoved }: ExplainedEvent): string {
  if (dataRemoved) return `removed by retention (${dataSize} bytes)`;
  return dataText === null ? 'none' : shortened(dataText, SHOWN_DATA);
}

function explainInvocation(invocation: ExplainedInvocation, explanation: Explanation): readonly string[] {
  const { triggerName, status, id, attempts, attemptCount } = invocation;
  const [latest] = attempts.nodes.slice(-1);
  const to = latest === undefined ? '' : ` ${plain(latest.request.url)}`;
  const unseen = attemptCount - attempts.nodes.length;
  return [
    `→ ${paint('bold', plain(triggerName))}${to}  ${paint(INVOCATION_STYLE[status], status)}  ${paint('dim', id)}`,
    ...(unseen > 0 ? [`    ${unseen} more attempts before these`] : []),
    ...attempts.nodes.map((attempt) => `    ${explainAttempt(attempt)}`),
    `  ${describeState(invocation, explanation)}`,
  ];
}

/** Cancelled, and received all the same. */
function wasAnswered({ attempts }: ExplainedInvocation): boolean {
  return attempts.nodes.some(({ status }) => status === 'SUCCEEDED');
}

export function explainAttempt(attempt: ExplainedAttempt): string {
  const { number, startedAt, durationMs, status, response } = attempt;
  const took = durationMs === null ? '' : ` after ${duration(durationMs)}`;
  const start = `${clockTime(startedAt)}  #${number}`;
  switch (status) {
    case 'RUNNING':
      return `${start}  in flight`;
    case 'SUCCEEDED':
      return `${start}  ${paint('green', `${response?.statusCode ?? '2xx'}`)}${took}`;
    case 'ABANDONED':
    case 'FAILED':
      return `${start}  ${paint('red', response === null ? 'no answer' : String(response.statusCode))}${took}: ${describeFailure(attempt)}${quoteBody(attempt)}`;
  }
}

/** E.g. `nothing listens at that address (connect ECONNREFUSED 127.0.0.1:3000)`. */
export function describeFailure({
  errorCode,
  errorMessage,
  response,
}: Pick<ExplainedAttempt, 'errorCode' | 'errorMessage' | 'response'>): string {
  const meaning = errorCode === null ? 'failed' : ERROR[errorCode];
  if (response !== null || errorMessage === null) return meaning;
  return `${meaning} (${shortened(errorMessage, SHOWN_BODY)})`;
}

function quoteBody({ response }: ExplainedAttempt): string {
  return response?.body ? paint('dim', `  ${shortened(response.body, SHOWN_BODY)}`) : '';
}

/** Where the invocation stands, and what it waits for. */
function describeState(invocation: ExplainedInvocation, { pauses, nowMs }: Explanation): string {
  const { status, failureReason, attemptCount, maxAttempts, nextAttemptAt, deliveryLatencyMs } = invocation;
  const next = nextAttemptAt === null ? '' : ` ${fromNow(nextAttemptAt, nowMs)}`;
  switch (status) {
    case 'SCHEDULED':
      return `Not due yet: the first attempt comes${next}.`;
    case 'HELD': {
      const reason = pauses.get(invocation.id);
      const why = reason === undefined ? '' : ` (${PAUSE[reason]})`;
      return `Held: the trigger is paused${why}. \`triggers resume ${plain(invocation.triggerName)}\` lets it go.`;
    }
    case 'QUEUED': {
      const lateMs = nextAttemptAt === null ? 0 : nowMs - Date.parse(nextAttemptAt);
      return lateMs < LATE_MS
        ? 'Due, and about to be attempted.'
        : `Due for ${duration(lateMs)} and not begun: no process with ROLES=worker runs, all are busy, or the trigger is at its maxConcurrency or maxPerMinute.`;
    }
    case 'RUNNING':
      return `Attempt ${attemptCount} of ${maxAttempts} is in flight.`;
    case 'RETRYING':
      return `Attempt ${attemptCount} of ${maxAttempts} failed; the next one comes${next}.`;
    case 'SUCCEEDED':
      return `Delivered${deliveryLatencyMs === null ? '' : ` ${duration(deliveryLatencyMs)} after it was due`}, at attempt ${attemptCount} of ${maxAttempts}.`;
    case 'FAILED':
      return `Given up after ${attemptCount} of ${maxAttempts} attempts: ${failureReason === null ? 'nobody knows why' : FAILURE[failureReason]}.`;
    case 'CANCELLED':
      return 'Cancelled, or its trigger was deleted.';
  }
}

/** The answer to "was it delivered?" in a sentence. */
function verdict(event: ExplainedEvent, rivals: readonly Rival[]): string {
  const all = event.invocations.nodes;
  const of = all.length === 1 ? 'its trigger' : `all ${all.length} triggers`;
  switch (event.status) {
    case 'SUCCEEDED':
      return paint('green', `It was delivered to ${of}.`);
    case 'FAILED': {
      const failed = all
        .filter(({ status }) => status === 'FAILED')
        .map(({ triggerName }) => plain(triggerName));
      return paint('red', `It was not delivered to ${failed.join(', ')}.`);
    }
    case 'IN_PROGRESS': {
      const goesOn = all.some(({ status }) =>
        ['QUEUED', 'RUNNING', 'RETRYING', 'SCHEDULED'].includes(status),
      );
      return !goesOn && all.some(({ status }) => status === 'HELD')
        ? paint('yellow', 'It is held, until what is paused is resumed.')
        : paint('cyan', 'It is on its way.');
    }
    case 'SCHEDULED':
      return paint('blue', 'It is not due yet.');
    case 'CANCELLED':
      return event.invocations.nodes.some(wasAnswered)
        ? 'It was cancelled while an attempt was in flight, which the receiver took.'
        : 'It was cancelled before it was delivered.';
    case 'UNMATCHED':
      return paint('yellow', explainUnmatched(event, rivals));
  }
}

function explainUnmatched(
  { id, type, project, receivedAt }: ExplainedEvent,
  rivals: readonly Rival[],
): string {
  const queuedAt = Date.parse(receivedAt);
  const fact = `It was delivered to nobody: no trigger of the project ${project} took events of the type ${JSON.stringify(plain(type))} when it was queued.`;
  const same = rivals.find((trigger) => trigger.type === type);
  if (same !== undefined && Date.parse(same.createdAt) > queuedAt) {
    return `${fact}\nThe trigger ${plain(same.name)} came ${duration(Date.parse(same.createdAt) - queuedAt)} later. \`replay ${id}\` queues the event again.`;
  }
  if (same !== undefined) {
    return `${fact}\nThe trigger ${plain(same.name)} takes it now (${same.status} since ${dayAndTime(same.statusChangedAt)}): it was disabled then, or had another type.`;
  }
  const others = [...new Set(rivals.map((trigger) => trigger.type))];
  const near =
    others.find((other) => other.toLowerCase() === type.toLowerCase()) ??
    /mean (.*)\?/.exec(suggestion(type, others))?.[1];
  if (near === undefined) return `${fact} Types must be equal to the letter.`;
  return `${fact} There is one for ${JSON.stringify(plain(near))}: types must be equal to the letter.`;
}
