/** Latencies as people read them. */
import type { Histogram } from 'node:perf_hooks';

/** In milliseconds; all NaN where nothing was measured. */
export interface Distribution {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Of a histogram of microseconds. */
export function distributionOf(histogram: Histogram): Distribution {
  if (histogram.count === 0) return NOTHING;
  const at = (percent: number): number => histogram.percentile(percent) / 1000;
  return { count: histogram.count, p50: at(50), p95: at(95), p99: at(99), max: histogram.max / 1000 };
}

/** Of milliseconds, each exactly as it was measured. */
export function distributionOfTimes(times: readonly number[]): Distribution {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
  return { count: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

const NOTHING: Distribution = {
  count: 0,
  p50: Number.NaN,
  p95: Number.NaN,
  p99: Number.NaN,
  max: Number.NaN,
};

export function describeLatency({ p50, p95, p99 }: Distribution): string {
  return `p50 ${p50.toFixed(1)}, p95 ${p95.toFixed(1)}, p99 ${p99.toFixed(1)} ms`;
}
