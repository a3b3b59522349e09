/**
 * Folds tallies into statistics. Whoever records something adds a row to a table of tallies, which nobody else
 * touches, so recording never waits; one process at a time folds those rows into spans of minutes and hours, of which
 * there are a few hundred for each trigger and project, whatever the number of deliveries.
 */
import { sql } from 'drizzle-orm';
import { addHistograms, formatHistogram, NO_SAMPLES, parseHistogram } from '../domain/histogram.ts';
import { EVER, GRAINS, NOTHING, type Numbers, SPANS, spanOf, sumOf } from '../domain/stats.ts';
import { arrayOf } from './arrays.ts';
import { type Database, inTransaction, type Transaction } from './database.ts';
import { ADD_ENDINGS, ENDINGS } from './failing-triggers.ts';
import { selectTallies, type Tally, type TallyRow, toTally } from './tallies.ts';

/** Whoever reads statistics adds up what is not folded yet: some thousands of rows come between two folds. */
export const FOLD_INTERVAL_MS = 5000;
/** Rows of tallies that one transaction folds. */
const FOLD_ROWS = 5000;
/** Transactions of one round, so that a round ends. */
const MAX_ROUNDS = 40;
/** Any number will do, as long as every release takes the same one. */
const FOLD_LOCK = 4_373_252;
/** Event types that are remembered. Types are the callers' to choose, so there must be an end to them. */
const MAX_EVENT_TYPES = 20_000;
/** Rows that a statement removes. */
const BATCH = 1000;

/** Scope of what concerns everything. */
export const EVERYTHING = '';
export const projectScope = (project: string): string => `project/${project}`;
export const triggerScope = (id: string): string => `trigger/${id}`;

/** Folds what there is, in `rounds` transactions at most; does nothing where another process is at it. */
export async function foldTallies(db: Database, rounds = MAX_ROUNDS): Promise<void> {
  // One statement where there is nothing to do, which is always while nothing happens.
  if (!(await hasMoreTallies(db, 0))) return;
  for (let round = 0; round < rounds; round++) {
    if ((await inTransaction(db, foldSome)) < FOLD_ROWS) return;
  }
}

/** Whether more than `count` rows of either kind are not folded yet. */
export async function hasMoreTallies(db: Database, count: number): Promise<boolean> {
  const [row] = await db.execute<{ more: boolean }>(sql`
    select (select count(*) from (select from herald.tallies limit ${count + 1}::int) found) > ${count}::int
      or (select count(*) from (select from herald.event_tallies limit ${count + 1}::int) found) > ${count}::int
      as more`);
  return row?.more ?? false;
}

async function foldSome(tx: Transaction): Promise<number> {
  const [lock] = await tx.execute<{ mine: boolean }>(
    sql`select pg_try_advisory_xact_lock(${FOLD_LOCK}) as mine`,
  );
  if (lock?.mine !== true) return 0;
  const tallies = await takeTallies(tx);
  const events = await takeEventTallies(tx);
  if (tallies.length + events.length === 0) return 0;
  await writeStats(tx, sumUp(tallies, events));
  return Math.max(rowsOf(tallies), rowsOf(events));
}

/** Each stands for several rows, of a minute. */
const rowsOf = (taken: readonly { readonly rows: number }[]): number =>
  taken.reduce((sum, { rows }) => sum + rows, 0);

interface EventTally extends Record<string, unknown> {
  readonly project: string;
  readonly at: number;
  readonly count: number;
  /** How many rows of herald.event_tallies that was. */
  readonly rows: number;
}

async function takeTallies(tx: Transaction): Promise<readonly Tally[]> {
  const rows = await tx.execute<TallyRow>(sql`
    with taken as materialized (
      delete from herald.tallies x
        where x.ctid = any(array(select l.ctid from herald.tallies l limit ${FOLD_ROWS}))
        returning *
    ),
    counted as (
      insert into herald.trigger_counts as c (
        trigger_id, pending, held, running, retrying, dead_letters, succeeded_at, failing_since, failed_at)
      select
          x.trigger_id, sum(x.pending), sum(x.held), sum(x.running), sum(x.retrying), sum(x.dead_letters), ${ENDINGS}
        from (
          select
              l.*,
              max(l.at) filter (where l.attempts > l.attempts_failed) over (partition by l.trigger_id) as succeeded_at
            from taken l
        ) x
        group by 1
      on conflict (trigger_id) do update set
        pending = c.pending + excluded.pending, held = c.held + excluded.held,
        running = c.running + excluded.running, retrying = c.retrying + excluded.retrying,
        dead_letters = c.dead_letters + excluded.dead_letters, ${ADD_ENDINGS}
    )
    ${selectTallies(sql`taken`, sql`true`)}`);
  return rows.map(toTally);
}

async function takeEventTallies(tx: Transaction): Promise<readonly EventTally[]> {
  return tx.execute<EventTally>(sql`
    with taken as materialized (
      delete from herald.event_tallies x
        where x.ctid = any(array(select l.ctid from herald.event_tallies l limit ${FOLD_ROWS}))
        returning *
    ),
    seen as (
      insert into herald.event_types as y (project, type, last_seen_at)
      select x.project, x.type, max(x.at) from taken x group by 1, 2
      on conflict (project, type) do update set last_seen_at = greatest(y.last_seen_at, excluded.last_seen_at)
    ),
    counted as (
      insert into herald.event_type_hours as h (project, type, hour, count)
      select x.project, x.type, date_trunc('hour', x.at), sum(x.count) from taken x group by 1, 2, 3
      on conflict (project, type, hour) do update set count = h.count + excluded.count
    )
    select
        x.project, extract(epoch from x.at)::float8 * 1000 as at, sum(x.count)::int as count,
        count(*)::int as rows
      from taken x
      group by 1, 2`);
}

/** A row of herald.stats. */
interface Span {
  readonly scope: string;
  readonly grain: number;
  /** Epoch milliseconds. */
  readonly start: number;
  readonly numbers: Numbers;
}

/** What the tallies come to, for every scope and length of span. */
function sumUp(tallies: readonly Tally[], events: readonly EventTally[]): readonly Span[] {
  const spans = new Map<string, Omit<Span, 'numbers'> & { readonly parts: Numbers[] }>();
  const add = (scope: string, at: number, numbers: Numbers): void => {
    for (const grain of scope === EVERYTHING ? GRAINS : [...GRAINS, EVER]) {
      const start = spanOf(at, grain);
      const key = `${grain} ${start} ${scope}`;
      const span = spans.get(key) ?? { scope, grain, start, parts: [] };
      span.parts.push(
        grain === EVER && scope.startsWith(triggerScope('')) ? withoutSamples(numbers) : numbers,
      );
      spans.set(key, span);
    }
  };
  for (const { trigger, project, at, numbers } of tallies) {
    add(triggerScope(trigger), at, numbers);
    // An event counts once, however many triggers it matched.
    const once = { ...numbers, events: 0 };
    add(projectScope(project), at, once);
    add(EVERYTHING, at, once);
  }
  for (const { project, at, count } of events) {
    add(projectScope(project), at, { ...NOTHING, events: count });
    add(EVERYTHING, at, { ...NOTHING, events: count });
  }
  return Array.from(spans.values(), ({ parts, ...span }) => ({ ...span, numbers: sumOf(parts) }));
}

/** Since ever, durations are kept of projects only (metrics.ts): they widen for as long as there are any. */
const withoutSamples = (numbers: Numbers): Numbers => ({
  ...numbers,
  durations: NO_SAMPLES,
  latencies: NO_SAMPLES,
});

async function writeStats(tx: Transaction, spans: readonly Span[]): Promise<void> {
  const keys = sql`unnest(
    ${arrayOf(spans, ({ scope }) => scope)}::text[], ${arrayOf(spans, ({ grain }) => grain)}::smallint[],
    ${arrayOf(spans, ({ start }) => new Date(start).toISOString())}::timestamptz[])`;
  const rows = await tx.execute<{ place: number; durations: string; latencies: string }>(sql`
    select k.place::int as place, s.durations, s.latencies
      from ${keys} with ordinality as k(scope, grain, start, place)
      join herald.stats s on s.scope = k.scope and s.grain = k.grain and s.start = k.start`);
  const before = new Map(rows.map((row) => [row.place - 1, row]));
  const histograms = (name: 'durations' | 'latencies') => {
    const all = spans.map(({ numbers }, index) =>
      formatHistogram(addHistograms([parseHistogram(before.get(index)?.[name] ?? ''), numbers[name]])),
    );
    return sql`${arrayOf(all, (text) => text)}::text[]`;
  };
  const column = (name: Exclude<keyof Numbers, 'durations' | 'latencies'>) =>
    sql`${arrayOf(spans, ({ numbers }) => numbers[name])}::bigint[]`;
  await tx.execute(sql`
    insert into herald.stats as s (
      scope, grain, start, events, attempts, attempts_failed, retries, succeeded, failed, durations, latencies)
    select * from unnest(
      ${arrayOf(spans, ({ scope }) => scope)}::text[], ${arrayOf(spans, ({ grain }) => grain)}::smallint[],
      ${arrayOf(spans, ({ start }) => new Date(start).toISOString())}::timestamptz[],
      ${column('events')}, ${column('attempts')}, ${column('attemptsFailed')}, ${column('retries')},
      ${column('succeeded')}, ${column('failed')},
      ${histograms('durations')}, ${histograms('latencies')})
    on conflict (scope, grain, start) do update set
      events = s.events + excluded.events, attempts = s.attempts + excluded.attempts,
      attempts_failed = s.attempts_failed + excluded.attempts_failed, retries = s.retries + excluded.retries,
      succeeded = s.succeeded + excluded.succeeded, failed = s.failed + excluded.failed,
      durations = excluded.durations, latencies = excluded.latencies`);
}

/** Removes spans that no window shows any more, and event types that were not seen for long. Returns how many. */
export async function pruneStats(db: Database): Promise<number> {
  const kept = Object.values(SPANS).map(({ grain, count }) => ({ grain, minutes: grain * (count + 2) }));
  const [row] = await db.execute<{ count: number }>(sql`
    with old_spans as (
      delete from herald.stats s
        where s.ctid = any(array(
          select o.ctid
            from json_to_recordset(${JSON.stringify(kept)}::text::json) as k(grain smallint, minutes integer)
            cross join lateral (
              select o.ctid from herald.stats o
                where o.grain = k.grain and o.start < now() - make_interval(mins => k.minutes)
                limit ${BATCH}
            ) o
            limit ${BATCH}))
        returning 1
    ),
    old_hours as (
      delete from herald.event_type_hours h
        where h.ctid = any(array(
          select o.ctid from herald.event_type_hours o where o.hour < now() - interval '26 hours' limit ${BATCH}))
        returning 1
    ),
    old_types as (
      delete from herald.event_types y
        where y.ctid = any(array(
          select o.ctid from herald.event_types o where o.last_seen_at < now() - interval '30 days' limit ${BATCH}))
          or y.ctid = any(array(
            select o.ctid from herald.event_types o
              order by o.last_seen_at desc
              offset ${MAX_EVENT_TYPES} limit ${BATCH}))
        returning 1
    )
    select greatest(
      (select count(*) from old_spans), (select count(*) from old_hours), (select count(*) from old_types)
    )::int as count`);
  return row?.count ?? 0;
}
