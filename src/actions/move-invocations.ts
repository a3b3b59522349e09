/**
 * Moves the invocations of triggers that were paused, resumed, deleted or given other retries, chunk by chunk in the
 * background: the change itself is answered at once, and holds at once, because every delivery looks at its trigger.
 * Held ones are let go as fast as they are fetched, so that a multitude stands in nobody's way.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type Database, inTransaction } from '../store/database.ts';
import { changeMaxAttempts, isJobWaiting, moveInvocations } from '../store/trigger-invocations.ts';

export interface Moves {
  /** Begins to move the trigger's invocations to where its row says they belong; what fails is left to the net. */
  start(triggerId: string): void;
}

/** How often it is asked whether the queue has come to the middle of the last chunk, in ms: first, and at most. */
const FIRST_LOOK_MS = 20;
const LONGEST_LOOK_MS = 500;
/** When to look once more, in ms, for those that were just being recorded and were passed over. */
const LAST_LOOK_MS = 1000;

export function createMoves(db: Database): Moves {
  async function moveAll(triggerId: string, waiting: Waiting): Promise<void> {
    for (;;) {
      const { moved, middleJob } = await inTransaction(db, (tx) => moveInvocations(tx, triggerId));
      if (moved === 0) return;
      if (middleJob !== null) await untilFetched(middleJob, waiting);
    }
  }

  async function untilFetched(job: string, waiting: Waiting): Promise<void> {
    let pauseMs = FIRST_LOOK_MS;
    while (waiting.useful() && (await isJobWaiting(db, job))) {
      await waiting.pause(pauseMs);
      pauseMs = Math.min(pauseMs * 1.5, LONGEST_LOOK_MS);
    }
  }

  const moving = createRuns(async (triggerId, waiting) => {
    await moveAll(triggerId, waiting);
    await waiting.pause(LAST_LOOK_MS);
    await moveAll(triggerId, waiting);
  });
  // Apart: what is let go must not wait until all others have their new number of attempts.
  const changing = createRuns(async (triggerId) => {
    while (await inTransaction(db, (tx) => changeMaxAttempts(tx, triggerId)));
  });
  return {
    start(triggerId) {
      moving.start(triggerId);
      changing.start(triggerId);
    },
  };
}

/** How a run waits: no longer than until its trigger is changed again, when its invocations go elsewhere. */
interface Waiting {
  useful(): boolean;
  pause(forMs: number): Promise<void>;
}

/** Runs `work` for a trigger, one run at a time, and once more where the trigger was changed again meanwhile. */
function createRuns(work: (triggerId: string, waiting: Waiting) => Promise<void>): Moves {
  /** By trigger: what tells its current run that another one is to follow. */
  const running = new Map<string, AbortController>();

  async function run(triggerId: string): Promise<void> {
    try {
      for (let again = true; again; ) {
        const changed = new AbortController();
        running.set(triggerId, changed);
        const { signal } = changed;
        await work(triggerId, {
          useful: () => !signal.aborted,
          pause: (forMs) => pause(forMs, undefined, { ref: false, signal }).catch(() => {}),
        });
        again = signal.aborted;
      }
    } catch {
      // The database is away, or we are closing: `releaseStrays` finds what is left.
    }
    running.delete(triggerId);
  }

  return {
    start(triggerId) {
      const current = running.get(triggerId);
      if (current === undefined) void run(triggerId);
      else current.abort();
    },
  };
}
