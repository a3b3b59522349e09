/**
 * The generator of load, in a process of its own. CLOSED: so many connections, each calls again as soon as it is
 * answered. OPEN: calls go out at a fixed rate whatever becomes of them, and time counts from the moment a call was
 * meant to go out, so that a stall is not measured once but for all who would have called meanwhile.
 */
import { createHistogram } from 'node:perf_hooks';
import { Pool } from 'undici';
import { type Call, isAccepted, writeCall } from './calls.ts';
import { epochMs, setClock } from './clock.ts';
import { answerWith } from './inbox.ts';
import { type Distribution, distributionOf } from './latency.ts';

export type LoadQuestion =
  | {
      readonly kind: 'CLOSED';
      readonly call: Call;
      readonly connections: number;
      readonly durationMs: number;
    }
  | {
      readonly kind: 'OPEN';
      readonly call: Call;
      /** Events a second. */
      readonly rate: number;
      readonly durationMs: number;
    }
  | { readonly kind: 'PROGRESS' };

export interface LoadAnswer {
  readonly calls: number;
  /** Events that were acknowledged. */
  readonly events: number;
  readonly failures: number;
  readonly firstFailure: string | null;
  readonly seconds: number;
  /** From the moment a call was meant to go out to its acknowledgement, of those that succeeded. */
  readonly latency: Distribution;
  /** OPEN: the load was broken off, because too many calls were waiting for their answers. */
  readonly collapsed: boolean;
}

export interface LoadProgress {
  /** Events whose time to be sent has come. */
  readonly offered: number;
  readonly acknowledged: number;
}

/** Connections of an open load: as many as a busy client would have. */
const OPEN_CONNECTIONS = 128;
/** Calls without an answer at which an open load gives up. */
const MAX_UNANSWERED = 20_000;
const CALL_TIMEOUT_MS = 60_000;

let progress: LoadProgress = { offered: 0, acknowledged: 0 };

class Tally {
  calls = 0;
  events = 0;
  failures = 0;
  firstFailure: string | null = null;
  readonly #histogram = createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 3 });

  note(events: number, ms: number): void {
    this.calls++;
    this.events += events;
    this.#histogram.record(Math.max(1, Math.round(ms * 1000)));
  }

  fail(why: string): void {
    this.failures++;
    this.firstFailure ??= why.slice(0, 500);
  }

  close(startedAt: number, collapsed: boolean): LoadAnswer {
    const { calls, events, failures, firstFailure } = this;
    const seconds = (performance.now() - startedAt) / 1000;
    return {
      calls,
      events,
      failures,
      firstFailure,
      seconds,
      latency: distributionOf(this.#histogram),
      collapsed,
    };
  }
}

function openPool(call: Call, connections: number): Pool {
  return new Pool(new URL(call.url).origin, {
    connections,
    pipelining: 1,
    headersTimeout: CALL_TIMEOUT_MS,
    bodyTimeout: CALL_TIMEOUT_MS,
  });
}

async function send(pool: Pool, call: Call, tally: Tally, sentAt: number): Promise<void> {
  try {
    const { path, headers, body } = writeCall(call, sentAt);
    const answer = await pool.request({ path, method: 'POST', headers, body });
    const text = await answer.body.text();
    if (isAccepted(answer.statusCode, text)) tally.note(call.batch, epochMs() - sentAt);
    else tally.fail(`${answer.statusCode} ${text}`);
  } catch (error) {
    tally.fail(String(error));
  }
}

async function closed({
  call,
  connections,
  durationMs,
}: LoadQuestion & { kind: 'CLOSED' }): Promise<LoadAnswer> {
  const pool = openPool(call, connections);
  const tally = new Tally();
  const startedAt = performance.now();
  const ask = async (): Promise<void> => {
    while (performance.now() - startedAt < durationMs) await send(pool, call, tally, epochMs());
  };
  await Promise.all(Array.from({ length: connections }, ask));
  const answer = tally.close(startedAt, false);
  await pool.close();
  return answer;
}

async function open({ call, rate, durationMs }: LoadQuestion & { kind: 'OPEN' }): Promise<LoadAnswer> {
  const pool = openPool(call, OPEN_CONNECTIONS);
  const tally = new Tally();
  const intervalMs = (1000 * call.batch) / rate;
  const calls = Math.ceil(durationMs / intervalMs);
  const startedAt = performance.now();
  const firstAt = epochMs() + 10;
  const unanswered = new Set<Promise<void>>();
  let next = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const now = epochMs();
      for (; next < calls && firstAt + next * intervalMs <= now; next++) {
        const sending = send(pool, call, tally, firstAt + next * intervalMs);
        unanswered.add(sending);
        void sending.finally(() => unanswered.delete(sending));
      }
      progress = { offered: next * call.batch, acknowledged: tally.events };
      if (next < calls && unanswered.size < MAX_UNANSWERED) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  const collapsed = next < calls;
  await Promise.all(unanswered);
  progress = { offered: next * call.batch, acknowledged: tally.events };
  const answer = tally.close(startedAt, collapsed);
  await pool.close();
  return answer;
}

answerWith((question: LoadQuestion) => {
  if (question.kind === 'PROGRESS') return progress;
  progress = { offered: 0, acknowledged: 0 };
  setClock();
  return question.kind === 'CLOSED' ? closed(question) : open(question);
});
