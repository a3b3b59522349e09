/** Delivery statistics: windows, what is counted, how counts add up. */
import { addHistograms, type Histogram, NO_SAMPLES, percentileOf } from './histogram.ts';

export const STATS_WINDOWS = ['LAST_HOUR', 'LAST_24_HOURS', 'LAST_7_DAYS', 'LAST_30_DAYS'] as const;
export type StatsWindow = (typeof STATS_WINDOWS)[number];

/** What a window consists of: so many spans of so many minutes. */
export const SPANS: Readonly<Record<StatsWindow, { readonly grain: number; readonly count: number }>> = {
  LAST_HOUR: { grain: 1, count: 60 },
  LAST_24_HOURS: { grain: 15, count: 96 },
  LAST_7_DAYS: { grain: 120, count: 84 },
  LAST_30_DAYS: { grain: 360, count: 120 },
};

/** Lengths of spans in minutes. Each is kept for as long as its window needs it, and a little longer. */
export const GRAINS = Object.values(SPANS).map(({ grain }) => grain);

/** In place of a length: the span of all time, of which the numbers only grow. It is kept. */
export const EVER = 0;

/** What happened in a span of time. */
export interface Numbers {
  /** Events accepted; of a trigger: events that it matched. */
  readonly events: number;
  readonly attempts: number;
  readonly attemptsFailed: number;
  readonly retries: number;
  /** Invocations that reached SUCCEEDED. */
  readonly succeeded: number;
  /** Invocations that reached FAILED. */
  readonly failed: number;
  /** Of attempts. */
  readonly durations: Histogram;
  /** From due to success. */
  readonly latencies: Histogram;
}

export const NOTHING: Numbers = {
  events: 0,
  attempts: 0,
  attemptsFailed: 0,
  retries: 0,
  succeeded: 0,
  failed: 0,
  durations: NO_SAMPLES,
  latencies: NO_SAMPLES,
};

export function sumOf(all: readonly Numbers[]): Numbers {
  const sum = (count: (numbers: Numbers) => number): number =>
    all.reduce((total, numbers) => total + count(numbers), 0);
  return {
    events: sum(({ events }) => events),
    attempts: sum(({ attempts }) => attempts),
    attemptsFailed: sum(({ attemptsFailed }) => attemptsFailed),
    retries: sum(({ retries }) => retries),
    succeeded: sum(({ succeeded }) => succeeded),
    failed: sum(({ failed }) => failed),
    durations: addHistograms(all.map(({ durations }) => durations)),
    latencies: addHistograms(all.map(({ latencies }) => latencies)),
  };
}

/** Start of the span of `grain` minutes that `at` (epoch ms) lies in, in epoch ms; spans begin at midnight UTC. */
export function spanOf(at: number, grain: number): number {
  if (grain === EVER) return 0;
  const length = grain * 60_000;
  return Math.floor(at / length) * length;
}

/** Starts of the window's spans in epoch ms, oldest first; the last one is the span of `now`. */
export function spansOf(window: StatsWindow, now: number): readonly number[] {
  const { grain, count } = SPANS[window];
  const last = spanOf(now, grain);
  return Array.from({ length: count }, (_, index) => last - (count - 1 - index) * grain * 60_000);
}

export interface Percentiles {
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  readonly maxMs: number | null;
}

export function percentilesOf(histogram: Histogram): Percentiles {
  return {
    p50Ms: percentileOf(histogram, 0.5),
    p95Ms: percentileOf(histogram, 0.95),
    p99Ms: percentileOf(histogram, 0.99),
    maxMs: histogram.maxMs,
  };
}

/** How many invocations are in which state. */
export interface StateCounts {
  readonly pending: number;
  readonly held: number;
  readonly running: number;
  readonly retrying: number;
  readonly deadLetters: number;
}
