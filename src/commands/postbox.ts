/** Keeps events until they are due and forwards them, several at once. */
import type { Arrival } from './arrivals.ts';
import { ApiError, type Connection } from './connection.ts';
import { type Forwarded, type ForwardedEvent, type ForwardOptions, forward } from './forward.ts';
import { type Output, paint, plain, shortened } from './output.ts';
import { clockTime, duration } from './time.ts';

export interface Postbox {
  /** Resolves when there is room for more. */
  take(arrival: Arrival): Promise<void>;
  /** Ends what is in flight; says how many were not due yet. */
  close(): Promise<number>;
}

/** Requests at once, as a worker would have for one receiver. */
const MAX_IN_FLIGHT = 10;
/** Events kept that are not due yet; only their ids and times. */
const MAX_KEPT = 100_000;
/** Due events that may wait for a place. */
const MAX_DUE = 1000;
/** Longest timer that Node has; what is due later is looked at again then. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Until the next look at an event that is not due by Herald's clock although it is by ours. */
const CLOCK_PAUSE_MS = 250;
/** Characters shown of a body. */
const SHOWN_BODY = 120;

type DueEvent = ForwardedEvent & { readonly project: string; readonly status: string };

export function createPostbox(connection: Connection, options: ForwardOptions, output: Output): Postbox {
  /** Not due yet. */
  const timers = new Map<string, NodeJS.Timeout>();
  /** Due, and waiting for a place. */
  const due: string[] = [];
  const inFlight = new Set<Promise<void>>();
  let hasOverflowed = false;
  let isClosed = false;

  function keep(id: string, ms: number): void {
    if (isClosed) return;
    const begin = (): void => {
      timers.delete(id);
      due.push(id);
      pump();
    };
    timers.set(id, setTimeout(begin, Math.min(Math.max(ms, 0), MAX_TIMER_MS)));
  }

  function pump(): void {
    while (!isClosed && inFlight.size < MAX_IN_FLIGHT) {
      const id = due.shift();
      if (id === undefined) return;
      const work = deliver(id).finally(() => {
        inFlight.delete(work);
        pump();
      });
      inFlight.add(work);
    }
  }

  /** What has become of the event is read now: it may have been cancelled, or its data removed. */
  async function deliver(id: string): Promise<void> {
    const event = await read(id);
    if (event === 'LATER') return keep(id, CLOCK_PAUSE_MS);
    if (event === null || event.status === 'CANCELLED') return;
    if (event.status === 'SCHEDULED') {
      return keep(id, Math.max(Date.parse(event.dueAt) - Date.now(), CLOCK_PAUSE_MS));
    }
    const result = await forward(event, options);
    if (!options.signal.aborted) await output.show(asJson(event, result), () => describe(event, result));
  }

  async function read(id: string): Promise<DueEvent | 'LATER' | null> {
    try {
      const { event } = await connection.ask<{ event: DueEvent | null }>(
        'query ($id: ID!) { event(id: $id) { id project type source status dueAt dataText traceparent } }',
        { id },
      );
      return event;
    } catch (error) {
      if (options.signal.aborted) return null;
      if (error instanceof ApiError && error.isPassing) return 'LATER';
      output.remark(`${id} is not forwarded: ${error instanceof Error ? error.message : error}`);
      return null;
    }
  }

  return {
    async take({ id, dueAt }) {
      const waitMs = Date.parse(dueAt) - Date.now();
      if (waitMs > 0 && timers.size >= MAX_KEPT) {
        if (!hasOverflowed) output.remark(`${MAX_KEPT} events are not due yet; further ones are left out.`);
        hasOverflowed = true;
        return;
      }
      keep(id, waitMs);
      while (due.length > MAX_DUE && !isClosed) await Promise.race(inFlight);
    },
    async close() {
      isClosed = true;
      for (const timer of timers.values()) clearTimeout(timer);
      await Promise.all(inFlight);
      return timers.size;
    },
  };
}

function asJson({ id, project, type, dueAt }: DueEvent, result: Forwarded): object {
  return { kind: 'FORWARDED', at: new Date().toISOString(), event: { id, project, type, dueAt }, ...result };
}

function describe({ id, type }: DueEvent, result: Forwarded): string {
  const start = `${paint('dim', clockTime(new Date().toISOString()))}  ${paint('bold', plain(type))} →`;
  const end = ` in ${duration(result.durationMs)}  ${paint('dim', id)}`;
  if ('error' in result) return `${start} ${paint('red', plain(result.error))}${end}`;
  const { statusCode, body } = result;
  const isOk = statusCode >= 200 && statusCode < 300;
  const quote = isOk || body === '' ? '' : `  ${paint('dim', shortened(body, SHOWN_BODY))}`;
  return `${start} ${paint(isOk ? 'green' : 'red', String(statusCode))}${end}${quote}`;
}
