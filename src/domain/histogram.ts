/**
 * How often which duration was measured, in buckets each a tenth wider than the one before: a percentile read from it
 * is within 5 % of the true one, whatever the range, and histograms can be added.
 */

export interface Histogram {
  /** Samples by bucket. */
  readonly counts: ReadonlyMap<number, number>;
  /** The largest sample in ms, exact; null where there is none. */
  readonly maxMs: number | null;
}

const GROWTH = 1.1;
/** Upper bound of bucket 0, in ms. */
const SMALLEST_MS = 0.1;
/** Bucket of everything longer than decades. */
const LAST_BUCKET = 320;

export const NO_SAMPLES: Histogram = { counts: new Map(), maxMs: null };

export function histogramOf(samplesMs: readonly number[]): Histogram {
  const counts = new Map<number, number>();
  let maxMs: number | null = null;
  for (const ms of samplesMs) {
    const bucket = bucketOf(ms);
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
    maxMs = Math.max(maxMs ?? ms, ms);
  }
  return { counts, maxMs };
}

export function addHistograms(histograms: readonly Histogram[]): Histogram {
  const counts = new Map<number, number>();
  let max: number | null = null;
  for (const { counts: more, maxMs } of histograms) {
    for (const [bucket, count] of more) counts.set(bucket, (counts.get(bucket) ?? 0) + count);
    if (maxMs !== null) max = Math.max(max ?? maxMs, maxMs);
  }
  return { counts, maxMs: max };
}

/** The duration in ms below which the fraction `p` of the samples lies; null where there is none. */
export function percentileOf({ counts, maxMs }: Histogram, p: number): number | null {
  if (maxMs === null) return null;
  const buckets = [...counts].sort(([a], [b]) => a - b);
  const rank = Math.ceil(countOf({ counts, maxMs }) * p);
  let seen = 0;
  for (const [bucket, count] of buckets) {
    seen += count;
    // The middle of the bucket, as far from either end in proportion; no more digits than are known.
    if (seen >= rank) return Math.min(Number((SMALLEST_MS * GROWTH ** (bucket - 0.5)).toPrecision(3)), maxMs);
  }
  return maxMs;
}

/** How many samples are not above each of `boundsMs`, ascending: those of a bucket that a bound divides count as above. */
export function countsUpTo({ counts }: Histogram, boundsMs: readonly number[]): readonly number[] {
  return boundsMs.map((bound) => {
    let sum = 0;
    for (const [bucket, count] of counts) if (upperBoundOf(bucket) <= bound) sum += count;
    return sum;
  });
}

/** The sum of the samples in ms, each taken for the middle of its bucket: within 5 %. */
export function sumMsOf({ counts }: Histogram): number {
  let sum = 0;
  for (const [bucket, count] of counts) sum += count * SMALLEST_MS * GROWTH ** (bucket - 0.5);
  return sum;
}

export function countOf({ counts }: Histogram): number {
  let sum = 0;
  for (const count of counts.values()) sum += count;
  return sum;
}

/** The maximum, then `bucket:count` between commas: of three hundred buckets a few dozen are in use. */
export function formatHistogram({ counts, maxMs }: Histogram): string {
  return maxMs === null ? '' : `${maxMs};${Array.from(counts, (pair) => pair.join(':')).join(',')}`;
}

export function parseHistogram(text: string): Histogram {
  const [max = '', pairs] = text.split(';');
  if (pairs === undefined) return NO_SAMPLES;
  const counts = pairs.split(',').map((pair) => pair.split(':').map(Number));
  return {
    counts: new Map(counts.map(([bucket = 0, count = 0]) => [bucket, count])),
    maxMs: Number(max),
  };
}

/** In ms; without the last digits, in which powers differ from what they mean. */
function upperBoundOf(bucket: number): number {
  return Number((SMALLEST_MS * GROWTH ** bucket).toPrecision(12));
}

function bucketOf(ms: number): number {
  if (!(ms > SMALLEST_MS)) return 0;
  return Math.min(Math.ceil(Math.log(ms / SMALLEST_MS) / Math.log(GROWTH)), LAST_BUCKET);
}
