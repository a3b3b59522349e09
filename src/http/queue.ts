/** The legacy REST endpoints: what Space Cloud's clients send, queued through the one door (wire.md section 2). */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Queue } from '../actions/queue-event.ts';
import { AppError, type Result } from '../domain/errors.ts';
import {
  CLOCK_TOLERANCE_MS,
  isTraceparent,
  MAX_BATCH_SIZE,
  type NewEvent,
  parseRfc3339,
  SMALLEST_EPOCH_MS,
} from '../domain/event.ts';
import { elementTexts, memberTexts } from '../domain/json.ts';
import { readBody } from '../request-body.ts';
import type { QueuedEvent } from '../store/events.ts';
import { problemOfInput, sendProblem } from './problem.ts';
import type { AwaitAnswer } from './synchronous.ts';

export interface QueueRoute {
  readonly project: string;
  /** SINGLE takes one event; SDK is the path that the SDKs call, whose clock may run ahead; BATCH takes several. */
  readonly kind: 'SINGLE' | 'SDK' | 'BATCH';
}

export interface QueueHandlerDeps {
  readonly queue: Queue;
  readonly awaitAnswer: AwaitAnswer;
  readonly maxBodyBytes: number;
}

/** The paths there are. */
export const QUEUE_PATHS = [
  '/queue',
  '/v1/api/{project}/event-triggers/queue',
  '/v1/api/{project}/eventing/queue',
  '/v1/api/{project}/eventing/admin-queue',
] as const;

/** The route of a path, null where it is none of ours. */
export function queueRoute(path: string): QueueRoute | null {
  if (path === '/queue') return { project: 'default', kind: 'SINGLE' };
  const match = /^\/v1\/api\/([^/]+)\/(event-triggers\/queue|eventing\/queue|eventing\/admin-queue)$/.exec(
    path,
  );
  const [, project, endpoint] = match ?? [];
  if (project === undefined) return null;
  const kind =
    endpoint === 'event-triggers/queue' ? 'SINGLE' : endpoint === 'eventing/queue' ? 'SDK' : 'BATCH';
  return { project: decode(project), kind };
}

/** Errors: AppError, for the caller to turn into a problem document. Nothing is stored on an error. */
export async function handleQueue(
  deps: QueueHandlerDeps,
  route: QueueRoute,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const text = await readBody(req, deps.maxBodyBytes);
  const call: Call = { route, headers: req.headers, now: new Date() };
  if (route.kind === 'BATCH') return queueBatch(deps, call, text, res);

  const body = parseObject(text);
  const synchronous = flag(body.isSynchronous, 'isSynchronous');
  const result = await deps.queue.queueEvent(readEvent(call, body, text, idempotencyKey(req), text));
  if (!result.ok) return sendProblem(res, problemOfInput(result.problems));
  const queued = answerOf(result.value);
  if (!synchronous) return sendJson(res, queued);

  const answer = await deps.awaitAnswer(queued.id, res);
  if (answer.kind === 'ANSWERED') return sendJson(res, { result: answer.result, ...queued });
  const document = { status: 504, title: 'Gateway Timeout', code: 'TIMEOUT', detail: answer.detail };
  sendProblem(res, document, queued);
}

interface Call {
  readonly route: QueueRoute;
  readonly headers: IncomingMessage['headers'];
  readonly now: Date;
}

type JsonObject = Readonly<Record<string, unknown>>;

async function queueBatch(
  deps: QueueHandlerDeps,
  call: Call,
  text: string,
  res: ServerResponse,
): Promise<void> {
  const { events } = parseObject(text);
  if (!Array.isArray(events) || events.length === 0 || events.length > MAX_BATCH_SIZE) {
    throw new AppError('INVALID', `expected events to be an array of 1 to ${MAX_BATCH_SIZE} events`);
  }
  const texts = elementTexts(memberTexts(text).get('events') ?? '[]');
  const given = idempotencyKey({ headers: call.headers });
  const key = given !== null && given.length > MAX_BATCH_KEY_LENGTH ? sha256(given) : given;
  const batch = texts.map((one, index) =>
    // One key stands for the whole call: each event of it gets its own, by position, and all stand for its whole body.
    withIndex(index, () =>
      readEvent(call, parseObject(one), one, key === null ? null : `${key}/${index}`, text),
    ),
  );
  const result: Result<readonly QueuedEvent[]> = await deps.queue.queueEvents(batch);
  if (!result.ok) return sendProblem(res, problemOfInput(result.problems));
  sendJson(res, { events: result.value.map(answerOf) });
}

function answerOf({ eventId, invocations }: QueuedEvent) {
  return { id: eventId, invocations };
}

/** Says which event of a batch is wrong. */
function withIndex<T>(index: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof AppError ? new AppError(error.code, `events.${index}: ${error.message}`) : error;
  }
}

/** With an index behind it a key still fits. */
const MAX_BATCH_KEY_LENGTH = 240;

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function sendJson(res: ServerResponse, body: unknown): void {
  // Legacy clients want exactly 200 and a JSON body.
  res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function readEvent(
  call: Call,
  body: JsonObject,
  text: string,
  key: string | null,
  request: string,
): NewEvent {
  const { type, options } = body;
  if (typeof type !== 'string')
    throw new AppError('INVALID', `expected type to be a string, got ${kindOf(type)}`);
  if (options != null && typeof options !== 'object') {
    throw new AppError('INVALID', `expected options to be an object, got ${kindOf(options)}`);
  }
  const members = memberTexts(text);
  const { traceparent, tracestate } = call.headers;
  const traced = typeof traceparent === 'string' && isTraceparent(traceparent);
  return {
    type,
    data: members.get('payload') ?? members.get('data') ?? 'null',
    delay: readDelay(body.delay),
    timestamp: readTimestamp(call, body),
    project: call.route.project,
    source: null,
    idempotencyKey: key,
    ...(key !== null && { fingerprint: sha256(call.route.kind + request) }),
    traceparent: traced ? traceparent : null,
    tracestate: traced && typeof tracestate === 'string' ? tracestate.slice(0, 512) : null,
    origin: 'REST',
  };
}

function readDelay(delay: unknown): number {
  if (delay === undefined || delay === null) return 0;
  if (typeof delay === 'number' && delay >= 0) return delay;
  throw new AppError('INVALID', `expected delay to be a number of seconds, 0 or more, got ${shown(delay)}`);
}

function readTimestamp({ route, now }: Call, { timestamp, options }: JsonObject): Date | null {
  if (timestamp === undefined || timestamp === null || timestamp === '') return null;
  const at =
    typeof timestamp === 'number'
      ? fromEpoch(timestamp)
      : typeof timestamp === 'string'
        ? parseRfc3339(timestamp)
        : null;
  if (at === null || Number.isNaN(at.getTime())) {
    throw new AppError(
      'INVALID',
      `expected timestamp to be epoch milliseconds, epoch seconds or RFC 3339, got ${shown(timestamp)}`,
    );
  }
  // The SDKs send their own "now" with every call that names no date. A clock a little ahead of ours must not delay it.
  const fromSdk = route.kind === 'SDK' && typeof timestamp === 'string' && options !== undefined;
  const ahead = at.getTime() - now.getTime();
  return fromSdk && ahead > 0 && ahead <= CLOCK_TOLERANCE_MS ? null : at;
}

function fromEpoch(value: number): Date {
  return new Date(value >= SMALLEST_EPOCH_MS ? value : value * 1000);
}

function flag(value: unknown, name: string): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value === 'boolean') return value;
  throw new AppError('INVALID', `expected ${name} to be a boolean, got ${kindOf(value)}`);
}

/** The Idempotency-Key header, bare or as a quoted string (RFC 8941 section 3.3.3). */
function idempotencyKey({ headers }: { readonly headers: IncomingMessage['headers'] }): string | null {
  const header = headers['idempotency-key'];
  if (typeof header !== 'string' || header.trim() === '') return null;
  return header.trim().replace(/^"(.*)"$/, '$1');
}

function parseObject(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : 'it is nested too deeply';
    throw new AppError('INVALID', `expected a JSON object: ${reason}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AppError('INVALID', `expected a JSON object, got ${kindOf(value)}`);
  }
  return value as JsonObject;
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function shown(value: unknown): string {
  return typeof value === 'number' || typeof value === 'string'
    ? JSON.stringify(value).slice(0, 60)
    : kindOf(value);
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
