/** One subscriber's way through the log: it takes what it reads when it is asked for the next item, and keeps no more. */
import { setTimeout as pause } from 'node:timers/promises';
import { AppError } from '../domain/errors.ts';
import { contains, decodeCursor, encodeCursor, includes, type Position } from '../domain/position.ts';
import type { DatedChange, ReadChanges } from './change-log.ts';
import type { Batch } from './change-window.ts';
import { translateDatabaseError } from './database-errors.ts';

export interface WatchOptions<T> {
  /** Begins with what came after this cursor, instead of `start`; a cursor that is none counts as one too old. */
  readonly after?: string | null | undefined;
  /** Items to begin with, read after the subscription stands, so that nothing falls between; read again after a miss. */
  readonly start: (place: { readonly cursor: string }) => Promise<Selection<T>>;
  /** Called once where the subscription begins after a cursor, before what came after it is read. */
  readonly resume?: () => Promise<Selection<T>>;
  /**
   * What the subscriber gets to see of some changes, in order. `batch` is the same for all subscribers that come by,
   * most of them at the same time: what is read for it can be shared.
   */
  readonly select: (changes: readonly DatedChange[], batch: Batch) => Promise<Selection<T>>;
  /** Tells the subscriber that updates were missed, and where it goes on. */
  readonly missed: (place: { readonly cursor: string }) => T;
}

export interface Selection<T> {
  readonly items: readonly T[];
  /** Whether the subscription ends after these items. */
  readonly done?: boolean;
}

export interface WatchIterator<T> extends AsyncIterableIterator<T> {
  return(): Promise<IteratorResult<T>>;
  /** Items that are there already, in order: `next` will hand them out. */
  peek(): readonly T[];
  /** Counts that many of them as handed out. */
  skip(count: number): void;
}

/** What a subscription needs of the feed. */
export interface Source {
  /** Resolves after a read that began later than this call; answers where the window ends. */
  settle(): Promise<{ readonly index: number; readonly position: Position }>;
  /** The batch number `index`; null where it is still to come, 'GONE' where the window has left it behind. */
  batch(index: number): Batch | null | 'GONE';
  /** The subscriber is given items, of a batch of the window or others. */
  handed(count: number, live: boolean): void;
  /** The first batch of the window that may hold what is not in `position`; null where older ones may. */
  find(position: Position): number | null;
  /** When the latest change in the window was made, in epoch milliseconds of the database's clock. */
  latest(): number;
  /** Reads the log apart from the window. */
  read(position: Position): Promise<ReadChanges>;
}

/** A subscriber that has fallen behind by more than this, in ms, is too slow: it is told so and goes on with now. */
const MAX_LAG_MS = 60_000;

/** While the database is away, in ms between tries. */
const RETRY_MS = 500;

/** Where a subscriber is. */
type Place =
  | { readonly kind: 'NEW' }
  | { readonly kind: 'RESUMING'; readonly position: Position }
  /** Reading the log by itself, after `position`; `late` since it fell out of the window. */
  | { readonly kind: 'LOG'; readonly position: Position; readonly late: boolean }
  | {
      readonly kind: 'WINDOW';
      readonly index: number;
      readonly position: Position;
      /** What it has read already of what is in the window, if any. */
      readonly read: Position | null;
    }
  | { readonly kind: 'MISSED' };

export function createSubscription<T>(source: Source, options: WatchOptions<T>, leave: () => void) {
  let place = beginning(options.after);
  let items: readonly T[] = [];
  let taken = 0;
  /** Whether they are of a batch of the window. */
  let live = false;
  /** Ends after `items`. */
  let done = false;
  let ended = false;
  /** Whether the window is known to follow the log. */
  let standing = false;
  let awake = Promise.withResolvers<void>();
  const end = Promise.withResolvers<null>();

  function finish(): void {
    if (ended) return;
    ended = true;
    leave();
    awake.resolve();
    end.resolve(null);
  }

  /** One step along the way; items it came by are in `items`. */
  async function step(): Promise<void> {
    switch (place.kind) {
      case 'NEW':
        return begin(null);
      case 'MISSED':
        return begin(options.missed);
      case 'RESUMING':
        return resume(place);
      case 'LOG':
        return readLog(place);
      case 'WINDOW':
        return readWindow(place);
    }
  }

  async function begin(missed: WatchOptions<T>['missed'] | null): Promise<void> {
    const settled = await Promise.race([source.settle(), end.promise]);
    if (settled === null) return;
    const cursor = encodeCursor(settled.position);
    const started = await options.start({ cursor });
    place = { kind: 'WINDOW', ...settled, read: null };
    hold(missed === null ? started : { ...started, items: [missed({ cursor }), ...started.items] });
  }

  async function resume({ position }: Extract<Place, { kind: 'RESUMING' }>): Promise<void> {
    const resumed = (await options.resume?.()) ?? { items: [] };
    place = { kind: 'LOG', position, late: false };
    hold(resumed);
  }

  async function readLog({ position, late }: Extract<Place, { kind: 'LOG' }>): Promise<void> {
    if (!standing && (await Promise.race([source.settle(), end.promise])) === null) return;
    standing = true;
    const index = source.find(position);
    if (index !== null) {
      place = { kind: 'WINDOW', index, position, read: position };
      return;
    }
    const found = await source.read(position);
    if (found.kind === 'MISSED' || (late && isTooLate(found.changes))) {
      place = { kind: 'MISSED' };
      return;
    }
    const selected = found.changes.length === 0 ? { items: [] } : await options.select(found.changes, found);
    place = { kind: 'LOG', position: found.position, late };
    standing = found.more;
    hold(selected);
  }

  function isTooLate(changes: readonly DatedChange[]): boolean {
    const newest = Math.max(...changes.map(({ at }) => at.getTime()));
    return source.latest() - newest > MAX_LAG_MS;
  }

  async function readWindow(at: Extract<Place, { kind: 'WINDOW' }>): Promise<void> {
    const batch = source.batch(at.index);
    if (batch === 'GONE') {
      place = { kind: 'LOG', position: at.read ?? at.position, late: true };
      standing = true;
      return;
    }
    if (batch === null) {
      await awake.promise;
      return;
    }
    const { read } = at;
    const changes =
      read === null ? batch.changes : batch.changes.filter(({ commit }) => !includes(read, commit.xid));
    const selected = changes.length === 0 ? { items: [] } : await options.select(changes, batch);
    // What it read by itself is behind it once the window has come as far.
    const stillAhead = read !== null && !contains(batch.position, read);
    place = {
      kind: 'WINDOW',
      index: at.index + 1,
      position: batch.position,
      read: stillAhead ? read : null,
    };
    hold(selected, true);
  }

  function hold(selected: Selection<T>, ofWindow = false): void {
    items = selected.items;
    live = ofWindow;
    taken = 0;
    done = selected.done ?? false;
  }

  const iterator: WatchIterator<T> = {
    [Symbol.asyncIterator]: () => iterator,
    async next() {
      while (!ended) {
        if (taken < items.length) {
          const value = items[taken] as T;
          taken++;
          source.handed(1, live);
          return { done: false, value };
        }
        if (done) {
          finish();
          break;
        }
        awake = Promise.withResolvers<void>();
        try {
          await step();
        } catch (error) {
          // It has taken no step, so nothing is lost by trying again.
          if (!isAway(error)) {
            finish();
            throw error;
          }
          await pause(RETRY_MS, undefined, { ref: false });
        }
      }
      return { done: true, value: undefined };
    },
    async return() {
      items = [];
      finish();
      return { done: true, value: undefined };
    },
    peek: () => items.slice(taken),
    skip(count) {
      taken += count;
      source.handed(count, live);
    },
  };
  return { iterator, wake: () => awake.resolve(), end: finish };
}

function isAway(error: unknown): boolean {
  const translated = translateDatabaseError(error);
  return translated instanceof AppError && translated.code === 'UNAVAILABLE';
}

function beginning(after: string | null | undefined): Place {
  if (after == null) return { kind: 'NEW' };
  const position = decodeCursor(after);
  return position === null ? { kind: 'MISSED' } : { kind: 'RESUMING', position };
}

/**
 * Items with their cursors. Only the last item of a transaction has the cursor behind it: after any other one the
 * subscriber is told the whole transaction again.
 */
export function withCursors<Item extends { readonly commit: DatedChange['commit'] }, Out>(
  items: readonly Item[],
  make: (item: Item, cursor: string) => Out,
): readonly Out[] {
  return items.map((item, index) => {
    const last = items[index + 1]?.commit !== item.commit;
    return make(item, last ? item.commit.cursor : item.commit.before);
  });
}
