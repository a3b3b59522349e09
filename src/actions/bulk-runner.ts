/** Does jobs over many rows in the background, chunk by chunk: those that this process was asked for, or finds abandoned. */
import { setTimeout as pause } from 'node:timers/promises';
import { DEFAULT_ROWS_PER_MINUTE } from '../domain/bulk-operation.ts';
import type { Log } from '../log.ts';
import type { ChunkSize } from '../store/bulk-changes.ts';
import {
  type BulkOperationRow,
  failBulkOperation,
  findAbandoned,
  findBulkOperation,
} from '../store/bulk-operations.ts';
import { countMatched, doChunk } from '../store/bulk-work.ts';
import type { Database } from '../store/database.ts';
import { describeError, isAway } from '../store/database-errors.ts';

export interface BulkRunner {
  /** Begins to work on it; what is left when the process ends is taken up by another. */
  start(id: string): void;
  /** Works on what nobody works on. */
  adopt(): Promise<void>;
  /** Resolves when the chunks under way have ended. */
  stop(): Promise<void>;
}

/** Milliseconds that one chunk is for: what it plans is planned evenly over it. */
const SPAN_MS = 1000;
/** Rows of a chunk at most: a fraction of a second, which others wait for. */
const MAX_CHUNK = 1000;
/** When to look again, in ms, where the rows are not to be had now: another process has them, or the last chunk. */
const WAIT_MS = 250;
/** When to try again, in ms, where the database is away or busy: at first, and at most. */
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 5000;
/** So late, in seconds, that nobody works on it any more. */
const ABANDONED_SECONDS = 15;

export function createBulkRunner(db: Database, log: Log): BulkRunner {
  const stopping = new AbortController();
  const { signal } = stopping;
  const running = new Map<string, Promise<void>>();
  const rest = (ms: number) => pause(ms, undefined, { signal });

  async function run(id: string): Promise<void> {
    const operation = await insisting(() => findBulkOperation(db, id));
    if (operation === null) return;
    if (operation.matched === null) {
      await countMatched(db, operation).catch((error: unknown) =>
        log('debug', 'could not count what a bulk operation is about', { error: describeError(error) }),
      );
    }
    const pace = paceOf(operation);
    for (;;) {
      signal.throwIfAborted();
      const end = await insisting((divisor) => doChunk(db, id, smaller(pace, divisor)));
      if (end === 'DONE' || end === 'NOT_OURS') return;
      await rest(end === 'MORE' ? pace.spanMs : WAIT_MS);
    }
  }

  /** Tries again while the database is away or busy; with each time for less, as it may have been too much. */
  async function insisting<T>(work: (divisor: number) => Promise<T> | T): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        return await work(2 ** tries);
      } catch (error) {
        if (!isAway(error)) throw error;
        await rest(Math.min(FIRST_RETRY_MS * 2 ** tries, MAX_RETRY_MS));
      }
    }
  }

  function start(id: string): void {
    if (running.has(id) || signal.aborted) return;
    const work = run(id)
      .catch(async (error: unknown) => {
        // Another process goes on where it stopped.
        if (signal.aborted) return;
        log('error', 'a bulk operation failed', { operation: id, error: describeError(error) });
        await failBulkOperation(db, id).catch(() => {});
      })
      .finally(() => running.delete(id));
    running.set(id, work);
  }

  return {
    start,
    async adopt() {
      for (const id of await findAbandoned(db, ABANDONED_SECONDS)) start(id);
    },
    async stop() {
      stopping.abort();
      await Promise.all(running.values());
    },
  };
}

/** How many rows a chunk has, and how long it lasts. */
function paceOf({ kind, maxPerMinute }: BulkOperationRow): ChunkSize {
  if (kind === 'CANCEL_EVENTS') return { size: MAX_CHUNK, spanMs: 0 };
  const perMs = (maxPerMinute ?? DEFAULT_ROWS_PER_MINUTE) / 60_000;
  const size = Math.max(1, Math.min(MAX_CHUNK, Math.floor(perMs * SPAN_MS)));
  return { size, spanMs: size / perMs };
}

const smaller = ({ size, spanMs }: ChunkSize, divisor: number): ChunkSize => ({
  size: Math.max(1, Math.floor(size / divisor)),
  spanMs,
});
