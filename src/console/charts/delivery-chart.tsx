/** Attempts, events, latency and retries, over time. */
import type { Stats, StatsWindow } from '../api/stats.ts';
import { count, day, milliseconds, shortTime } from '../ui/words.ts';
import { BarChart } from './bar-chart.tsx';
import { LineChart } from './line-chart.tsx';

interface DeliveryChartProps {
  readonly stats: Stats;
  readonly window: StatsWindow;
  readonly height?: number;
}

export function labelsOf(stats: Stats, window: StatsWindow): readonly string[] {
  const days = window === 'LAST_7_DAYS' || window === 'LAST_30_DAYS';
  return stats.buckets.map(({ from }) => (days ? `${day(from)} ${shortTime(from)}` : shortTime(from)));
}

export function DeliveryChart({ stats, window, height }: DeliveryChartProps) {
  const succeeded = stats.buckets.map(({ attemptsSucceeded }) => attemptsSucceeded);
  const failed = stats.buckets.map(({ attemptsFailed }) => attemptsFailed);
  const sum = (values: readonly number[]): string => count(values.reduce((total, value) => total + value, 0));
  return (
    <BarChart
      summary={`Attempts over time: ${sum(succeeded)} succeeded, ${sum(failed)} failed`}
      labels={labelsOf(stats, window)}
      series={[
        { name: 'Succeeded', tone: 'good', values: succeeded },
        { name: 'Failed', tone: 'bad', values: failed },
      ]}
      {...(height !== undefined && { height })}
    />
  );
}

export function EventsChart({ stats, window, height }: DeliveryChartProps) {
  const queued = stats.buckets.map(({ eventsQueued }) => eventsQueued);
  return (
    <BarChart
      summary={`Events queued over time: ${count(stats.eventsQueued)}`}
      labels={labelsOf(stats, window)}
      series={[{ name: 'Events', tone: 'accent', values: queued }]}
      {...(height !== undefined && { height })}
    />
  );
}

export function RetriesChart({ stats, window, height }: DeliveryChartProps) {
  return (
    <BarChart
      summary={`Retries over time: ${count(stats.retries)}`}
      labels={labelsOf(stats, window)}
      series={[{ name: 'Retries', tone: 'warn', values: stats.buckets.map(({ retries }) => retries) }]}
      {...(height !== undefined && { height })}
    />
  );
}

/** From due to delivered. */
export function LatencyChart({ stats, window, height }: DeliveryChartProps) {
  const [median, high] = [
    milliseconds(stats.deliveryLatency.p50Ms),
    milliseconds(stats.deliveryLatency.p95Ms),
  ];
  return (
    <LineChart
      summary={`Latency over time, from due to delivered: median ${median}, 95th percentile ${high}`}
      labels={labelsOf(stats, window)}
      series={[
        {
          name: 'p95',
          tone: 'warn',
          values: stats.buckets.map(({ deliveryLatency }) => deliveryLatency.p95Ms),
          total: high,
        },
        {
          name: 'Median',
          tone: 'accent',
          values: stats.buckets.map(({ deliveryLatency }) => deliveryLatency.p50Ms),
          total: median,
        },
      ]}
      format={milliseconds}
      {...(height !== undefined && { height })}
    />
  );
}
