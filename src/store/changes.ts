/**
 * The live feed: what has changed, in commit order, to every subscriber of this process, whichever process changed it.
 * Position is a Postgres snapshot: each read returns exactly the rows that became visible since the one before, so a
 * transaction that commits late is not skipped (a sequence number would skip it) and holds nobody up.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Announcements } from './announcements.ts';
import { type DatedChange, readChanges } from './change-log.ts';
import type { Database } from './database.ts';

export interface WatchOptions<T> {
  /** Items to begin with, read after the subscription stands, so that nothing falls between; read again after a miss. */
  readonly start: () => Promise<Selection<T>>;
  /** What the subscriber gets to see of some changes. Called one batch after the other. */
  readonly select: (changes: readonly DatedChange[]) => Promise<Selection<T>>;
  /** Tells the subscriber that updates were missed: it read too slowly, or too much happened at once. */
  readonly missed: () => T;
}

export interface Selection<T> {
  readonly items: readonly T[];
  /** Whether the subscription ends after these items. */
  readonly done?: boolean;
}

export interface ChangeFeed {
  /** Live items until the caller stops reading (`return()`), `select` says done, or the feed closes. */
  watch<T>(options: WatchOptions<T>): AsyncIterableIterator<T>;
  /** Completes every subscription. */
  close(): void;
}

/** Items a slow subscriber may have waiting before they are dropped and it is told so. */
const BUFFER_SIZE = 1000;
const RETRY_MS = 500;

export function createChangeFeed(db: Database, announcements: Announcements): ChangeFeed {
  const subscribers = new Set<Subscriber>();
  let position: string | null = null;
  let reading = false;
  let behind = false;
  /** Those who came while a read was under way: they begin after the next one. */
  let newcomers: Subscriber[] = [];

  /** Reads up to now; calls that come meanwhile share one further read. */
  async function read(): Promise<void> {
    behind = true;
    if (reading) return;
    reading = true;
    while (behind && subscribers.size > 0) {
      behind = false;
      const beginning = newcomers;
      newcomers = [];
      // While the database is away subscribers wait; the snapshot position lets nothing be skipped afterwards.
      try {
        await readOnce();
        for (const subscriber of beginning) subscriber.begin();
      } catch {
        behind = true;
        newcomers = [...beginning, ...newcomers];
        await pause(RETRY_MS, undefined, { ref: false });
      }
    }
    reading = false;
  }

  async function readOnce(): Promise<void> {
    const since = position;
    const read = await readChanges(db, since);
    position = read.position;
    if (since === null) return;
    const { changes } = read;
    for (const subscriber of subscribers) {
      if (changes === 'TOO_MANY') subscriber.miss();
      else if (changes.length > 0) subscriber.take(changes);
    }
  }

  const deafen = announcements.hear(() => {
    if (subscribers.size > 0) void read();
  });

  return {
    watch(options) {
      // Nobody watched until now: what changed meanwhile is no concern of the first one to come.
      if (subscribers.size === 0) position = null;
      const { subscriber, iterator } = createSubscriber(options, () => subscribers.delete(subscriber));
      subscribers.add(subscriber);
      // A read fixes the position; the start items are read after it.
      newcomers.push(subscriber);
      void read();
      return iterator;
    },
    close() {
      deafen();
      for (const subscriber of subscribers) subscriber.end();
    },
  };
}

interface Subscriber {
  begin(): void;
  take(changes: readonly DatedChange[]): void;
  miss(): void;
  end(): void;
}

function createSubscriber<T>(options: WatchOptions<T>, leave: () => void) {
  const ready: T[] = [];
  let waitingReader: PromiseWithResolvers<IteratorResult<T>> | null = null;
  let failure: unknown = null;
  let ended = false;
  let work = Promise.resolve();
  let queuedBatches = 0;
  let restarting = false;

  const finish = (): void => {
    if (ended) return;
    ended = true;
    leave();
    waitingReader?.resolve({ done: true, value: undefined });
    waitingReader = null;
  };

  const deliver = ({ items, done = false }: Selection<T>): void => {
    for (const item of items) {
      if (ended) return;
      if (waitingReader !== null) {
        waitingReader.resolve({ done: false, value: item });
        waitingReader = null;
      } else if (ready.push(item) > BUFFER_SIZE) {
        ready.splice(0, ready.length, options.missed());
      }
    }
    if (done) finish();
  };

  /** One after the other, so that items keep the order of the changes. */
  const enqueue = (select: () => Promise<Selection<T>>): void => {
    queuedBatches++;
    work = work.then(async () => {
      queuedBatches--;
      if (ended) return;
      try {
        deliver(await select());
      } catch (error) {
        failure = error;
        waitingReader?.reject(error);
        waitingReader = null;
        finish();
      }
    });
  };

  const subscriber: Subscriber = {
    begin: () => enqueue(options.start),
    take: (changes) => {
      if (queuedBatches < BUFFER_SIZE) enqueue(() => options.select(changes));
      else subscriber.miss();
    },
    miss: () => {
      ready.length = 0;
      deliver({ items: [options.missed()] });
      if (restarting) return;
      restarting = true;
      // What was missed may have been the end: look at the state again.
      enqueue(() => {
        restarting = false;
        return options.start();
      });
    },
    end: finish,
  };

  const iterator: AsyncIterableIterator<T> = {
    [Symbol.asyncIterator]: () => iterator,
    async next() {
      const item = ready.shift();
      if (item !== undefined) return { done: false, value: item };
      if (failure !== null) throw failure;
      if (ended) return { done: true, value: undefined };
      waitingReader ??= Promise.withResolvers<IteratorResult<T>>();
      return waitingReader.promise;
    },
    async return() {
      ready.length = 0;
      finish();
      return { done: true, value: undefined };
    },
  };
  return { subscriber, iterator };
}
