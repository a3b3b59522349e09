/** Does jobs over many rows in the background, chunk by chunk: those that this process was asked for, or finds abandoned. */
import { setTimeout as pause } from 'node:timers/promises';
import { DEFAULT_ROWS_PER_MINUTE } from '../domain/bulk-operation.ts';
import type { Log } from '../log.ts';
import {
  abandon,
  type BulkOperationRow,
  failBulkOperation,
  findAbandoned,
  findBulkOperation,
} from '../store/bulk-operations.ts';
import { type ChunkLimits, type ChunkResult, countMatched, doChunk } from '../store/bulk-work.ts';
import type { Database } from '../store/database.ts';
import { describeError, isAway, isTimeout } from '../store/database-errors.ts';

export interface BulkRunner {
  /** Begins to work on it; what is left when the process ends is taken up by another. */
  start(id: string): void;
  /** Works on what nobody works on. */
  adopt(): Promise<void>;
  /** Resolves when the chunks under way have ended, and others may go on with the rest. */
  stop(): Promise<void>;
}

/** Milliseconds that one chunk is for: what it plans is planned evenly over it. */
const SPAN_MS = 1000;
/** Rows of a chunk at most: a fraction of a second, which others wait for. */
const MAX_CHUNK = 1000;
/** Rows that a chunk looks at, at most and at least: the same. */
const REACH = 20_000;
const MIN_REACH = 200;
/** When to look again, in ms, where the rows are not to be had now: another process has them, or the last chunk. */
const WAIT_MS = 250;
/** When to try again, in ms, where the database is away or busy: at first, and at most. */
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 5000;
/** So late, in seconds, that nobody works on it any more. */
const ABANDONED_SECONDS = 15;
/** Chunks of a process at once: of its connections, deliveries and calls need most. */
const AT_ONCE = 2;
/** Chunks that have to go well before they grow again, where they were too much. */
const GROW_AFTER = 5;
/** Tries in a row that may fail before an operator is told. */
const TELL_AFTER = 5;

export function createBulkRunner(db: Database, log: Log): BulkRunner {
  const stopping = new AbortController();
  const { signal } = stopping;
  const running = new Map<string, Promise<void>>();
  const turn = createTurns(AT_ONCE);
  const rest = (ms: number) => pause(ms, undefined, { signal });

  async function run(id: string): Promise<void> {
    const operation = await findBulkOperation(db, id);
    if (operation === null) return;
    const isNew = operation.processed + operation.skipped === 0;
    if (operation.matched === null && isNew) {
      await turn(() => countMatched(db, operation)).catch((error: unknown) =>
        log('debug', 'could not count what a bulk operation is about', { error: describeError(error) }),
      );
    }
    const chunks = createChunks(paceOf(operation));
    for (;;) {
      const { end, waitMs } = await turn(() => next(id, chunks));
      if (end === 'DONE' || end === 'NOT_OURS') return;
      await rest(waitMs);
    }
  }

  /** Does a chunk, and says when the next one may follow. Errors: where trying again cannot help. */
  async function next(id: string, chunks: Chunks) {
    signal.throwIfAborted();
    const startedAt = performance.now();
    try {
      const came = await doChunk(db, id, chunks.limits());
      for (const refused of came.refused ?? []) {
        log('warn', 'a row of a bulk operation was refused', { operation: id, ...refused });
      }
      // Others get as much of the database, where it looks through much and finds little.
      return { end: came.end, waitMs: Math.max(chunks.went(came), performance.now() - startedAt) };
    } catch (error) {
      if (!isAway(error)) throw error;
      const { waitMs, failures } = chunks.failed(error);
      if (failures % TELL_AFTER === 0) {
        const fields = { operation: id, failures, error: describeError(error) };
        log('warn', 'a bulk operation does not get on', fields);
      }
      return { end: 'MORE', waitMs } as const;
    }
  }

  function start(id: string): void {
    if (running.has(id) || signal.aborted) return;
    const work = run(id)
      .catch(async (error: unknown) => {
        // Another process goes on where it stopped.
        if (signal.aborted || isAway(error)) return;
        const message = describeError(error);
        log('error', 'a bulk operation failed', { operation: id, error: message });
        await failBulkOperation(db, id, message).catch(() => {});
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
      const left = [...running.keys()];
      await Promise.all(running.values());
      await abandon(db, left);
    },
  };
}

/** Lets so many work at once, the others in the order in which they came. */
function createTurns(atOnce: number) {
  const waiting: (() => void)[] = [];
  let working = 0;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (working >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
    else working++;
    try {
      return await work();
    } finally {
      const first = waiting.shift();
      if (first === undefined) working--;
      else first();
    }
  };
}

type Chunks = ReturnType<typeof createChunks>;

/** The next chunk's limits, and how long to wait for it, after how the last ones went. */
export function createChunks(pace: ChunkLimits) {
  let divisor = 1;
  let wentWell = 0;
  let failures = 0;
  return {
    limits: (): ChunkLimits => ({
      ...pace,
      size: Math.max(1, Math.floor(pace.size / divisor)),
      reach: Math.max(MIN_REACH, Math.floor(pace.reach / divisor)),
    }),
    /** Milliseconds until the next one. */
    went({ end, done, earlyMs }: ChunkResult): number {
      failures = 0;
      if (++wentWell % GROW_AFTER === 0) divisor = Math.max(1, divisor / 2);
      return end === 'MORE' ? done * pace.perRowMs : (earlyMs ?? WAIT_MS);
    },
    failed(error: unknown) {
      failures++;
      wentWell = 0;
      // It was too much.
      if (isTimeout(error)) divisor = Math.min(divisor * 2, pace.size);
      return { failures, waitMs: Math.min(FIRST_RETRY_MS * 2 ** failures, MAX_RETRY_MS) };
    },
  };
}

/** How many rows a chunk has, and how they are spread. */
function paceOf({ kind, maxPerMinute }: BulkOperationRow): ChunkLimits {
  if (kind === 'CANCEL_EVENTS') return { size: MAX_CHUNK, reach: REACH, perRowMs: 0 };
  const perRowMs = 60_000 / (maxPerMinute ?? DEFAULT_ROWS_PER_MINUTE);
  const size = Math.max(1, Math.min(MAX_CHUNK, Math.floor(SPAN_MS / perRowMs)));
  return { size, reach: REACH, perRowMs };
}
