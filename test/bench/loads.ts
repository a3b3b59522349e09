/** An open load on one target, watched until all of it has been delivered or it has become clear that it will not be. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Call } from './calls.ts';
import type { Lab } from './lab.ts';
import type { Distribution } from './latency.ts';
import type { LoadAnswer, LoadProgress, LoadQuestion } from './load.ts';
import type { LaneCount } from './receiver.ts';

export interface Step {
  /** Events a second, offered. */
  readonly rate: number;
  readonly seconds: number;
  /** No call failed, and what was not yet delivered in the last quarter was less than a quarter of a second's events. */
  readonly held: boolean;
  /** Events offered and not yet received, each second. */
  readonly backlog: readonly number[];
  readonly failures: number;
  readonly firstFailure: string | null;
  /** From the moment a call was meant to go out to its acknowledgement. */
  readonly acknowledged: Distribution;
  /** By lane. */
  readonly lanes: Readonly<Record<string, LaneCount>>;
}

/** Where calls go. */
export interface LoadTarget {
  readonly url: string;
  readonly types: readonly string[];
  readonly kind: 'QUEUE_EVENT' | 'HAND_ROLLED';
}

/** Above this rate the client sends `queueEvents`, so many batches a second. */
const SINGLE_CALLS_UP_TO = 500;
const BATCHES_PER_SECOND = 100;
/** A backlog of so many seconds' events, or less, does not grow. */
const HELD_SECONDS = 0.25;
/** How long what is left may take to be delivered; a step that was held needs a fraction of it. */
const REST_MS = 15_000;

/** What the client sends at a rate. */
export function callAt({ url, types, kind }: LoadTarget, rate: number): Call {
  if (kind === 'HAND_ROLLED' || rate <= SINGLE_CALLS_UP_TO) return { kind, url, types, batch: 1 };
  return { kind: 'QUEUE_EVENTS', url, types, batch: Math.round(rate / BATCHES_PER_SECOND) };
}

export const CALLS_NOTE = `up to ${SINGLE_CALLS_UP_TO}/s one queueEvent an event, above ${BATCHES_PER_SECOND} queueEvents a second`;

/** Offers `rate` for `durationMs`. `lanes` are those whose requests answer the load; all others are only reported. */
export async function runStep(
  lab: Lab,
  target: LoadTarget,
  options: { readonly rate: number; readonly durationMs: number; readonly lanes?: readonly string[] },
): Promise<Step> {
  const { rate, durationMs } = options;
  await lab.receiver.take();
  const question: LoadQuestion = { kind: 'OPEN', call: callAt(target, rate), rate, durationMs };
  let over = false;
  const loading = lab.load.ask<LoadAnswer>(question).finally(() => {
    over = true;
  });
  const backlog: number[] = [];
  const startedAt = performance.now();
  while (!over && performance.now() - startedAt < durationMs - 500) {
    await Promise.race([loading, pause(1000)]);
    if (!over) backlog.push(await readBacklog(lab, options.lanes));
  }
  const answer = await loading;
  await awaitRest(lab, options.lanes);
  const lastQuarter = backlog.slice(Math.floor(backlog.length * 0.75));
  const average = lastQuarter.reduce((sum, one) => sum + one, 0) / Math.max(1, lastQuarter.length);
  return {
    rate,
    seconds: durationMs / 1000,
    held: answer.failures === 0 && !answer.collapsed && average <= rate * HELD_SECONDS,
    backlog,
    failures: answer.failures,
    firstFailure: answer.firstFailure,
    acknowledged: answer.latency,
    lanes: await lab.receiver.take(),
  };
}

async function readBacklog(lab: Lab, lanes?: readonly string[]): Promise<number> {
  const { offered } = await lab.load.ask<LoadProgress>({ kind: 'PROGRESS' } satisfies LoadQuestion);
  return offered - (await countReceived(lab, lanes));
}

async function countReceived(lab: Lab, lanes?: readonly string[]): Promise<number> {
  const counts = Object.entries(await lab.receiver.counts());
  return counts.filter(([lane]) => lanes?.includes(lane) ?? true).reduce((sum, [, count]) => sum + count, 0);
}

/** Waits until nothing more comes. */
async function awaitRest(lab: Lab, lanes?: readonly string[]): Promise<void> {
  const deadline = performance.now() + REST_MS;
  let still = 0;
  let before = -1;
  while (performance.now() < deadline && still < 3) {
    const count = await countReceived(lab, lanes);
    const left = await readBacklog(lab, lanes);
    if (left <= 0) return;
    still = count === before ? still + 1 : 0;
    before = count;
    await pause(300);
  }
}
