/** Keeps the queue running: starts it again where it stops, says that this process lives, takes over from the dead. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../log.ts';
import type { Announcements } from '../store/announcements.ts';
import {
  type Database,
  type DatabaseAddress,
  describeError,
  openClient,
  openWorkerPool,
} from '../store/database.ts';
import { prune } from '../store/retention.ts';
import { adoptStrays, releaseStrays, type StrayCursor } from '../store/strays.ts';
import {
  abandonWorker,
  keepWorkerAlive,
  readNextDue,
  registerWorker,
  rescueJobs,
  unregisterWorker,
} from '../store/workers.ts';
import { type Queue, type QueueOptions, runQueue } from './queue.ts';
import { createWaker } from './waker.ts';

export interface WorkerOptions extends QueueOptions {
  readonly address: DatabaseAddress;
  readonly db: Database;
  readonly announcements: Announcements;
  readonly retentionDays: number;
}

export interface WorkerProcess {
  /** Stops fetching, lets attempts in flight end, and resolves when they have. */
  stop(): Promise<void>;
}

/** Connections of graphile-worker's pool: it listens on one and fetches and writes off on the others. */
const QUEUE_CONNECTIONS = 4;
const RESTART_DELAY_MS = 250;
const RESCUE_INTERVAL_MS = 2000;
const STRAYS_INTERVAL_MS = 15_000;
const PRUNE_INTERVAL_MS = 60_000;
/** A queue that fails to fetch for this long, while the database answers others, does not recover by itself. */
const MAX_FAILING_MS = 5000;

export async function startWorker(options: WorkerOptions): Promise<WorkerProcess> {
  const { address, log, db } = options;
  const pool = openWorkerPool(address, {
    name: 'herald queue',
    max: QUEUE_CONNECTIONS,
    // The queue's table grows and shrinks faster than its statistics: fetching would read all of it, 2 ms for 10,000
    // jobs that wait and ever more for what was deleted since the last vacuum, instead of 0.04 ms.
    settings: { enable_seqscan: 'off' },
  });
  const life = openClient(address, { name: 'herald alive', max: 1, permanent: true });
  /** The current queue, and former ones whose last attempts are still in flight. */
  const queues = new Set<Queue>();
  let current: Queue | null = null;
  let stopping = false;

  async function startQueue(): Promise<void> {
    const queue = await runQueue(options, pool);
    queues.add(queue);
    void queue.ended.then(() => leave(queue));
    try {
      await registerWorker(life, queue.poolId);
    } catch (error) {
      void queue.stop();
      throw error;
    }
    current = queue;
    void queue.leaving.then(restart);
  }

  async function restart(): Promise<void> {
    while (!stopping) {
      log('warn', 'the queue stopped by itself and is started again');
      try {
        await pause(RESTART_DELAY_MS);
        return await startQueue();
      } catch (error) {
        log('warn', 'the queue could not be started', { error: describeError(error) });
      }
    }
  }

  /** What a queue that ended by itself could not write off is taken over, by whoever comes first. */
  async function leave(queue: Queue): Promise<void> {
    queues.delete(queue);
    if (!stopping) await abandonWorker(life, queue.poolId).catch(() => {});
  }

  async function rescue(): Promise<void> {
    for (const { poolId } of queues) await keepWorkerAlive(life, poolId);
    const { workers, jobs } = await rescueJobs(db);
    if (workers + jobs > 0) log('warn', 'took over the work of dead processes', { workers, jobs });
    const failingSince = current?.failingSince() ?? null;
    if (failingSince !== null && performance.now() - failingSince > MAX_FAILING_MS) void current?.stop();
  }

  let strayCursor: StrayCursor | null = null;
  async function findStrays(): Promise<void> {
    const { adopted, cursor } = await adoptStrays(db, strayCursor);
    strayCursor = cursor;
    const released = await releaseStrays(db);
    if (adopted + released > 0) log('warn', 'found invocations astray', { adopted, released });
  }

  await startQueue();
  const waker = createWaker({
    announcements: options.announcements,
    readNextDue: () => readNextDue(db),
    wake: () => current?.wake(),
  });
  const chores = [
    every(RESCUE_INTERVAL_MS, log, rescue),
    every(STRAYS_INTERVAL_MS, log, findStrays),
    every(PRUNE_INTERVAL_MS, log, () => prune(db, options.retentionDays)),
  ];

  return {
    async stop() {
      stopping = true;
      waker.stop();
      await Promise.all(chores.map((chore) => chore.stop()));
      const left = [...queues];
      await Promise.all(left.map((queue) => queue.stop()));
      for (const { poolId } of left) await unregisterWorker(life, poolId).catch(() => {});
      await life.end();
      await pool.end();
    },
  };
}

function every(intervalMs: number, log: Log, work: () => Promise<void>): { stop(): Promise<void> } {
  let running: Promise<void> | null = null;
  const timer = setInterval(() => {
    running ??= work()
      .catch((error: unknown) => log('debug', 'a chore failed', { error: describeError(error) }))
      .finally(() => {
        running = null;
      });
  }, intervalMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}
