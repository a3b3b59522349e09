/**
 * Runs jobs that were in the hands of dying processes again and again: one of them may be what kills. They run one
 * after another, each marked as begun before it does anything, so that the next death proves one guilty and the others
 * get by. One that is still alive after a moment lets the next one in; if it kills later, its attempt is shown as RUNNING.
 */

/** In dead hands this often in a row, a job is a suspect: once is bad luck. */
export const SUSPECT_AFTER_LOSSES = 2;
/** A suspect keeps the others waiting for this long at most, in ms. */
const TURN_MS = 1000;
/** Suspects that wait in this process: each occupies one of the queue's workers. */
const MAX_WAITING = 20;
/** How far apart those that do not fit are put off, in ms. */
const SPREAD_MS = 50;

/** Suspects are put off for no longer than this, in ms. */
const MAX_DELAY_MS = 30_000;

export interface SuspectLane {
  /** After how many ms a job is to come back because too many wait; null where it may `run`. */
  delayMs(): number | null;
  /** Runs `work` when its turn comes. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

export function createSuspectLane(): SuspectLane {
  let waiting = 0;
  let lastTurn: Promise<unknown> = Promise.resolve();
  let spreadUntil = 0;

  return {
    delayMs() {
      if (waiting < MAX_WAITING) return null;
      const now = performance.now();
      spreadUntil = Math.max(spreadUntil, now + MAX_WAITING * SPREAD_MS) + SPREAD_MS;
      if (spreadUntil > now + MAX_DELAY_MS) spreadUntil = now + MAX_DELAY_MS / 2;
      return spreadUntil - now;
    },
    async run(work) {
      const previous = lastTurn;
      const turn = Promise.withResolvers<void>();
      lastTurn = turn.promise;
      waiting++;
      await previous;
      waiting--;
      const timer = setTimeout(turn.resolve, TURN_MS);
      try {
        return await work();
      } finally {
        clearTimeout(timer);
        turn.resolve();
      }
    },
  };
}
