/** What all charts over time have: axes, a legend, and what is said under the pointer; to screen readers, their sums. */
import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';

export interface Series {
  readonly name: string;
  /** Names the colour: `good`, `bad`, `accent`, `warn`. */
  readonly tone: string;
  /** One for each label; null where there is nothing to say. */
  readonly values: readonly (number | null)[];
  /** Said in the legend. */
  readonly total: string;
}

/** Of the drawing, which is stretched to the width there is. */
export const WIDTH = 1000;

interface ChartFrameProps {
  /** What it shows, with its sums. */
  readonly summary: string;
  readonly series: readonly Series[];
  /** One for each moment: where it begins, in words. */
  readonly labels: readonly string[];
  /** At the upper edge. */
  readonly top: number;
  readonly format: (value: number) => string;
  /** In px. */
  readonly height: number;
  /** What is drawn, in a space of `WIDTH` × `height`. */
  readonly children: ComponentChildren;
}

export function ChartFrame({ summary, series, labels, top, format, height, children }: ChartFrameProps) {
  const [at, setAt] = useState<number | null>(null);
  const plot = useRef<HTMLDivElement>(null);
  const slot = WIDTH / Math.max(1, labels.length);
  const onMove = (event: PointerEvent): void => {
    const box = plot.current?.getBoundingClientRect();
    if (box === undefined) return;
    const index = Math.floor(((event.clientX - box.left) / box.width) * labels.length);
    setAt(index >= 0 && index < labels.length ? index : null);
  };
  return (
    <figure class="chart" aria-label={summary}>
      <div class="chart-y" aria-hidden="true">
        <span>{format(top)}</span>
        <span>{format(top / 2)}</span>
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
          {children}
        </svg>
        {at !== null && <Tip at={at} labels={labels} series={series} format={format} />}
      </div>
      <div class="chart-x" aria-hidden="true">
        {[0, 0.25, 0.5, 0.75].map((part) => (
          <span key={part}>{labels[Math.floor(part * labels.length)]}</span>
        ))}
        <span>now</span>
      </div>
      <figcaption class="legend">
        {series.map(({ name, tone, total }) => (
          <span key={name}>
            <i class={`bar-${tone}`} />
            {name} <b>{total}</b>
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

interface TipProps extends Pick<ChartFrameProps, 'labels' | 'series' | 'format'> {
  readonly at: number;
}

function Tip({ at, labels, series, format }: TipProps) {
  const left = (at + 0.5) / labels.length;
  return (
    <div class={left > 0.7 ? 'tip to-left' : 'tip'} style={{ left: `${left * 100}%` }}>
      <b>{labels[at]}</b>
      {series.map(({ name, tone, values }) => {
        const value = values[at] ?? null;
        return (
          <span key={name}>
            <i class={`bar-${tone}`} /> {name} <b>{value === null ? '–' : format(value)}</b>
          </span>
        );
      })}
    </div>
  );
}
