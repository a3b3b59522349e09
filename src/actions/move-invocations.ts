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
  /** Triggers whose invocations are being moved; true when they have to be looked at once more. */
  const moving = new Map<string, boolean>();

  async function moveAll(triggerId: string): Promise<void> {
    for (;;) {
      const { moved, middleJob } = await inTransaction(db, (tx) => moveInvocations(tx, triggerId));
      if (moved === 0) return;
      if (middleJob !== null) await untilFetched(triggerId, middleJob);
    }
  }

  async function changeAll(triggerId: string): Promise<void> {
    while (await changeMaxAttempts(db, triggerId));
  }

  /** Also ends when the trigger has been changed again: its invocations go elsewhere now. */
  async function untilFetched(triggerId: string, job: string): Promise<void> {
    let pauseMs = FIRST_LOOK_MS;
    while (moving.get(triggerId) === false && (await isJobWaiting(db, job))) {
      await pause(pauseMs, undefined, { ref: false });
      pauseMs = Math.min(pauseMs * 1.5, LONGEST_LOOK_MS);
    }
  }

  async function run(triggerId: string): Promise<void> {
    try {
      while (moving.get(triggerId) === true) {
        moving.set(triggerId, false);
        await Promise.all([moveAll(triggerId), changeAll(triggerId)]);
        await pause(LAST_LOOK_MS, undefined, { ref: false });
        await moveAll(triggerId);
      }
    } catch {
      // The database is away, or we are closing: `moveStrays` finds what is left.
    }
    moving.delete(triggerId);
  }

  return {
    start(triggerId) {
      const idle = !moving.has(triggerId);
      moving.set(triggerId, true);
      if (idle) void run(triggerId);
    },
  };
}
