/** A day in 24 bars: good ones and bad ones on top of each other. */
import type { Bucket } from '../api/stats.ts';

const BARS = 24;
const WIDTH = 72;
const HEIGHT = 20;

export function TriggerChart({ buckets }: { readonly buckets: readonly Bucket[] }) {
  const per = Math.max(1, Math.ceil(buckets.length / BARS));
  const bars = Array.from({ length: Math.ceil(buckets.length / per) }, (_, index) => {
    const some = buckets.slice(index * per, (index + 1) * per);
    return {
      good: some.reduce((sum, { attemptsSucceeded }) => sum + attemptsSucceeded, 0),
      bad: some.reduce((sum, { attemptsFailed }) => sum + attemptsFailed, 0),
    };
  });
  const top = Math.max(1, ...bars.map(({ good, bad }) => good + bad));
  const slot = WIDTH / Math.max(1, bars.length);
  return (
    <svg
      class="sparkline"
      width={WIDTH}
      height={HEIGHT}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      aria-hidden="true"
    >
      <path class="grid" d={`M0 ${HEIGHT - 0.5}H${WIDTH}`} />
      {bars.map(({ good, bad }, index) => {
        const goodTall = good === 0 ? 0 : Math.max(1.5, (good / top) * (HEIGHT - 1));
        const badTall = bad === 0 ? 0 : Math.max(1.5, (bad / top) * (HEIGHT - 1));
        const x = index * slot;
        return (
          <g key={index}>
            <rect class="bar-good" x={x} width={slot - 0.8} y={HEIGHT - goodTall} height={goodTall} />
            <rect class="bar-bad" x={x} width={slot - 0.8} y={HEIGHT - goodTall - badTall} height={badTall} />
          </g>
        );
      })}
    </svg>
  );
}
