/** Lines over time, drawn in SVG; interrupted where there is nothing to say. */
import { ChartFrame, type Series, WIDTH } from './chart-frame.tsx';
import { niceTop } from './scale.ts';

interface LineChartProps {
  /** What it shows, in words. */
  readonly summary: string;
  readonly series: readonly Series[];
  /** One for each point: where it begins, in words. */
  readonly labels: readonly string[];
  readonly format: (value: number) => string;
  /** In px. */
  readonly height?: number;
}

export function LineChart({ summary, series, labels, format, height = 130 }: LineChartProps) {
  const top = niceTop(Math.max(0, ...series.flatMap(({ values }) => values.map((value) => value ?? 0))));
  const slot = WIDTH / Math.max(1, labels.length);
  return (
    <ChartFrame summary={summary} series={series} labels={labels} top={top} format={format} height={height}>
      {series.map(({ name, tone, values }) => (
        <path key={name} class={`line line-${tone}`} d={lineOf(values, slot, height / top, height)} />
      ))}
    </ChartFrame>
  );
}

/** A point without neighbours is drawn as wide as its moment. */
function lineOf(values: readonly (number | null)[], slot: number, unit: number, height: number): string {
  return values
    .map((value, index) => {
      if (value === null) return '';
      const y = (height - Math.max(1, value * unit)).toFixed(1);
      const x = (index + 0.5) * slot;
      const alone = (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null;
      if (alone) return `M${(x - slot / 2).toFixed(1)} ${y}h${slot.toFixed(1)}`;
      return `${(values[index - 1] ?? null) === null ? 'M' : 'L'}${x.toFixed(1)} ${y}`;
    })
    .join('');
}
