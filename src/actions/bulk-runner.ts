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
import { describeError, isAway, isOfData } from '../store/database-errors.ts';

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
/** Rows that a chunk looks at, at most: the same. */
const REACH = 20_000;
/** When to look again, in ms, where the rows are not to be had now: another process has them, or the last chunk. */
const WAIT_MS = 250;
/** When to try again, in ms, where the database is away or busy: at first, and at most. */
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 5000;
/** So late, in seconds, that nobody works on it any more. */
const ABANDONED_SECONDS = 15;
/** Operations that a process works on at once; the others wait, or are taken up by another. */
const MAX_AT_ONCE = 4;
/** Chunks that have to go well before they grow again, where they were too much. */
const GROW_AFTER = 20;
/** Tries in a row that may fail before an operator is told. */
const TELL_AFTER = 5;

export function createBulkRunner(db: Database, log: Log): BulkRunner {
  const stopping = new AbortController();
  const { signal } = stopping;
  const running = new Map<string, Promise<void>>();
  const waiting = new Set<string>();
  const rest = (ms: number) => pause(ms, undefined, { signal });

  async function run(id: string, isNew: boolean): Promise<void> {
    const operation = await findBulkOperation(db, id);
    if (operation === null) return;
    if (isNew) {
      await countMatched(db, operation).catch((error: unknown) =>
        log('debug', 'could not count what a bulk operation is about', { error: describeError(error) }),
      );
    }
    const pace = paceOf(operation);
    const chunks = createChunks(pace);
    for (;;) {
      signal.throwIfAborted();
      const startedAt = performance.now();
      const came = await doChunk(db, id, chunks.next()).then(
        (result) => ({ result, waitMs: chunks.went(result) }),
        (error: unknown) => ({ result: null, waitMs: chunks.failed(error), error }),
      );
      if (came.result?.end === 'DONE' || came.result?.end === 'NOT_OURS') return;
      if (came.result === null && chunks.failures % TELL_AFTER === 0 && chunks.failures > 0) {
        const fields = { operation: id, failures: chunks.failures, error: describeError(came.error) };
        log('warn', 'a bulk operation does not get on', fields);
      }
      // Others get as much of the database, where it looks through much and finds little.
      await rest(Math.max(came.waitMs, performance.now() - startedAt));
    }
  }

  function begin(id: string, isNew: boolean): void {
    if (running.has(id) || signal.aborted) return;
    if (running.size >= MAX_AT_ONCE) {
      waiting.add(id);
      return;
    }
    const work = run(id, isNew)
      .catch(async (error: unknown) => {
        // Another process goes on where it stopped.
        if (signal.aborted || isAway(error)) return;
        const message = describeError(error);
        log('error', 'a bulk operation failed', { operation: id, error: message });
        await failBulkOperation(db, id, message).catch(() => {});
      })
      .finally(() => {
        running.delete(id);
        const [next] = waiting;
        if (next === undefined) return;
        waiting.delete(next);
        begin(next, false);
      });
    running.set(id, work);
  }

  return {
    start: (id) => begin(id, true),
    async adopt() {
      for (const id of await findAbandoned(db, ABANDONED_SECONDS)) begin(id, false);
    },
    async stop() {
      stopping.abort();
      const left = [...running.keys(), ...waiting];
      waiting.clear();
      await Promise.all(running.values());
      await abandon(db, left, ABANDONED_SECONDS);
    },
  };
}

/** The next chunk's limits, and how long to wait for it, after how the last ones went. */
function createChunks(pace: ChunkLimits) {
  let divisor = 1;
  let wentWell = 0;
  let failures = 0;
  /** A row of the last chunk cannot be dealt with: one by one, until it is that one alone. */
  let searching = false;
  let passOver = false;
  const size = (): number => (searching ? 1 : Math.max(1, Math.floor(pace.size / divisor)));
  return {
    get failures() {
      return failures;
    },
    next: (): ChunkLimits => ({
      ...pace,
      size: size(),
      reach: Math.max(1, Math.floor(pace.reach / divisor)),
      passOver,
    }),
    went({ end, done, earlyMs }: ChunkResult): number {
      failures = 0;
      if (end !== 'MORE') return earlyMs ?? WAIT_MS;
      if (passOver) {
        searching = false;
        passOver = false;
      }
      if (++wentWell % GROW_AFTER === 0) divisor = Math.max(1, divisor / 2);
      return done * pace.perRowMs;
    },
    /** Errors: the same one, where trying again cannot help. */
    failed(error: unknown): number {
      failures++;
      if (isOfData(error) && !passOver) {
        passOver = size() === 1;
        searching = true;
        return 0;
      }
      if (!isAway(error)) throw error;
      // It may have been too much.
      divisor = Math.min(divisor * 2, pace.reach);
      wentWell = 0;
      return Math.min(FIRST_RETRY_MS * 2 ** failures, MAX_RETRY_MS);
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
