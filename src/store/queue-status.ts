/** The queue right now, from counts that are kept and a few steps into an index; nothing is scanned. */
import { sql } from 'drizzle-orm';
import { arrayOf } from './arrays.ts';
import type { Database } from './database.ts';

export interface QueueStatus {
  readonly scheduled: number;
  readonly ready: number;
  readonly running: number;
  readonly retrying: number;
  readonly held: number;
  readonly deadLetters: number;
  readonly oldestReadyAgeSeconds: number;
  /** When the next invocation falls due that is not due yet; null where none is planned. */
  readonly nextDueAt: Date | null;
}

/** Entries of an index that one reading may count, over all triggers. */
const COUNTED_ENTRIES = 10_000;
/** The same for one trigger, at least. */
const MIN_COUNTED = 50;

interface Row extends Record<string, unknown> {
  readonly pending: number;
  readonly held: number;
  readonly running: number;
  readonly retrying: number;
  readonly dead: number;
  readonly ready: number;
  readonly oldest: number;
  readonly next: string | null;
}

/**
 * The queue of `projects`, or of all where that is null. Every number is exact but how many of the waiting ones are due
 * (`ready`; the others are `scheduled`): for each trigger the shorter side is counted, where it has fewer entries than
 * its share of COUNTED_ENTRIES, and divided by the planner's statistics where both are longer.
 */
export async function readQueueStatus(
  db: Database,
  projects: readonly string[] | null,
): Promise<QueueStatus> {
  const [row] = await db.execute<Row>(sql`
    with counts as materialized (
      select
          x.trigger_id, sum(x.pending) as pending, sum(x.held) as held, sum(x.running) as running,
          sum(x.retrying) as retrying, sum(x.dead_letters) as dead
        from (
          select trigger_id, pending, held, running, retrying, dead_letters from herald.trigger_counts
          union all
          select trigger_id, pending, held, running, retrying, dead_letters from herald.tallies
        ) x
        ${
          projects === null
            ? sql``
            : sql`join herald.triggers t on t.id = x.trigger_id
                where t.project = any(${arrayOf(projects, (name) => name)}::text[])`
        }
        group by 1
    ),
    busy as materialized (
      select c.*, greatest(${MIN_COUNTED}, ${COUNTED_ENTRIES} / count(*) over ()) as most
        from counts c
        where c.pending + c.retrying > 0
    ),
    looked as materialized (
      select b.*, due.*, ahead.*
        from busy b
        cross join lateral (
          select count(*) as due, count(*) filter (where i.status = 'PENDING') as ready, min(i.next_attempt_at) as oldest
            from (
              select i.status, i.next_attempt_at from herald.invocations i
                where i.trigger_id = b.trigger_id and i.next_attempt_at <= now()
                  and i.status not in ('SUCCEEDED', 'FAILED', 'CANCELLED')
                order by i.next_attempt_at
                limit b.most
            ) i
        ) due
        cross join lateral (
          select count(*) as ahead, count(*) filter (where i.status = 'PENDING') as later, min(i.next_attempt_at) as next
            from (
              select i.status, i.next_attempt_at from herald.invocations i
                where i.trigger_id = b.trigger_id and i.next_attempt_at > now()
                  and i.status not in ('SUCCEEDED', 'FAILED', 'CANCELLED')
                order by i.next_attempt_at
                limit case when due.due < b.most then 1 else b.most end
            ) i
        ) ahead
    )
    select
        coalesce(sum(c.pending), 0)::float8 as pending, coalesce(sum(c.held), 0)::float8 as held,
        coalesce(sum(c.running), 0)::float8 as running, coalesce(sum(c.retrying), 0)::float8 as retrying,
        coalesce(sum(c.dead), 0)::float8 as dead,
        (select coalesce(sum(case
              when l.due < l.most then l.ready
              when l.ahead < l.most then l.pending - l.later
              else greatest(l.ready, l.pending - greatest(l.later, round(l.pending * (1 - share.due))))
            end), 0)::float8
          from looked l) as ready,
        greatest(0, coalesce((select extract(epoch from now() - min(l.oldest)) from looked l), 0))::float8 as oldest,
        (select min(l.next) from looked l) as next
      from (select) as always
      left join counts c on true
      cross join (${DUE_SHARE}) share
      group by share.due`);
  const { pending = 0, ready = 0, next = null } = row ?? {};
  return {
    scheduled: Math.max(0, pending - ready),
    ready: Math.max(0, ready),
    running: Math.max(0, row?.running ?? 0),
    retrying: Math.max(0, row?.retrying ?? 0),
    held: Math.max(0, row?.held ?? 0),
    deadLetters: Math.max(0, row?.dead ?? 0),
    oldestReadyAgeSeconds: row?.oldest ?? 0,
    nextDueAt: next === null ? null : new Date(next),
  };
}

/** Which part of all due times lies in the past, by the planner's histogram of them. */
const DUE_SHARE = sql.raw(`
  select coalesce(avg((bound::timestamptz <= now())::int), 0.5) as due
    from pg_stats s
    cross join lateral unnest(s.histogram_bounds::text::text[]) bound
    where s.schemaname = 'herald' and s.tablename = 'invocations' and s.attname = 'next_attempt_at'`);
