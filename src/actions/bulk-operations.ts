/** Starts jobs over many rows, and does them in the background: by who was asked, or by who finds them abandoned. */
import { setTimeout as pause } from 'node:timers/promises';
import {
  DEFAULT_RETRIES_PER_MINUTE,
  MAX_RETRIES_PER_MINUTE,
  MAX_RUNNING_OPERATIONS,
} from '../domain/bulk-operation.ts';
import type { Actor } from '../domain/caller.ts';
import { fail, type Problem, problem, type Result, succeed } from '../domain/errors.ts';
import type { Log } from '../log.ts';
import { recordAudit } from '../store/audit.ts';
import {
  type BulkFilter,
  type BulkOperationRow,
  countMatched,
  countRunning,
  doChunk,
  failBulkOperation,
  findAbandoned,
  findBulkOperation,
  insertBulkOperation,
  type NewBulkOperation,
} from '../store/bulk-operations.ts';
import type { Database } from '../store/database.ts';
import { describeError, isPassing, sqlState } from '../store/database-errors.ts';
import { writing } from './writing.ts';

export interface BulkRunner {
  /** Begins to work on it; what is left when the process ends is taken up by another. */
  start(id: string): void;
  /** Works on what nobody works on. */
  adopt(): Promise<void>;
  /** Resolves when the chunks under way have ended. */
  stop(): Promise<void>;
}

/** Milliseconds that one chunk of retries is for: they are planned evenly over it. */
const SPAN_MS = 1000;
/** When to look again, in ms, where another process was faster. */
const EARLY_MS = 250;
/** Rows of a chunk at most: a fraction of a second, which others wait for. */
const MAX_CHUNK = 1000;
/** So late, in seconds, that nobody works on it any more. */
const ABANDONED_SECONDS = 15;

export function createBulkRunner(db: Database, log: Log): BulkRunner {
  const stopping = new AbortController();
  const { signal } = stopping;
  const running = new Map<string, Promise<void>>();

  async function run(id: string): Promise<void> {
    await countMatched(db, id).catch((error: unknown) =>
      log('debug', 'could not count what a bulk operation is about', { error: describeError(error) }),
    );
    const operation = await findBulkOperation(db, id);
    if (operation === null) return;
    const pace = paceOf(operation);
    for (;;) {
      signal.throwIfAborted();
      const end = await doChunk(db, id, pace);
      if (end === 'DONE' || end === 'NOT_OURS') return;
      await pause(end === 'EARLY' ? EARLY_MS : pace.spanMs, undefined, { signal });
    }
  }

  function start(id: string): void {
    if (running.has(id) || signal.aborted) return;
    const work = run(id)
      .catch(async (error: unknown) => {
        // Another process, or this one in a while, goes on where it stopped.
        if (signal.aborted || isPassing(error) || sqlState(error) === undefined) return;
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
function paceOf({ kind, maxPerMinute }: BulkOperationRow): {
  readonly size: number;
  readonly spanMs: number;
} {
  if (kind === 'CANCEL_EVENTS') return { size: MAX_CHUNK, spanMs: 0 };
  const perMs = (maxPerMinute ?? DEFAULT_RETRIES_PER_MINUTE) / 60_000;
  const size = Math.max(1, Math.min(MAX_CHUNK, Math.floor(perMs * SPAN_MS)));
  return { size, spanMs: size / perMs };
}

export interface BulkWriter {
  readonly db: Database;
  readonly runner: BulkRunner;
  readonly actor: Actor;
}

export async function startBulkOperation(
  { db, runner, actor }: BulkWriter,
  asked: NewBulkOperation,
): Promise<Result<BulkOperationRow>> {
  const problems = [...checkFilter(asked), ...checkPace(asked.maxPerMinute)];
  if (problems.length > 0) return fail(...problems);
  const started = await writing(db, async (tx) => {
    if ((await countRunning(tx)) >= MAX_RUNNING_OPERATIONS) {
      const message = `expected fewer than ${MAX_RUNNING_OPERATIONS} bulk operations at work; wait until one ends`;
      return fail(problem([], 'WRONG_STATE', message));
    }
    const operation = await insertBulkOperation(tx, asked);
    const { id, kind: name } = operation;
    const project = asked.filter.project ?? onlyOne(asked.projects);
    await recordAudit(tx, actor, { action: 'BULK_OPERATION_STARTED', project, id, name });
    return succeed(operation);
  });
  if (started.ok) runner.start(started.value.id);
  return started;
}

function onlyOne(projects: readonly string[] | null): string | null {
  const [only = null, ...others] = projects ?? [];
  return others.length === 0 ? only : null;
}

/** Everything at once is nobody's wish; where it is, an interval says so. */
function checkFilter({ kind, filter }: BulkFilter): readonly Problem[] {
  const { projects: _, status, ...others } = filter;
  const conditions = Object.values(kind === 'RETRY_INVOCATIONS' ? others : { ...others, status });
  if (kind === 'RETRY_INVOCATIONS' && status != null && !(status.length === 1 && status[0] === 'FAILED')) {
    return [problem(['filter', 'status'], 'INVALID', 'expected no status, as FAILED is implied')];
  }
  if (conditions.some((condition) => condition != null)) return [];
  const further = kind === 'RETRY_INVOCATIONS' ? ' beside the status' : '';
  return [problem('filter', 'REQUIRED', `expected at least one condition${further}`)];
}

function checkPace(maxPerMinute: number | null): readonly Problem[] {
  if (maxPerMinute === null || (maxPerMinute >= 1 && maxPerMinute <= MAX_RETRIES_PER_MINUTE)) return [];
  const message = `expected maxPerMinute to be 1 to ${MAX_RETRIES_PER_MINUTE}, got ${maxPerMinute}`;
  return [problem('maxPerMinute', 'INVALID', message)];
}
