/** What is recorded for the statistics and not folded yet, as both who reads and who folds it need it. */
import { type SQL, sql } from 'drizzle-orm';
import { histogramOf } from '../domain/histogram.ts';
import type { Numbers } from '../domain/stats.ts';

/** What happened to the invocations of a trigger within a minute. */
export interface Tally {
  readonly trigger: string;
  readonly project: string;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly numbers: Numbers;
  /** How many rows of herald.tallies that was. */
  readonly rows: number;
}

export interface TallyRow extends Record<string, unknown> {
  readonly trigger: string;
  readonly project: string;
  readonly at: number;
  readonly events: number;
  readonly attempts: number;
  readonly attemptsFailed: number;
  readonly retries: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly rows: number;
  /** An array for each transaction. */
  readonly durations: readonly (readonly number[])[] | null;
  readonly latencies: readonly (readonly number[])[] | null;
}

/**
 * Rows of herald.tallies, those of a trigger and minute as one: while the process adds up, it delivers nothing. Row by
 * row, at 200 deliveries a second, that brought the p99 from call to receiver from 34 to 99 ms.
 */
export const selectTallies = (rows: SQL, where: SQL): SQL => sql`
  select
      t.id as trigger, t.project, extract(epoch from x.minute)::float8 * 1000 as at, x.events, x.attempts,
      x.attempts_failed as "attemptsFailed", x.retries, x.succeeded, x.failed, x.durations, x.latencies,
      x.rows
    from (
      select
          y.trigger_id, date_trunc('minute', y.at) as minute, sum(y.events)::float8 as events,
          sum(y.attempts)::float8 as attempts, sum(y.attempts_failed)::float8 as attempts_failed,
          sum(y.retries)::float8 as retries, sum(y.succeeded)::float8 as succeeded, sum(y.failed)::float8 as failed,
          json_agg(y.durations) filter (where y.durations is not null) as durations,
          json_agg(y.latencies) filter (where y.latencies is not null) as latencies, count(*)::int as rows
        from ${rows} y
        group by 1, 2
    ) x
    join herald.triggers t on t.id = x.trigger_id
    where ${where}`;

export function toTally({ trigger, project, at, rows, durations, latencies, ...counts }: TallyRow): Tally {
  const { events, attempts, attemptsFailed, retries, succeeded, failed } = counts;
  return {
    trigger,
    project,
    at,
    rows,
    numbers: {
      ...{ events, attempts, attemptsFailed, retries, succeeded, failed },
      durations: histogramOf(durations?.flat() ?? []),
      latencies: histogramOf(latencies?.flat() ?? []),
    },
  };
}
