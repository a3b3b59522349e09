/** The figures of a span of time, side by side. */
import type { ComponentChildren } from 'preact';
import type { Latency, Stats } from '../../api/stats.ts';
import { compact, milliseconds, percent } from '../../ui/words.ts';

interface FigureProps {
  readonly label: string;
  readonly value: string;
  readonly tone?: 'bad' | 'warn' | '';
  readonly children?: ComponentChildren;
}

export function Figure({ label, value, tone = '', children }: FigureProps) {
  return (
    <div class="figure">
      <dt>{label}</dt>
      <dd class={tone === '' ? 'figure-value' : `figure-value text-${tone}`}>{value}</dd>
      {children !== undefined && <dd class="figure-note">{children}</dd>}
    </div>
  );
}

function rateTone(rate: number | null): 'bad' | 'warn' | '' {
  if (rate === null || rate >= 0.99) return '';
  return rate < 0.9 ? 'bad' : 'warn';
}

function tail({ p95Ms, p99Ms }: Latency, small: boolean): string {
  const p95 = `p95 ${milliseconds(p95Ms)}`;
  return small ? p95 : `${p95} · p99 ${milliseconds(p99Ms)}`;
}

export function Figures({
  stats,
  compact: small = false,
}: {
  readonly stats: Stats;
  readonly compact?: boolean;
}) {
  const { deliveryLatency: latency, attemptDuration: duration } = stats;
  const share = stats.attempts === 0 ? null : stats.retries / stats.attempts;
  return (
    <dl class={small ? 'figures compact' : 'figures'}>
      <Figure label="Events" value={compact(stats.eventsQueued)}>
        {compact(stats.attempts)} {stats.attempts === 1 ? 'attempt' : 'attempts'}
      </Figure>
      <Figure label="Success rate" value={percent(stats.successRate)} tone={rateTone(stats.successRate)}>
        {compact(stats.invocationsFailed)} given up
      </Figure>
      <Figure label={small ? 'Latency' : 'Latency, median'} value={milliseconds(latency.p50Ms)}>
        {tail(latency, small)}
      </Figure>
      <Figure label={small ? 'Response' : 'Response, median'} value={milliseconds(duration.p50Ms)}>
        {tail(duration, small)}
      </Figure>
      <Figure label="Retries" value={compact(stats.retries)}>
        {percent(share)} of attempts
      </Figure>
    </dl>
  );
}
