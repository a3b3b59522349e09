/** Delivery statistics, read: spans that were folded, and the tallies that were not yet. */
import { sql } from 'drizzle-orm';
import { parseHistogram } from '../domain/histogram.ts';
import { NOTHING, type Numbers, SPANS, type StatsWindow, spanOf, spansOf, sumOf } from '../domain/stats.ts';
import { arrayOf, idArray } from './arrays.ts';
import type { Database, Executor, Transaction } from './database.ts';
import { readClock } from './events.ts';
import { EVERYTHING, foldTallies, hasMoreTallies, projectScope, triggerScope } from './stats-fold.ts';
import { selectTallies, type TallyRow, toTally } from './tallies.ts';

/** What statistics are about. */
export type StatsScope =
  | { readonly kind: 'ALL' }
  | { readonly kind: 'PROJECTS'; readonly projects: readonly string[] }
  | { readonly kind: 'TRIGGER'; readonly id: string };

export interface DeliveryStats {
  readonly from: Date;
  readonly to: Date;
  /** Over the whole window. */
  readonly numbers: Numbers;
  /** Oldest first. */
  readonly spans: readonly { readonly from: Date; readonly numbers: Numbers }[];
}

/** Tallies read beside the folded spans; where there are more, they are folded first. */
const MAX_TALLIES = 10_000;
/** Transactions in which a reader folds: it must not wait for what piled up while no worker ran. */
const FOLD_ROUNDS = 2;

/** Numbers of each scope, in their order: exact at the moment of the answer. */
export async function readStats(
  db: Database,
  scopes: readonly StatsScope[],
  window: StatsWindow,
): Promise<readonly DeliveryStats[]> {
  if (await hasMoreTallies(db, MAX_TALLIES)) await foldTallies(db, FOLD_ROUNDS);
  // Both in one snapshot, or a fold between the two would be counted twice.
  return db.transaction(
    async (any) => {
      const tx = any as Transaction;
      const now = await readClock(tx);
      const starts = spansOf(window, now.getTime());
      const { grain } = SPANS[window];
      const since = new Date(starts[0] ?? 0);
      const [folded, tallies, events] = [
        await readSpans(tx, scopes, grain, since),
        await readTallies(tx, scopes, since),
        await readEventTallies(tx, scopes, since),
      ];
      return scopes.map((scope) => {
        const spans = new Map(starts.map((start): [number, Numbers[]] => [start, []]));
        const add = (at: number, numbers: Numbers): void => void spans.get(spanOf(at, grain))?.push(numbers);
        const names = new Set(namesOf(scope));
        for (const row of folded) if (names.has(row.scope)) add(row.start, row.numbers);
        for (const tally of tallies) {
          if (scope.kind === 'TRIGGER') {
            if (tally.trigger === scope.id) add(tally.at, tally.numbers);
          } else if (coversProject(scope, tally.project)) add(tally.at, { ...tally.numbers, events: 0 });
        }
        for (const { project, at, count } of events) {
          if (coversProject(scope, project)) add(at, { ...NOTHING, events: count });
        }
        return toStats(starts, spans, now);
      });
    },
    { isolationLevel: 'repeatable read', accessMode: 'read only' },
  );
}

function toStats(
  starts: readonly number[],
  spans: ReadonlyMap<number, readonly Numbers[]>,
  now: Date,
): DeliveryStats {
  const shown = starts.map((start) => ({ from: new Date(start), numbers: sumOf(spans.get(start) ?? []) }));
  return {
    from: new Date(starts[0] ?? 0),
    to: now,
    numbers: sumOf(shown.map(({ numbers }) => numbers)),
    spans: shown,
  };
}

function coversProject(scope: StatsScope, project: string): boolean {
  return scope.kind === 'ALL' || (scope.kind === 'PROJECTS' && scope.projects.includes(project));
}

function namesOf(scope: StatsScope): readonly string[] {
  switch (scope.kind) {
    case 'ALL':
      return [EVERYTHING];
    case 'PROJECTS':
      return [...new Set(scope.projects)].map(projectScope);
    case 'TRIGGER':
      return [triggerScope(scope.id)];
  }
}

interface SpanRow extends Record<string, unknown> {
  readonly scope: string;
  readonly start: number;
  readonly events: number;
  readonly attempts: number;
  readonly attemptsFailed: number;
  readonly retries: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly durations: string;
  readonly latencies: string;
}

async function readSpans(tx: Executor, scopes: readonly StatsScope[], grain: number, since: Date) {
  const names = arrayOf(scopes.flatMap(namesOf), (name) => name);
  const rows = await tx.execute<SpanRow>(sql`
    select
        s.scope, extract(epoch from s.start)::float8 * 1000 as start, s.events::float8 as events,
        s.attempts::float8 as attempts, s.attempts_failed::float8 as "attemptsFailed",
        s.retries::float8 as retries, s.succeeded::float8 as succeeded, s.failed::float8 as failed,
        s.durations, s.latencies
      from herald.stats s
      where s.scope = any(${names}::text[]) and s.grain = ${grain} and s.start >= ${since.toISOString()}`);
  return rows.map(({ scope, start, durations, latencies, ...counts }) => ({
    scope,
    start,
    numbers: { ...counts, durations: parseHistogram(durations), latencies: parseHistogram(latencies) },
  }));
}

/** Null conditions hold for all. */
function conditions(scopes: readonly StatsScope[]) {
  const all = scopes.some(({ kind }) => kind === 'ALL');
  const projects = scopes.flatMap((scope) => (scope.kind === 'PROJECTS' ? scope.projects : []));
  const ids = scopes.flatMap((scope) => (scope.kind === 'TRIGGER' ? [scope.id] : []));
  return { all, projects: sql`${arrayOf(projects, (name) => name)}::text[]`, ids: idArray(ids) };
}

async function readTallies(tx: Executor, scopes: readonly StatsScope[], since: Date) {
  const { all, projects, ids } = conditions(scopes);
  const rows = await tx.execute<TallyRow>(
    selectTallies(
      sql`(select * from herald.tallies l where l.at >= ${since.toISOString()})`,
      sql`(${all} or t.project = any(${projects}) or t.id = any(${ids}::uuid[]))`,
    ),
  );
  return rows.map(toTally);
}

async function readEventTallies(tx: Executor, scopes: readonly StatsScope[], since: Date) {
  const { all, projects } = conditions(scopes);
  return tx.execute<{ project: string; at: number; count: number }>(sql`
    select x.project, extract(epoch from x.at)::float8 * 1000 as at, sum(x.count)::int as count
      from herald.event_tallies x
      where (${all} or x.project = any(${projects})) and x.at >= ${since.toISOString()}
      group by 1, 2`);
}
