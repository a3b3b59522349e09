/**
 * Reads of one answer, gathered: everything that is asked for in the same turn of the event loop becomes one statement.
 * A set of loaders lives as long as one answer (one payload, for a subscription), so it never shows what was.
 */
import DataLoader from 'dataloader';
import type { InvocationCounts } from '../domain/event.ts';
import type { StatsWindow } from '../domain/stats.ts';
import { type AttemptRow, countAttemptsOf, findAttempts, listAttemptsOf } from '../store/attempts.ts';
import type { Database } from '../store/database.ts';
import {
  type EventProgressRow,
  type EventRow,
  findEvents,
  readClock,
  readProgress,
} from '../store/events.ts';
import { readFailingSince } from '../store/failing-triggers.ts';
import {
  countInvocationsOf,
  findInvocations,
  type InvocationFilter,
  type InvocationOrder,
  type InvocationParent,
  type InvocationRow,
  listInvocationsOf,
} from '../store/invocations.ts';
import { type CappedCount, DEFAULT_PAGE_SIZE, isUuid, type Page, type PageArgs } from '../store/pages.ts';
import { type DeliveryStats, readStats } from '../store/stats.ts';
import { findSigningKeys, findTriggers, type SigningKeyRow, type TriggerRow } from '../store/triggers.ts';
import type { Budget } from './budget.ts';

export interface Progress extends InvocationCounts {
  readonly finishedAt: Date | null;
}

export interface Loaders {
  readonly budget: Budget;
  /** The database's clock, read once. */
  now(): Promise<Date>;
  trigger(id: string): Promise<TriggerRow | null>;
  event(id: string): Promise<EventRow | null>;
  /** The event where it has been read ahead: what waits for nothing is executed in one go. */
  eventHere(id: string): EventRow | null;
  invocation(id: string): Promise<InvocationRow | null>;
  progress(eventId: string): Promise<Progress>;
  signingKeys(triggerId: string): Promise<readonly SigningKeyRow[]>;
  failingSince(triggerId: string): Promise<Date | null>;
  lastAttempt(invocationId: string): Promise<AttemptRow | null>;
  attempt(invocationId: string, number: number): Promise<AttemptRow | null>;
  statsOf(triggerId: string, window: StatsWindow): Promise<DeliveryStats>;
  invocationsOf(parent: InvocationParent, id: string, asked: AskedInvocations): Promise<Page<InvocationRow>>;
  invocationCountOf(parent: InvocationParent, id: string, filter: InvocationFilter): Promise<CappedCount>;
  attemptsOf(invocationId: string, args: PageArgs): Promise<Page<AttemptRow>>;
  attemptCountOf(invocationId: string): Promise<CappedCount>;
}

export interface AskedInvocations {
  readonly filter: InvocationFilter;
  readonly order: InvocationOrder;
  readonly args: PageArgs;
}

/** Rows one statement reads at most, so that the budget is looked at in between. */
const CHUNK_ROWS = 2000;
/** Events one statement reads at most; their data may be 256 KiB each. */
const CHUNK_EVENTS = 100;
/** Triggers whose statistics one statement reads: a hundred rows each. */
const STATS_CHUNK = 20;

export function createLoaders(db: Database, budget: Budget): Loaders {
  const clock = once(() => readClock(db));
  const byId = <Row extends { readonly id: string }>(
    chunk: number,
    find: (ids: readonly string[]) => Promise<readonly Row[]>,
  ) => once(() => batched<Row | null>(chunk, budget, async (ids) => inOrder(ids, await find(ids))));

  const trigger = byId(CHUNK_ROWS, (ids) => findTriggers(db, ids));
  const event = byId(CHUNK_EVENTS, async (ids) => spendOnEvents(budget, await findEvents(db, ids)));
  const invocation = byId(CHUNK_ROWS, (ids) => findInvocations(db, ids));
  const progress = once(() =>
    batched(CHUNK_ROWS, budget, async (ids) => progressOf(ids, await readProgress(db, ids))),
  );
  const signingKeys = once(() =>
    batched(CHUNK_ROWS, budget, async (ids) => {
      const keys = Map.groupBy(await findSigningKeys(db, ids), ({ triggerId }) => triggerId);
      return ids.map((id): readonly SigningKeyRow[] => keys.get(id) ?? []);
    }),
  );
  const failingSince = once(() =>
    batched<Date | null>(CHUNK_ROWS, budget, (ids) => readFailingSince(db, ids)),
  );
  const attempt = once(() =>
    batched<AttemptRow | null>(CHUNK_ROWS, budget, async (keys) => {
      const wanted = keys.map((key) => {
        const [invocationId = '', number] = key.split('/');
        return { invocationId, number: Number(number) };
      });
      const rows = spendOnAttempts(budget, await findAttempts(db, wanted));
      const byKey = new Map(rows.map((row) => [`${row.invocationId}/${row.number}`, row]));
      return keys.map((key) => byKey.get(key) ?? null);
    }),
  );
  const stats = perArguments((window: StatsWindow) =>
    batched(STATS_CHUNK, budget, (ids) =>
      readStats(
        db,
        ids.map((id) => ({ kind: 'TRIGGER', id })),
        window,
      ),
    ),
  );
  const attemptCount = once(() => batched(CHUNK_ROWS, budget, (ids) => countAttemptsOf(db, ids)));

  // Of these there is one for each set of arguments that the query asks with.
  const pages = perArguments((parent: InvocationParent, { filter, order, args }: AskedInvocations) =>
    batched(parentsPerChunk(args), budget, async (ids) => {
      const found = await listInvocationsOf(db, { kind: parent, ids }, filter, order, args);
      return spendOnPages(budget, found);
    }),
  );
  const counts = perArguments((parent: InvocationParent, filter: InvocationFilter) =>
    batched(CHUNK_ROWS, budget, (ids) => countInvocationsOf(db, { kind: parent, ids }, filter)),
  );
  const attemptPages = perArguments((args: PageArgs) =>
    batched(parentsPerChunk(args), budget, async (ids) => {
      const found = await listAttemptsOf(db, ids, args);
      const nodes = found.flatMap(({ edges }) => edges.map(({ node }) => node));
      spendOnAttempts(budget, nodes);
      return spendOnPages(budget, found);
    }),
  );

  return {
    budget,
    now: clock,
    trigger: async (id) => (isUuid(id) ? trigger().load(id) : null),
    event: async (id) => (isUuid(id) ? event().load(id) : null),
    eventHere: () => null,
    invocation: async (id) => (isUuid(id) ? invocation().load(id) : null),
    progress: (id) => progress().load(id),
    signingKeys: (id) => signingKeys().load(id),
    failingSince: (id) => failingSince().load(id),
    attempt: (id, number) => attempt().load(`${id}/${number}`),
    statsOf: (id, window) => stats(window).load(id),
    lastAttempt: async (id) => {
      const page = await attemptPages({ last: 1 }).load(id);
      return page.edges[0]?.node ?? null;
    },
    invocationsOf: (parent, id, asked) => pages(parent, asked).load(id),
    invocationCountOf: (parent, id, filter) => counts(parent, filter).load(id),
    attemptsOf: (id, args) => attemptPages(args).load(id),
    attemptCountOf: (id) => attemptCount().load(id),
  };
}

/** What a page of events costs: their data were read. */
export function spendOnEvents(budget: Budget, rows: readonly EventRow[]): readonly EventRow[] {
  budget.spend({ bytes: rows.reduce((sum, { data }) => sum + (data?.length ?? 0), 0) });
  return rows;
}

function spendOnAttempts(budget: Budget, rows: readonly AttemptRow[]): readonly AttemptRow[] {
  budget.spend({ bytes: rows.reduce((sum, { responseBody }) => sum + (responseBody?.length ?? 0), 0) });
  return rows;
}

function spendOnPages<Row>(budget: Budget, pages: readonly Page<Row>[]): readonly Page<Row>[] {
  budget.spend({ rows: pages.reduce((sum, { edges }) => sum + edges.length, 0) });
  return pages;
}

/** A loader that answers its ids `chunk` at a time, and stops once the budget is spent. */
function batched<Value>(
  chunk: number,
  budget: Budget,
  read: (ids: readonly string[]) => Promise<readonly Value[]>,
): DataLoader<string, Value> {
  return new DataLoader(async (ids) => {
    const values: Value[] = [];
    for (let at = 0; at < ids.length; at += chunk) {
      const some = ids.slice(at, at + chunk);
      budget.spend({ rows: some.length });
      values.push(...(await read(some)));
    }
    return values;
  });
}

function parentsPerChunk({ first, last }: PageArgs): number {
  return Math.max(1, Math.floor(CHUNK_ROWS / Math.max(1, first ?? last ?? DEFAULT_PAGE_SIZE)));
}

function inOrder<Row extends { readonly id: string }>(
  ids: readonly string[],
  rows: readonly Row[],
): (Row | null)[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  // Postgres writes UUIDs in lower case, callers may not.
  return ids.map((id) => byId.get(id.toLowerCase()) ?? null);
}

const NO_PROGRESS: Progress = {
  total: 0,
  pending: 0,
  running: 0,
  succeeded: 0,
  failed: 0,
  cancelled: 0,
  finishedAt: null,
};

function progressOf(ids: readonly string[], rows: readonly EventProgressRow[]): readonly Progress[] {
  const byEvent = new Map(rows.map((row) => [row.eventId, row]));
  return ids.map((id) => byEvent.get(id) ?? NO_PROGRESS);
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function perArguments<Args extends readonly unknown[], T>(make: (...args: Args) => T): (...args: Args) => T {
  const made = new Map<string, T>();
  return (...args) => {
    const key = JSON.stringify(args);
    const value = made.get(key) ?? make(...args);
    made.set(key, value);
    return value;
  };
}
