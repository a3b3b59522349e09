/** Stacked bars over time, drawn in SVG; what a bar stands for is said under the pointer, and read to screen readers as a sum. */
import { useRef, useState } from 'preact/hooks';
import { compact } from '../ui/words.ts';
import { niceTop } from './scale.ts';

export interface Series {
  readonly name: string;
  /** Names the colour: `good`, `bad`, `accent`, `warn`. */
  readonly tone: string;
  readonly values: readonly number[];
}

interface BarChartProps {
  /** What it shows, with its sums. */
  readonly summary: string;
  readonly series: readonly Series[];
  /** One for each bar: where it begins, in words. */
  readonly labels: readonly string[];
  readonly height?: number;
}

/** Of the drawing, which is stretched to the width there is. */
const WIDTH = 1000;
const GAP = 0.22;

export function BarChart({ summary, series, labels, height = 180 }: BarChartProps) {
  const [at, setAt] = useState<number | null>(null);
  const plot = useRef<HTMLDivElement>(null);
  const bars = labels.length;
  const sums = labels.map((_, index) => series.reduce((sum, { values }) => sum + (values[index] ?? 0), 0));
  const top = niceTop(Math.max(0, ...sums));
  const slot = WIDTH / Math.max(1, bars);
  const onMove = (event: PointerEvent): void => {
    const box = plot.current?.getBoundingClientRect();
    if (box === undefined) return;
    const index = Math.floor(((event.clientX - box.left) / box.width) * bars);
    setAt(index >= 0 && index < bars ? index : null);
  };
  return (
    <figure class="chart" aria-label={summary}>
      <div class="chart-y" aria-hidden="true">
        <span>{compact(top)}</span>
        <span>{compact(top / 2)}</span>
        <span>0</span>
      </div>
      <div
        class="chart-plot"
        ref={plot}
        style={{ height: `${height}px` }}
        onPointerMove={onMove}
        onPointerLeave={() => setAt(null)}
      >
        <svg viewBox={`0 0 ${WIDTH} ${height}`} preserveAspectRatio="none" aria-hidden="true">
          <path class="grid" d={`M0 .5H${WIDTH}M0 ${height / 2}H${WIDTH}M0 ${height - 0.5}H${WIDTH}`} />
          {at !== null && <rect class="cursor" x={at * slot} y={0} width={slot} height={height} />}
          {series.map(({ name, tone, values }, row) => (
            <path
              key={name}
              class={`bar bar-${tone}`}
              d={barsOf(values, row, series, slot, height / top, height)}
            />
          ))}
        </svg>
        {at !== null && <Tip at={at} labels={labels} series={series} />}
      </div>
      <div class="chart-x" aria-hidden="true">
        {[0, 0.25, 0.5, 0.75].map((part) => (
          <span key={part}>{labels[Math.floor(part * bars)]}</span>
        ))}
        <span>now</span>
      </div>
      <figcaption class="legend">
        {series.map(({ name, tone, values }) => (
          <span key={name}>
            <i class={`bar-${tone}`} />
            {name} <b>{compact(values.reduce((sum, value) => sum + value, 0))}</b>
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

/** All bars of a series in one path: as many buckets as there are, few elements. */
function barsOf(
  values: readonly number[],
  row: number,
  series: readonly Series[],
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

interface TipProps {
  readonly at: number;
  readonly labels: readonly string[];
  readonly series: readonly Series[];
}

function Tip({ at, labels, series }: TipProps) {
  const left = (at + 0.5) / labels.length;
  return (
    <div class={left > 0.7 ? 'tip to-left' : 'tip'} style={{ left: `${left * 100}%` }}>
      <b>{labels[at]}</b>
      {series.map(({ name, tone, values }) => (
        <span key={name}>
          <i class={`bar-${tone}`} /> {name} <b>{compact(values[at] ?? 0)}</b>
        </span>
      ))}
    </div>
  );
}
