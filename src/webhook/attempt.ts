import type { Dispatcher } from 'undici';
import type {
  AttemptErrorCode,
  Header,
  Outcome,
  ReceivedResponse,
  Timings,
  WebhookRequest,
} from '../domain/attempt.ts';
import { BodyHead } from './body.ts';
import { classifyError, classifyStatus, isShortage } from './classify.ts';
import type { Phase, Target } from './connect.ts';
import { flattenHeaders, type ReceivedHeaders, readHeaders } from './headers.ts';
import type { Lane, Lanes, LaneUser } from './lanes.ts';

/**
 * One request on its way: waits for a lane, is undici's handler on it, and resolves exactly once with an Outcome.
 * The first final status line decides; from then on only the body is in question, and for a short time.
 */
export class Attempt implements LaneUser, Dispatcher.DispatchHandler {
  phase: Phase = 'queue';
  lookedUpAt: number | null = null;
  connectedAt: number | null = null;
  securedAt: number | null = null;
  readonly #startedAt: number;
  readonly #request: WebhookRequest;
  readonly #requestHeaders: string[];
  readonly #target: Target;
  readonly #lanes: Lanes;
  readonly #resolve: (outcome: Outcome) => void;
  #timer: NodeJS.Timeout;
  #lane: Lane | null = null;
  #ended = false;
  /** Written to a connection that has served before. */
  #reused = false;
  #retried = false;
  #firstByteAt: number | null = null;
  #status = 0;
  #headers: readonly Header[] = [];
  readonly #body = new BodyHead();

  constructor(
    request: WebhookRequest,
    target: Target,
    lanes: Lanes,
    startedAt: number,
    resolve: (outcome: Outcome) => void,
  ) {
    this.#request = request;
    this.#requestHeaders = flattenHeaders(request.headers);
    this.#target = target;
    this.#lanes = lanes;
    this.#startedAt = startedAt;
    this.#resolve = resolve;
    this.#timer = setTimeout(onTimer, Math.min(request.timeoutMs, MAX_TIMER_MS), this);
  }

  board(lane: Lane): void {
    this.#lane = lane;
    this.#dispatch(lane);
  }

  onRequestStart(): void {
    this.phase = 'request';
    this.#reused = (this.#lane?.served ?? 0) > 0;
  }

  /** The first byte of an answer, be it 1xx. */
  onResponseStarted(): void {
    this.#firstByteAt ??= performance.now();
  }

  onResponseStart(_controller: unknown, status: number, headers: ReceivedHeaders): void {
    if (this.#ended || (status >= 100 && status < 200)) return; // 102, 103: the answer is still to come
    if (status < 100) {
      this.#end('PROTOCOL', `expected a status between 100 and 999, got ${status}`, null);
      return;
    }
    this.#status = status;
    this.#headers = readHeaders(headers);
    const now = performance.now();
    if (this.#startedAt + this.#request.timeoutMs - now > BODY_GRACE_MS) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(onTimer, BODY_GRACE_MS, this);
    }
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    if (!this.#ended && !this.#body.add(chunk)) this.#answered('cut');
  }

  onResponseEnd(): void {
    if (!this.#ended) this.#answered('complete');
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.#ended) return;
    const { code, message } = classifyError(error);
    if (this.#status !== 0) this.#answered('cut');
    else if (code === 'CONNECTION_RESET' && this.#isStale()) this.#retry();
    else this.#end(code, message, null, isShortage(error));
  }

  /** The deadline, or the end of the body's grace. */
  expire(): void {
    if (this.#ended) return;
    if (this.#status !== 0) this.#answered('cut');
    else this.#end('TIMEOUT', `${MISSING[this.phase]} within ${this.#request.timeoutMs} ms`, null);
  }

  /** The receiver closed an idle connection just as it was reused, and has shown no sign of reading the request. */
  #isStale(): boolean {
    return this.#reused && !this.#retried && this.#firstByteAt === null;
  }

  /** On the same lane: its socket is gone, so undici opens a new one. Not from inside undici's clean-up of the old. */
  #retry(): void {
    this.#retried = true;
    this.#reused = false;
    this.phase = 'queue';
    queueMicrotask(() => {
      if (!this.#ended && this.#lane !== null) this.#dispatch(this.#lane);
    });
  }

  #dispatch(lane: Lane): void {
    const { host, path, secure } = this.#target;
    const options = {
      path,
      method: 'POST',
      headers: this.#requestHeaders,
      body: this.#request.body,
      // Fixed, else undici would reconnect whenever requests of one origin differ in their Host header.
      servername: secure ? host : undefined,
    };
    lane.client.dispatch(options, this);
  }

  #answered(body: 'complete' | 'cut'): void {
    const failure = classifyStatus(this.#status);
    const response: ReceivedResponse = {
      statusCode: this.#status,
      headers: this.#headers,
      body: this.#body.take(),
      bodyTruncated: body === 'cut',
      remoteAddress: this.#lane?.remoteAddress ?? null,
    };
    this.#end(failure?.code ?? null, failure?.message ?? null, response);
  }

  #end(
    errorCode: AttemptErrorCode | null,
    errorMessage: string | null,
    response: ReceivedResponse | null,
    shortage = false,
  ): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    const outcome = { errorCode, errorMessage, response, timings: this.#timings() };
    this.#resolve(shortage ? { ...outcome, shortage } : outcome);
    const lane = this.#lane;
    this.#lane = null;
    if (lane === null) this.#lanes.leave(this.#target, this);
    else if (response !== null && !response.bodyTruncated) this.#lanes.release(lane);
    else this.#lanes.discard(lane);
  }

  #timings(): Timings {
    const since = (at: number | null) => (at === null ? null : Math.round((at - this.#startedAt) * 10) / 10);
    return {
      dnsMs: since(this.lookedUpAt),
      connectMs: since(this.connectedAt),
      tlsMs: since(this.securedAt),
      firstByteMs: since(this.#firstByteAt),
      totalMs: Math.round((performance.now() - this.#startedAt) * 10) / 10,
    };
  }
}

/** How long a body may take after the status line decided, in ms; never beyond the deadline. */
const BODY_GRACE_MS = 1_000;

/** Beyond this Node's timers fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const MISSING: Readonly<Record<Phase, string>> = {
  queue: 'no free connection',
  lookup: 'no answer to the name lookup',
  connect: 'no connection',
  handshake: 'no TLS session',
  request: 'no status line',
};

/** Sockets are read once more before a timer counts: an answer that came while the event loop stalled is an answer. */
function onTimer(attempt: Attempt): void {
  setImmediate(expire, attempt);
}

function expire(attempt: Attempt): void {
  attempt.expire();
}
