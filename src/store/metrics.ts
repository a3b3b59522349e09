/** What /metrics says of all processes together: numbers since ever, as they were folded last, and what is unfinished now. */
import { sql } from 'drizzle-orm';
import { type Histogram, parseHistogram } from '../domain/histogram.ts';
import { EVER, type StateCounts } from '../domain/stats.ts';
import type { TriggerStatus } from '../domain/trigger.ts';
import type { Database } from './database.ts';
import { type QueueStatus, readQueueStatus } from './queue-status.ts';
import { listWorkers, type WorkerRow } from './workers.ts';

export interface MetricsSnapshot {
  readonly projects: readonly ProjectTotals[];
  /** Null where there are more than MAX_TRIGGERS: as many series would drown whoever stores them. */
  readonly triggers: readonly TriggerTotals[] | null;
  readonly statuses: readonly { readonly status: TriggerStatus; readonly count: number }[];
  readonly queue: QueueStatus;
  readonly workers: readonly WorkerRow[];
}

export interface Totals {
  readonly attempts: number;
  readonly attemptsFailed: number;
  readonly retries: number;
  readonly succeeded: number;
  readonly failed: number;
}

export interface ProjectTotals extends Totals {
  readonly project: string;
  readonly events: number;
  readonly durations: Histogram;
  readonly latencies: Histogram;
}

export interface TriggerTotals extends Totals, StateCounts {
  readonly project: string;
  readonly name: string;
}

/** Triggers that have series of their own, at most. */
export const MAX_TRIGGERS = 1000;

/** A few short statements; those that count look at kept numbers. */
export async function readMetrics(db: Database): Promise<MetricsSnapshot> {
  const statuses = await db.execute<{ status: TriggerStatus; count: number }>(sql`
    select t.status, count(*)::int as count from herald.triggers t where t.deleted_at is null group by 1`);
  const live = statuses.reduce((sum, { count }) => sum + count, 0);
  return {
    projects: await readProjects(db),
    triggers: live > MAX_TRIGGERS ? null : await readTriggers(db),
    statuses,
    queue: await readQueueStatus(db, null),
    workers: await listWorkers(db),
  };
}

const TOTALS = sql.raw(`
  coalesce(s.attempts, 0)::float8 as attempts, coalesce(s.attempts_failed, 0)::float8 as "attemptsFailed",
  coalesce(s.retries, 0)::float8 as retries, coalesce(s.succeeded, 0)::float8 as succeeded,
  coalesce(s.failed, 0)::float8 as failed`);

async function readProjects(db: Database): Promise<readonly ProjectTotals[]> {
  const rows = await db.execute<
    Omit<ProjectTotals, 'durations' | 'latencies'> & { durations: string | null; latencies: string | null }
  >(sql`
    select p.name as project, coalesce(s.events, 0)::float8 as events, s.durations, s.latencies, ${TOTALS}
      from herald.projects p
      left join herald.stats s on s.scope = 'project/' || p.name and s.grain = ${EVER}
      order by 1`);
  return rows.map(({ durations, latencies, ...totals }) => ({
    ...totals,
    durations: parseHistogram(durations ?? ''),
    latencies: parseHistogram(latencies ?? ''),
  }));
}

async function readTriggers(db: Database): Promise<readonly TriggerTotals[]> {
  return db.execute<TriggerTotals & Record<string, unknown>>(sql`
    select
        t.project, t.name, ${TOTALS},
        greatest(c.pending, 0)::float8 as pending, greatest(c.held, 0)::float8 as held,
        greatest(c.running, 0)::float8 as running, greatest(c.retrying, 0)::float8 as retrying,
        greatest(c.dead_letters, 0)::float8 as "deadLetters"
      from herald.triggers t
      left join herald.trigger_counts c on c.trigger_id = t.id
      left join herald.stats s on s.scope = 'trigger/' || t.id and s.grain = ${EVER}
      where t.deleted_at is null
      order by 1, 2
      limit ${MAX_TRIGGERS}`);
}
