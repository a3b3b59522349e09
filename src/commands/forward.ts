/** Sends an event to a local receiver the way a delivery would. */
import { type KeyObject, randomBytes } from 'node:crypto';
import { type ClientRequest, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Header } from '../domain/attempt.ts';
import { type ContentMode, deliveryHeaders, envelope, type SpecVersion } from '../domain/envelope.ts';
import { sign } from '../domain/signature.ts';
import { attemptTraceparent } from '../domain/trace.ts';
import { VERSION } from '../version.ts';

export interface ForwardOptions {
  readonly target: URL;
  readonly key: KeyObject;
  readonly contentMode: ContentMode;
  readonly specVersion: SpecVersion;
  readonly headers: readonly Header[];
  /** From the first packet to the status line. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface ForwardedEvent {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly dueAt: string;
  readonly dataText: string | null;
  readonly traceparent: string | null;
}

export type Forwarded =
  /** `body` is the beginning of it. */
  | { readonly statusCode: number; readonly body: string; readonly durationMs: number }
  | { readonly error: string; readonly durationMs: number };

/** Bytes kept of a response's body. */
const KEPT_BODY = 1024;

/**
 * Never rejects. There is no invocation whose id could be sent, so `webhook-id` is the event's: the same however often
 * it is forwarded.
 */
export async function forward(event: ForwardedEvent, options: ForwardOptions): Promise<Forwarded> {
  const startedAt = performance.now();
  try {
    const { statusCode, body } = await post(event, options);
    return { statusCode, body, durationMs: Math.round(performance.now() - startedAt) };
  } catch (error) {
    const durationMs = Math.round(performance.now() - startedAt);
    return { error: reasonOf(error), durationMs };
  }
}

function post(
  event: ForwardedEvent,
  options: ForwardOptions,
): Promise<{ readonly statusCode: number; readonly body: string }> {
  const { target, timeoutMs, signal } = options;
  const { headers, body } = build(event, options);
  const send = target.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const request: ClientRequest = send(target, { method: 'POST', headers, signal });
    const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    request.once('response', (response) => {
      clearTimeout(timer);
      let kept = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        if (kept.length < KEPT_BODY) kept += piece.slice(0, KEPT_BODY - kept.length);
      });
      // The status line decides; a body that breaks off changes nothing.
      response.once('close', () => resolve({ statusCode: response.statusCode ?? 0, body: kept }));
      response.once('error', () => {});
    });
    request.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    request.end(body);
  });
}

/** Header fields and body, in the order of a delivery's. */
function build(event: ForwardedEvent, { key, contentMode, specVersion, headers, target }: ForwardOptions) {
  const { id, type, source, traceparent } = event;
  const content = envelope(
    { id, type, source, dueAt: new Date(event.dueAt), data: event.dataText ?? 'null' },
    contentMode,
    specVersion,
  );
  const timestamp = Math.floor(Date.now() / 1000);
  const own = deliveryHeaders({
    version: VERSION,
    id,
    timestamp,
    signature: sign([key], id, timestamp, content.body),
    traceparent: attemptTraceparent(traceparent, id, randomBytes(8).toString('hex')),
    tracestate: null,
  });
  const flat = [...content.headers, ...own, ...headers].flat();
  return {
    headers: [
      'host',
      target.host,
      'connection',
      'keep-alive',
      ...flat,
      'accept-encoding',
      'identity',
      'content-length',
      String(content.body.length),
    ],
    body: content.body,
  };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // localhost may be two addresses, and Node tries both.
  const [first] = error instanceof AggregateError ? error.errors : [error];
  return first instanceof Error ? first.message : error.message;
}
