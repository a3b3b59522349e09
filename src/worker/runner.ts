/** Keeps the queue running: starts it again where it stops, keeps its heart beating, takes over from the dead. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Deliver } from '../actions/deliver-invocation.ts';
import type { Log } from '../log.ts';
import type { Announcements } from '../store/announcements.ts';
import { BATCH_SETTINGS, type Database, type DatabaseAddress, openWorkerPool } from '../store/database.ts';
import { describeError } from '../store/database-errors.ts';
import { findOrphans, handBackJobs, rescueJobs, type Suspect } from '../store/rescue.ts';
import { prune } from '../store/retention.ts';
import { FOLD_INTERVAL_MS, foldTallies } from '../store/stats-fold.ts';
import { adoptStrays, callStrays, releaseStrays, type StrayCursor } from '../store/strays.ts';
import { readNextDue } from '../store/workers.ts';
import { every } from './chores.ts';
import { createHeart } from './heart.ts';
import { type Queue, runQueue } from './queue.ts';
import { createStatisticsWatch } from './statistics.ts';
import { createSuspectLane } from './suspects.ts';
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
  /** Hands back what was only fetched, lets attempts in flight end, and resolves when they have. */
  stop(): Promise<void>;
}

/** Connections of graphile-worker's pool: it listens on one and fetches and writes off on the others. */
const QUEUE_CONNECTIONS = 4;
const RESTART_DELAY_MS = 250;
/** While the database is away: it must be used within seconds of its return. */
const MAX_RESTART_DELAY_MS = 1000;
const CHECK_INTERVAL_MS = 500;
const STATISTICS_INTERVAL_MS = 1000;
const STRAYS_INTERVAL_MS = 30_000;
const PRUNE_INTERVAL_MS = 60_000;
/**
 * A queue that neither fetches nor listens for this long, while the heart beats, does not recover by itself. It fetches
 * every 2 s where there is nothing to do; and what a restart of the database left must be at work again within 5 s.
 */
const MAX_IDLE_MS = 3000;
/**
 * For this long after a connection of the queue broke, jobs are looked for that are locked in its name and that it does
 * not know of: the answer to a fetch, or the write-off of a finished job, went down with the connection.
 */
const RECLAIM_FOR_MS = 60_000;
const RECLAIM_INTERVAL_MS = 2500;
/** Jobs younger than this, in ms, may be on their way in, or be written off in a moment. */
const RECLAIM_AGE_MS = 5000;
/** A heart that beat within this time says that the database is there. */
const RECENT_BEAT_MS = 2000;

export async function startWorker(options: WorkerOptions): Promise<WorkerProcess> {
  const { address, log, db } = options;
  let brokenAt = Number.NEGATIVE_INFINITY;
  const pool = openWorkerPool(address, {
    name: 'herald queue',
    max: QUEUE_CONNECTIONS,
    settings: BATCH_SETTINGS,
    onBroken: () => {
      brokenAt = performance.now();
    },
  });
  const suspects = createSuspectLane();
  /** The current queue, and former ones whose last attempts are still in flight. */
  const queues = new Map<string, Queue>();
  let current: Queue | null = null;
  let stopping = false;
  let starting: Promise<void> = Promise.resolve();

  const heart = createHeart({
    address,
    log,
    // Told again with the next beat: one rescue at a time is enough.
    onDead: (dead) => {
      if (rescuing === 0) void takeOver(dead);
    },
    onChange: () => void callLines(),
    // What it has fetched may be with others by now: it ends, and another one begins under another id.
    onBuried: (poolId) => {
      const queue = queues.get(poolId);
      if (queue !== undefined) void drain(queue);
    },
    loadOf: (poolId) => ({
      running: queues.get(poolId)?.begun().length ?? 0,
      concurrency: options.concurrency,
    }),
  });

  async function startQueue(): Promise<void> {
    const queue = await runQueue({ ...options, suspects }, pool);
    queues.set(queue.poolId, queue);
    heart.add(queue.poolId, queue.lease);
    void queue.ended.then(() => leave(queue));
    current = queue;
    void queue.leaving.then(restart);
  }

  async function restart(): Promise<void> {
    for (let delayMs = RESTART_DELAY_MS; !stopping; delayMs = Math.min(delayMs * 2, MAX_RESTART_DELAY_MS)) {
      if (delayMs === RESTART_DELAY_MS) log('warn', 'the queue stopped by itself and is started again');
      try {
        await pause(delayMs);
        if (stopping) return;
        starting = startQueue();
        return await starting;
      } catch (error) {
        log(delayMs === RESTART_DELAY_MS ? 'warn' : 'debug', 'the queue could not be started', {
          error: describeError(error),
        });
      }
    }
  }

  /** What a queue that ended by itself could not write off is taken over at once; by peers, if not by us. */
  async function leave({ poolId, lease }: Queue): Promise<void> {
    if (stopping) return;
    lease.end();
    queues.delete(poolId);
    heart.remove(poolId);
    // Where the database does not know of it, no peer would.
    while (!(await takeOver([{ poolId, beat: null, unlocked: false }])) && !stopping) {
      await pause(MAX_RESTART_DELAY_MS);
    }
  }

  let rescue: Promise<unknown> = Promise.resolve();
  let rescuing = 0;
  /** One after the other. False where the database was away. */
  function takeOver(dead: readonly Suspect[]): Promise<boolean> {
    rescuing++;
    const done = rescue
      .then(() => rescueJobs(db, dead))
      .then(async ({ workers, jobs }) => {
        if (workers + jobs > 0) log('warn', 'took over the work of dead processes', { workers, jobs });
        await callLines();
        return true;
      })
      .catch((error: unknown) => {
        log('warn', 'could not take over', { error: describeError(error) });
        return false;
      })
      .finally(() => {
        rescuing--;
      });
    rescue = done;
    return done;
  }

  async function check(): Promise<void> {
    const now = performance.now();
    const idleMs = now - (current?.idleSince() ?? now);
    if (idleMs < MAX_IDLE_MS || now - heart.lastBeatAt() > RECENT_BEAT_MS) return;
    log('warn', 'the queue does not recover by itself', { idleMs: Math.round(idleMs) });
    const lost = current;
    current = null;
    void lost?.stop();
  }

  async function reclaim(): Promise<void> {
    if (performance.now() - brokenAt > RECLAIM_FOR_MS) return;
    for (const queue of queues.values()) {
      const jobs = await handBackJobs(db, queue.poolId, queue.known(), RECLAIM_AGE_MS).catch((error) => {
        // The time begins when the database is back.
        brokenAt = performance.now();
        throw error;
      });
      if (jobs > 0) log('warn', 'found jobs that were lost with a connection', { jobs });
    }
    // Peers may have died while they could not sign on.
    const orphans = (await findOrphans(db)).filter(({ poolId }) => !queues.has(poolId));
    if (orphans.length > 0) await takeOver(orphans);
  }

  function callLines(): Promise<void> {
    return callStrays(db).catch((error: unknown) =>
      log('debug', 'could not call waiting lines', { error: describeError(error) }),
    );
  }

  let strayCursor: StrayCursor | null = null;
  async function findStrays(): Promise<void> {
    await callLines();
    const { adopted, cursor } = await adoptStrays(db, strayCursor);
    strayCursor = cursor;
    const released = await releaseStrays(db);
    if (adopted + released > 0) log('warn', 'found invocations astray', { adopted, released });
  }

  try {
    await startQueue();
  } catch (error) {
    await heart.stop();
    await pool.end();
    throw error;
  }
  const waker = createWaker({
    announcements: options.announcements,
    readNextDue: (since) => readNextDue(db, since),
    wake: () => current?.wake(),
  });
  const chores = [
    every(CHECK_INTERVAL_MS, log, check),
    every(RECLAIM_INTERVAL_MS, log, reclaim),
    every(STRAYS_INTERVAL_MS, log, findStrays),
    every(PRUNE_INTERVAL_MS, log, () => prune(db, options.retentionDays)),
    every(FOLD_INTERVAL_MS, log, () => foldTallies(db)),
    every(
      STATISTICS_INTERVAL_MS,
      log,
      createStatisticsWatch(db, log, () => current?.fetched() ?? 0),
    ),
  ];

  /** Nothing begins any more, and what has not begun goes back at once: peers need not wait for what is in flight. */
  async function drain(queue: Queue): Promise<void> {
    queue.lease.end();
    const stopped = queue.stop();
    await handBackJobs(db, queue.poolId, queue.begun()).catch((error: unknown) =>
      log('warn', 'could not hand jobs back', { error: describeError(error) }),
    );
    await stopped;
  }

  return {
    async stop() {
      stopping = true;
      waker.stop();
      await starting.catch(() => {});
      for (const queue of queues.values()) queue.lease.end();
      const drained = Promise.all([...queues.values()].map(drain));
      // While attempts in flight go on, peers see to the waiting lines.
      await callLines();
      await drained;
      await Promise.all(chores.map((chore) => chore.stop()));
      // Beats to the end, or peers would take over what is still in flight.
      await heart.stop();
      await pool.end();
    },
  };
}
