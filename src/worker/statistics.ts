/** When to look whether the planner still knows the queue. */
import type { Log } from '../log.ts';
import type { Database } from '../store/database.ts';
import { refreshQueueStatistics } from '../store/queue-statistics.ts';

/** So many jobs fetched between two rounds may be the beginning of a flood. */
const BUSY_JOBS = 500;
/** Else one round in so many is enough. */
const IDLE_ROUNDS = 15;

/**
 * A round of it looks soon after many jobs were fetched, and seldom while little happens. `fetched`: how many the
 * present queue has fetched so far.
 */
export function createStatisticsWatch(db: Database, log: Log, fetched: () => number): () => Promise<void> {
  let before = 0;
  let rounds = 0;
  return async () => {
    const now = fetched();
    const isBusy = Math.abs(now - before) >= BUSY_JOBS;
    if (!isBusy && ++rounds < IDLE_ROUNDS) return;
    before = now;
    rounds = 0;
    if (await refreshQueueStatistics(db)) log('debug', 'took statistics of the queue anew');
  };
}
