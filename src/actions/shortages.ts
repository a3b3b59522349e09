/**
 * Attempts for which this machine lacked the means, e.g. file descriptors: nothing was sent, so nothing is recorded and
 * no retry is used up. The delivery comes again a moment later.
 */
import type { Log } from '../log.ts';
import { answering, createBatcher } from '../store/batch.ts';
import type { Database } from '../store/database.ts';
import { type Postponement, postponeJobs } from '../store/postponements.ts';

export interface Shortages {
  /** Resolves when the delivery is planned anew. `reason` is for the log. */
  postpone(invocationId: string, reason: string | null): Promise<void>;
}

/** It comes again after this many ms, and up to as many more. */
const PAUSE_MS = 1000;
/** A shortage is logged at most this often, in ms: it hits hundreds at once. */
const LOG_EVERY_MS = 5000;

export function createShortages(db: Database, log: Log): Shortages {
  let loggedAt = Number.NEGATIVE_INFINITY;
  const postponements = createBatcher({
    flush: answering((batch: readonly Postponement[]) => postponeJobs(db, batch)),
    maxSize: 400,
    concurrency: 1,
    gatherMs: 4,
    maxWaiting: 100_000,
  });
  return {
    async postpone(invocationId, reason) {
      if (performance.now() - loggedAt > LOG_EVERY_MS) {
        loggedAt = performance.now();
        log('error', 'this machine lacks the means to send; deliveries wait', { error: reason });
      }
      const delayMs = PAUSE_MS * (1 + Math.random());
      await postponements.add({ invocationId, delayMs, keepsTurn: false });
    },
  };
}
