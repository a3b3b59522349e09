/** Runs graphile-worker: our tasks, its retries, its polling; and sees to it that it never just stops. */
import { EventEmitter } from 'node:events';
import { Logger, type Runner, run, type WorkerEvents, type WorkerPool } from 'graphile-worker';
import type { Deliver } from '../actions/deliver-invocation.ts';
import type { Log } from '../log.ts';
import type { Announcements } from '../store/announcements.ts';
import { type Database, type DatabaseAddress, openClient, openWorkerPool } from '../store/database.ts';
import { pruneEvents, pruneLogs } from '../store/retention.ts';
import {
  abandonWorker,
  keepWorkerAlive,
  readNextDue,
  registerWorker,
  rescueJobs,
  unregisterWorker,
} from '../store/workers.ts';
import { createTasks, RetryLater } from './tasks.ts';
import { createWaker } from './waker.ts';

export interface WorkerOptions {
  readonly address: DatabaseAddress;
  readonly db: Database;
  readonly announcements: Announcements;
  readonly deliver: Deliver;
  readonly log: Log;
  /** Most attempts in flight at once. */
  readonly concurrency: number;
  readonly retentionDays: number;
}

export interface WorkerProcess {
  /** Stops fetching, lets attempts in flight end, and resolves when they have. */
  stop(): Promise<void>;
}

/** Jobs at work for each attempt in flight: the others load, record, or wait a moment for their trigger's share. */
const JOBS_PER_SLOT = 2;
/** Jobs fetched ahead, as a multiple of the concurrency: fetching costs a statement whatever its size. */
const LOCAL_QUEUE_FACTOR = 3;
/** Milliseconds that finished and failed jobs are gathered to be written off together. */
const JOB_BATCH_DELAY_MS = 10;
/** Connections of graphile-worker's pool: it listens on one and fetches and writes off on the others. */
const QUEUE_CONNECTIONS = 4;
const RESCUE_INTERVAL_MS = 2000;
const PRUNE_INTERVAL_MS = 60_000;
const RESTART_DELAY_MS = 1000;

export async function startWorker(options: WorkerOptions): Promise<WorkerProcess> {
  const { address, log, db } = options;
  const pool = openWorkerPool(address, { name: 'herald queue', max: QUEUE_CONNECTIONS });
  // The liveness lock lives on a connection that nobody recycles.
  const life = openClient(address, { name: 'herald alive', max: 1 });
  let current: RunningQueue | null = null;
  let stopping = false;

  async function startQueue(): Promise<void> {
    if (current !== null) await abandonWorker(life, current.poolId);
    current = await runQueue(options, pool);
    await registerWorker(life, current.poolId);
    void current.ended.then(async () => {
      if (stopping) return;
      log('warn', 'the queue stopped by itself and is started again');
      await restart();
    });
  }

  async function restart(): Promise<void> {
    while (!stopping) {
      await new Promise((resolve) => setTimeout(resolve, RESTART_DELAY_MS));
      try {
        return await startQueue();
      } catch (error) {
        log('warn', 'the queue could not be started', { error: String(error) });
      }
    }
  }

  await startQueue();
  const waker = createWaker({
    announcements: options.announcements,
    readNextDue: () => readNextDue(db),
    wake: () => current?.pool.nudge(options.concurrency),
  });
  const chores = [
    every(RESCUE_INTERVAL_MS, log, async () => {
      if (current !== null) await keepWorkerAlive(life, current.poolId);
      const { workers, jobs } = await rescueJobs(db);
      if (workers + jobs > 0) log('warn', 'took over the work of dead processes', { workers, jobs });
    }),
    every(PRUNE_INTERVAL_MS, log, async () => {
      await pruneLogs(db);
      await pruneEvents(db, options.retentionDays);
    }),
  ];

  return {
    async stop() {
      stopping = true;
      waker.stop();
      await Promise.all(chores.map((chore) => chore.stop()));
      await current?.runner
        .stop()
        .catch((error: unknown) => log('warn', 'the queue stopped uncleanly', { error: String(error) }));
      if (current !== null) await unregisterWorker(life, current.poolId).catch(() => {});
      await life.end();
      await pool.end();
    },
  };
}

interface RunningQueue {
  readonly runner: Runner;
  readonly pool: WorkerPool;
  readonly poolId: string;
  /** Resolves when the runner has ended for whatever reason. */
  readonly ended: Promise<void>;
}

async function runQueue(
  options: WorkerOptions,
  pgPool: ReturnType<typeof openWorkerPool>,
): Promise<RunningQueue> {
  const { concurrency, log } = options;
  const events: WorkerEvents = new EventEmitter();
  // In an object of its own: a WorkerPool is a thenable that resolves when it has ended.
  const created = Promise.withResolvers<{ readonly pool: WorkerPool }>();
  events.once('pool:create', ({ workerPool }) => created.resolve({ pool: workerPool }));
  const runner = await run({
    pgPool,
    events,
    noHandleSignals: true,
    parsedCronItems: [],
    taskList: createTasks(options.deliver),
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
  return {
    runner,
    pool,
    poolId: pool.id,
    ended: runner.promise.then(
      () => {},
      () => {},
    ),
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

function every(intervalMs: number, log: Log, work: () => Promise<void>): { stop(): Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    running = running
      .then(work)
      .catch((error: unknown) => log('debug', 'a chore failed', { error: String(error) }));
  }, intervalMs);
  return {
    stop: () => {
      clearInterval(timer);
      return running;
    },
  };
}
