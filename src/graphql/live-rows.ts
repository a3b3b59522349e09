/**
 * Rows that subscriptions need, read once for all of them: they come by the same batch of changes at the same time, so
 * what one asks for and what the others ask for becomes one statement.
 */
import type { DatedChange } from '../store/change-log.ts';
import type { Batch } from '../store/change-window.ts';
import type { Database } from '../store/database.ts';
import type { EventRow } from '../store/events.ts';
import { UNLIMITED } from './budget.ts';
import { createLoaders, type Loaders } from './loaders.ts';

type Shared = Pick<Loaders, 'event' | 'eventHere' | 'invocation' | 'trigger' | 'attempt'>;

export interface RowsOfBatch extends Shared {
  /**
   * Reads an event ahead where payloads of the batches before asked for theirs: together with all else that is read for
   * the batch, and not for some payloads after the other.
   */
  expectEvent(id: string): Promise<void>;
}

export interface LiveRows {
  /** Rows as they are when the first subscriber comes by `batch`. */
  of(batch: Batch): RowsOfBatch;
  /** The same for an item that was made from a batch; nothing where it was not. */
  loadersOf(item: unknown): Partial<Shared>;
  /**
   * What `make` makes of a change, the same object for all who ask with the same `name`: what is answered to one
   * subscriber can be answered to the next one.
   */
  item<Item extends object>(batch: Batch, change: DatedChange, name: string, make: () => Item): Item;
  /** What `select` makes of `changes`: where they are all of a batch, shared by all who ask with the same `name`. */
  selection<T>(
    batch: Batch,
    changes: readonly DatedChange[],
    name: string,
    select: () => Promise<T>,
  ): Promise<T>;
  /** Whether it was made by `item`. */
  isShared(item: unknown): item is object;
  /** What `read` reads, shared by all who ask with the same `name` at the same time or a moment later. */
  once<T>(name: string, read: () => Promise<T>): Promise<T>;
}

interface Kept {
  readonly rows: RowsOfBatch;
  /** Whether a payload asked for an event. */
  asksForEvents: boolean;
  readonly items: Map<DatedChange, Map<string, object>>;
  readonly selections: Map<string, Promise<unknown>>;
}

/** Events of a batch that are read ahead at most, as they may be large; a batch is longer where one transaction is. */
const MAX_EXPECTED = 200;
/** Batches whose rows are kept: events may be large, and who comes later reads them again. */
const KEPT_BATCHES = 4;
/** The least interval between updates of a state, in ms, less a little. */
const MOMENT_MS = 200;

export function createLiveRows(db: Database): LiveRows {
  const kept = new Map<Batch, Kept>();
  const batches = new WeakMap<object, Batch>();
  const states = new Map<string, Promise<unknown>>();

  function keep(batch: Batch): Kept {
    const known = kept.get(batch);
    if (known !== undefined) return known;
    const expectsEvents = [...kept.values()].some(({ asksForEvents }) => asksForEvents);
    const { event, invocation, trigger, attempt } = createLoaders(db, UNLIMITED);
    const here = new Map<string, EventRow>();
    const expected = new Set<string>();
    const read = async (id: string): Promise<EventRow | null> => {
      const row = await event(id);
      if (row !== null) here.set(id, row);
      return row;
    };
    const eventHere = (id: string): EventRow | null => {
      entry.asksForEvents = true;
      return here.get(id) ?? null;
    };
    const expectEvent = async (id: string): Promise<void> => {
      if (!expectsEvents || expected.size === MAX_EXPECTED) return;
      expected.add(id);
      // The payload that asks for it asks again, and is told.
      await read(id).catch(() => null);
    };
    const entry: Kept = {
      rows: { event: read, eventHere, expectEvent, invocation, trigger, attempt },
      asksForEvents: false,
      items: new Map(),
      selections: new Map(),
    };
    kept.set(batch, entry);
    const [oldest] = kept.keys();
    if (kept.size > KEPT_BATCHES && oldest !== undefined) kept.delete(oldest);
    return entry;
  }

  return {
    of: (batch) => keep(batch).rows,
    loadersOf(item) {
      const batch = typeof item === 'object' && item !== null ? batches.get(item) : undefined;
      return batch === undefined ? {} : keep(batch).rows;
    },
    item<Item extends object>(batch: Batch, change: DatedChange, name: string, make: () => Item): Item {
      const { items } = keep(batch);
      const made = items.get(change) ?? new Map<string, object>();
      items.set(change, made);
      // Nobody else uses the name for another kind of item.
      const item = (made.get(name) as Item | undefined) ?? make();
      made.set(name, item);
      batches.set(item, batch);
      return item;
    },
    selection<T>(
      batch: Batch,
      changes: readonly DatedChange[],
      name: string,
      select: () => Promise<T>,
    ): Promise<T> {
      if (changes !== batch.changes) return select();
      const { selections } = keep(batch);
      const made = (selections.get(name) as Promise<T> | undefined) ?? select();
      selections.set(name, made);
      // Whoever awaits it is told; the next one tries anew.
      made.catch(() => selections.delete(name));
      return made;
    },
    isShared: (item): item is object => typeof item === 'object' && item !== null && batches.has(item),
    once<T>(name: string, read: () => Promise<T>) {
      const known = states.get(name) as Promise<T> | undefined;
      if (known !== undefined) return known;
      const state = read();
      states.set(name, state);
      const forget = () => states.delete(name);
      state.then(() => setTimeout(forget, MOMENT_MS), forget);
      return state;
    },
  };
}
