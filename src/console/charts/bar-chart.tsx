/** Stacked bars over time, drawn in SVG. */
import { compact } from '../ui/words.ts';
import { ChartFrame, WIDTH } from './chart-frame.tsx';
import { niceTop } from './scale.ts';

export interface BarSeries {
  readonly name: string;
  /** Names the colour: `good`, `bad`, `accent`, `warn`. */
  readonly tone: string;
  readonly values: readonly number[];
}

interface BarChartProps {
  /** What it shows, with its sums. */
  readonly summary: string;
  readonly series: readonly BarSeries[];
  /** One for each bar: where it begins, in words. */
  readonly labels: readonly string[];
  /** In px. */
  readonly height?: number;
}

const GAP = 0.22;

export function BarChart({ summary, series, labels, height = 130 }: BarChartProps) {
  const sums = labels.map((_, index) => series.reduce((sum, { values }) => sum + (values[index] ?? 0), 0));
  const top = niceTop(Math.max(0, ...sums));
  const slot = WIDTH / Math.max(1, labels.length);
  const totalled = series.map((one) => ({
    ...one,
    total: compact(one.values.reduce((sum, value) => sum + value, 0)),
  }));
  return (
    <ChartFrame
      summary={summary}
      series={totalled}
      labels={labels}
      top={top}
      format={compact}
      height={height}
    >
      {series.map(({ name, tone, values }, row) => (
        <path
          key={name}
          class={`bar bar-${tone}`}
          d={barsOf(values, row, series, slot, height / top, height)}
        />
      ))}
    </ChartFrame>
  );
}

/** All bars of a series in one path: as many buckets as there are, few elements. */
function barsOf(
  values: readonly number[],
  row: number,
  series: readonly BarSeries[],
  slot: number,
  unit: number,
  height: number,
): string {
  return values
    .map((value, index) => {
      if (value === 0) return '';
      const below = series.slice(0, row).reduce((sum, one) => sum + (one.values[index] ?? 0), 0);
      // However little it is, it can be seen.
      const tall = Math.max(value * unit, 2);
      const x = index * slot + (slot * GAP) / 2;
      return `M${x.toFixed(1)} ${(height - below * unit).toFixed(1)}v${(-tall).toFixed(1)}h${(slot * (1 - GAP)).toFixed(1)}v${tall.toFixed(1)}z`;
    })
    .join('');
}
