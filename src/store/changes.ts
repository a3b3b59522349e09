/**
 * The live feed: what has changed, in commit order, to every subscriber of this process, whichever process changed it.
 * One read after each announcement serves all: it goes into a window of the latest changes, through which each
 * subscriber moves at its own pace. Who resumes from a cursor, or fell out of the window, reads the log itself until it
 * is back in. So no subscriber has a buffer, and a slow one costs nobody anything.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Position } from '../domain/position.ts';
import type { Announcements } from './announcements.ts';
import { readChanges, readPosition } from './change-log.ts';
import { createChangeWindow } from './change-window.ts';
import type { Database } from './database.ts';
import { createPace } from './pace.ts';
import { createSubscription, type Source, type WatchIterator, type WatchOptions } from './subscription.ts';

export interface ChangeFeed {
  /** What it reads with; what else its subscribers need of a change is best read with it too. */
  readonly db: Database;
  /** Live items until the caller stops reading (`return()`), `select` says done, or the feed closes. */
  watch<T>(options: WatchOptions<T>): WatchIterator<T>;
  /** Tells that something happened, but not what; and that the feed closes. Returns what ends it. */
  hear(hearer: Hearer): () => void;
  /** Completes every subscription. */
  close(): void;
}

export interface Hearer {
  readonly heard: () => void;
  readonly ended: () => void;
}

/** Rows of the log that one read returns to a subscriber that reads for itself, some of which may do so at once. */
const OWN_ROWS = 20;
const OWN_READERS = 3;
const RETRY_MS = 500;
/** An announcement may be lost without a sign, e.g. on a half-open connection: look this often anyway, in ms. */
const POLL_MS = 2000;

export function createChangeFeed(db: Database, announcements: Announcements): ChangeFeed {
  const window = createChangeWindow();
  const subscriptions = new Set<{ wake(): void; end(): void }>();
  const hearers = new Set<Hearer>();
  const pace = createPace();
  const readOwn = createTurns(OWN_READERS);
  let reading = false;
  let behind = false;
  let closed = false;
  let lastReadAt = Number.NEGATIVE_INFINITY;
  /** When all there was had been read. */
  let caughtUpAt = performance.now();
  /** Those who wait for a read that begins after they came. */
  let waiting: ((place: { index: number; position: Position }) => void)[] = [];

  const isWatched = (): boolean => subscriptions.size + hearers.size > 0;

  /** Reads up to now; calls that come meanwhile share one further read. */
  async function read(): Promise<void> {
    behind = true;
    if (reading) return;
    reading = true;
    // Until now nothing was unread.
    caughtUpAt = performance.now();
    while (behind && isWatched()) {
      const { restMs, rows } = pace.next(performance.now() - caughtUpAt);
      const leftMs = lastReadAt + restMs - performance.now();
      if (leftMs > 0) await pause(leftMs);
      behind = false;
      const served = waiting;
      waiting = [];
      // While the database is away subscribers wait; the position lets nothing be skipped afterwards.
      try {
        lastReadAt = performance.now();
        const position = await readOnce(rows);
        for (const resolve of served) resolve({ index: window.end(), position });
      } catch {
        behind = true;
        waiting = [...served, ...waiting];
        await pause(RETRY_MS, undefined, { ref: false });
      }
    }
    reading = false;
    if (!isWatched()) window.forget();
  }

  async function readOnce(rows: number): Promise<Position> {
    const since = window.position();
    if (since === null) {
      const start = await readPosition(db);
      window.begin(start);
      caughtUpAt = performance.now();
      return start;
    }
    const found = await readChanges(db, since, rows);
    if (found.kind === 'MISSED') {
      window.begin(found.now);
      caughtUpAt = performance.now();
      tell();
      return found.now;
    }
    const before = window.latest();
    window.add({ changes: found.changes, position: found.position });
    pace.read(found, window.latest() - before);
    if (found.more) behind = true;
    else caughtUpAt = performance.now();
    if (found.changes.length > 0) tell();
    return found.position;
  }

  function tell(): void {
    for (const subscription of subscriptions) subscription.wake();
    for (const { heard } of hearers) heard();
  }

  const deafen = announcements.hear(() => {
    if (isWatched()) void read();
  });
  const polling = setInterval(() => {
    if (isWatched() && performance.now() - lastReadAt > POLL_MS / 2) void read();
  }, POLL_MS).unref();

  const source: Source = {
    settle: () =>
      new Promise((resolve) => {
        waiting.push(resolve);
        void read();
      }),
    batch: (index) => {
      const batch = window.batch(index);
      if (batch !== null && batch !== 'GONE') pace.batch();
      return batch;
    },
    handed: pace.items,
    find: (position) => window.find(position),
    latest: () => window.latest(),
    read: (position) => readOwn(() => readChanges(db, position, OWN_ROWS)),
  };

  return {
    db,
    watch<T>(options: WatchOptions<T>) {
      const { iterator, ...subscription } = createSubscription<T>(source, options, () =>
        subscriptions.delete(subscription),
      );
      if (closed) subscription.end();
      else subscriptions.add(subscription);
      return iterator;
    },
    hear(hearer) {
      if (closed) {
        hearer.ended();
        return () => {};
      }
      hearers.add(hearer);
      void read();
      return () => hearers.delete(hearer);
    },
    close() {
      closed = true;
      deafen();
      clearInterval(polling);
      for (const subscription of [...subscriptions]) subscription.end();
      for (const { ended } of [...hearers]) ended();
    },
  };
}

/** Lets `size` of those who ask work at once, in the order in which they came. */
function createTurns(size: number) {
  let free = size;
  const line: (() => void)[] = [];
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => line.push(resolve));
    try {
      return await work();
    } finally {
      const next = line.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}
