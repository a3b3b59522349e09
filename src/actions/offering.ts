/**
 * Results that the database does not take (it is away, busy or full) are kept and offered again: they are the only
 * memory of what receivers said. Meanwhile no further attempt is to begin, so that there are no more of them than
 * attempts were in flight.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { isAway } from '../store/database-errors.ts';

export interface Offering {
  /** Offers until it is taken. Errors: what would not change by waiting; the last one after KEEP_MS. */
  offer<T>(work: () => Promise<T>): Promise<T>;
  /** Whether results wait that were refused. */
  stuck(): boolean;
  /** Resolves a moment later, when it may be worth asking again. */
  nextTry(): Promise<void>;
}

/** How long results are kept, in ms: as long as a person may need to make room on a full disk. */
const KEEP_MS = 15 * 60_000;
const FIRST_DELAY_MS = 100;
/** Recovery is noticed this soon, in ms. */
const MAX_DELAY_MS = 1000;

export function createOffering(): Offering {
  let refused = 0;

  async function again<T>(work: () => Promise<T>, first: unknown): Promise<T> {
    const until = performance.now() + KEEP_MS;
    let error = first;
    for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, MAX_DELAY_MS)) {
      if (!isAway(error) || performance.now() > until) throw error;
      await pause(delayMs);
      try {
        return await work();
      } catch (next) {
        error = next;
      }
    }
  }

  return {
    async offer(work) {
      try {
        return await work();
      } catch (error) {
        if (!isAway(error)) throw error;
        refused++;
        return await again(work, error).finally(() => {
          refused--;
        });
      }
    },
    stuck: () => refused > 0,
    nextTry: () => pause(MAX_DELAY_MS / 4),
  };
}
