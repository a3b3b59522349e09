/** One run of graphile-worker: our tasks, its retries, its polling. */
import { EventEmitter } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { Logger, run, type WorkerEvents, type WorkerPool } from 'graphile-worker';
import type pg from 'pg';
import type { Log } from '../log.ts';
import { createLease, type Lease } from './lease.ts';
import { createTasks, type Hands, RetryLater, type TaskOptions } from './tasks.ts';

export interface QueueOptions extends TaskOptions {
  readonly log: Log;
  /** Most attempts in flight at once. */
  readonly concurrency: number;
}

export interface Queue {
  /** graphile-worker's `locked_by`. */
  readonly poolId: string;
  /** Without it no attempt begins. */
  readonly lease: Lease;
  /** Resolves when it takes no more jobs, for whatever reason; those in flight may go on. */
  readonly leaving: Promise<void>;
  /** Resolves when nothing of it runs any more. */
  readonly ended: Promise<void>;
  /** Ids of jobs whose attempt may be in flight. */
  begun(): readonly string[];
  /** Ids of all jobs that it knows it has. */
  known(): readonly string[];
  /** Makes it look for jobs now. */
  wake(): void;
  /** How many jobs it has fetched so far. */
  fetched(): number;
  /** Since when it has neither fetched nor had anything left to do, or not listened, by `performance.now()`. */
  idleSince(): number;
  /** Takes no more jobs, and resolves when those in flight have ended. */
  stop(): Promise<void>;
}

/** Jobs at work for each attempt in flight: the others load, record, or wait a moment for their trigger's share. */
const JOBS_PER_SLOT = 2;
/** Jobs fetched ahead, as a multiple of the concurrency: fetching costs a statement whatever its size. */
const LOCAL_QUEUE_FACTOR = 3;
/** Milliseconds that finished and failed jobs are gathered to be written off together. */
const JOB_BATCH_DELAY_MS = 10;

/** A queue that leaves while the database goes away may never say that it has ended; it has, this long after its last job. */
const MAX_ENDING_MS = 5000;

/** Errors: where the database is away. */
export async function runQueue(options: QueueOptions, pgPool: pg.Pool): Promise<Queue> {
  const { log, concurrency } = options;
  const events: WorkerEvents = new EventEmitter();
  // In an object of its own: a WorkerPool is a thenable that resolves when it has ended.
  const created = Promise.withResolvers<{ readonly pool: WorkerPool }>();
  const leaving = Promise.withResolvers<void>();
  const lease = createLease();
  const hands: Hands = { lease, atWork: new Set(), begun: new Set(), emptied: () => {} };
  let waiting: readonly { readonly id: string }[] = [];
  events.once('localQueue:init', ({ localQueue }) => {
    waiting = localQueue.jobQueue;
  });
  let fetched = 0;
  events.on('localQueue:getJobs:complete', ({ jobs }) => {
    fetched += jobs.length;
  });
  const signs = watchSigns(events);
  events.once('pool:create', ({ workerPool }) => created.resolve({ pool: workerPool }));
  events.once('pool:gracefulShutdown', () => leaving.resolve());
  events.once('pool:forcefulShutdown', () => leaving.resolve());
  const runner = await run({
    pgPool,
    events,
    noHandleSignals: true,
    parsedCronItems: [],
    taskList: createTasks(options, hands),
    logger: queueLogger(log),
    preset: {
      worker: {
        concurrentJobs: concurrency * JOBS_PER_SLOT,
        localQueue: { size: concurrency * LOCAL_QUEUE_FACTOR },
        completeJobBatchDelay: JOB_BATCH_DELAY_MS,
        failJobBatchDelay: JOB_BATCH_DELAY_MS,
      },
    },
  });
  const { pool } = await created.promise;
  const runnerEnded = runner.promise.catch((error: unknown) =>
    log('warn', 'the queue ended with an error', { error: String(error) }),
  );
  const overdue = leaving.promise
    .then(() => whenEmpty(hands))
    .then(() => pause(MAX_ENDING_MS, undefined, { ref: false }));
  const ended = Promise.race([runnerEnded, overdue])
    .then(() => leaving.resolve())
    // A queue that is ended by force forgets what is at work, which goes on nevertheless.
    .then(() => whenEmpty(hands));
  return {
    poolId: pool.id,
    lease,
    leaving: leaving.promise,
    ended,
    begun: () => [...hands.begun],
    known: () => [...hands.atWork, ...waiting.map(({ id }) => id)],
    fetched: () => fetched,
    wake: () => pool.nudge(concurrency),
    idleSince: () => signs.idleSince(),
    stop: async () => {
      const stopped = runner
        .stop()
        .catch((error: unknown) => log('debug', 'stopping the queue', { error: String(error) }));
      await Promise.race([stopped, ended]);
      await ended;
    },
  };
}

function whenEmpty(hands: Hands): Promise<void> {
  if (hands.atWork.size === 0) return Promise.resolve();
  return new Promise((resolve) => {
    hands.emptied = resolve;
  });
}

/** Follows whether the queue fetches and listens: both can fail for good when the database goes away at a bad moment. */
function watchSigns(events: WorkerEvents): { idleSince(): number } {
  /** When it fetched last; null while it has jobs at hand and need not fetch. */
  let fetchedAt: number | null = performance.now();
  /** Since when it has been deaf; null while it listens. */
  let deafSince: number | null = performance.now();
  events.on('localQueue:setMode', ({ newMode }) => {
    fetchedAt = newMode === 'POLLING' ? performance.now() : null;
  });
  events.on('localQueue:getJobs:complete', () => {
    if (fetchedAt !== null) fetchedAt = performance.now();
  });
  events.on('pool:listen:success', () => {
    deafSince = null;
  });
  events.on('pool:listen:error', () => {
    deafSince ??= performance.now();
  });
  return { idleSince: () => Math.min(fetchedAt ?? Infinity, deafSince ?? Infinity) };
}

/**
 * graphile-worker's lines in our log. Its note on a failed attempt is dropped: ours says more. So is its advice to have
 * a connection per job: our jobs use shared statements on connections of our own.
 */
function queueLogger(log: Log): Logger {
  return new Logger(() => (level, message, meta) => {
    if (meta?.error instanceof RetryLater || message.includes('having maxPoolSize')) return;
    const ours = level === 'error' ? 'error' : level === 'warning' ? 'warn' : 'debug';
    log(ours, `queue: ${message}`);
  });
}
