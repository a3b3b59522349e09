/** One run of graphile-worker: our tasks, its retries, its polling. */
import { EventEmitter } from 'node:events';
import { Logger, run, type WorkerEvents, type WorkerPool } from 'graphile-worker';
import type pg from 'pg';
import type { Deliver } from '../actions/deliver-invocation.ts';
import type { Log } from '../log.ts';
import { createTasks, RetryLater } from './tasks.ts';

export interface QueueOptions {
  readonly deliver: Deliver;
  readonly log: Log;
  /** Most attempts in flight at once. */
  readonly concurrency: number;
}

export interface Queue {
  /** graphile-worker's `locked_by`. */
  readonly poolId: string;
  /** Resolves when it takes no more jobs, for whatever reason; those in flight may go on. */
  readonly leaving: Promise<void>;
  /** Resolves when nothing of it runs any more. */
  readonly ended: Promise<void>;
  /** Makes it look for jobs now. */
  wake(): void;
  /** Since when fetching has failed without a break, by `performance.now()`; null while it works. */
  failingSince(): number | null;
  /** Takes no more jobs, and resolves when those in flight have ended. */
  stop(): Promise<void>;
}

/** Jobs at work for each attempt in flight: the others load, record, or wait a moment for their trigger's share. */
const JOBS_PER_SLOT = 2;
/** Jobs fetched ahead, as a multiple of the concurrency: fetching costs a statement whatever its size. */
const LOCAL_QUEUE_FACTOR = 3;
/** Milliseconds that finished and failed jobs are gathered to be written off together. */
const JOB_BATCH_DELAY_MS = 10;

/** Errors: where the database is away. */
export async function runQueue({ deliver, log, concurrency }: QueueOptions, pgPool: pg.Pool): Promise<Queue> {
  const events: WorkerEvents = new EventEmitter();
  // In an object of its own: a WorkerPool is a thenable that resolves when it has ended.
  const created = Promise.withResolvers<{ readonly pool: WorkerPool }>();
  const leaving = Promise.withResolvers<void>();
  let failingSince: number | null = null;
  events.once('pool:create', ({ workerPool }) => created.resolve({ pool: workerPool }));
  events.once('pool:gracefulShutdown', () => leaving.resolve());
  events.once('pool:forcefulShutdown', () => leaving.resolve());
  events.on('localQueue:getJobs:complete', () => {
    failingSince = null;
  });
  events.on('worker:getJob:error', () => {
    failingSince ??= performance.now();
  });
  const runner = await run({
    pgPool,
    events,
    noHandleSignals: true,
    parsedCronItems: [],
    taskList: createTasks(deliver),
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
  const ended = runner.promise
    .catch((error: unknown) => log('warn', 'the queue ended with an error', { error: String(error) }))
    .then(() => leaving.resolve());
  return {
    poolId: pool.id,
    leaving: leaving.promise,
    ended,
    wake: () => pool.nudge(concurrency),
    failingSince: () => failingSince,
    stop: () =>
      runner.stop().catch((error: unknown) => log('debug', 'stopping the queue', { error: String(error) })),
  };
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
