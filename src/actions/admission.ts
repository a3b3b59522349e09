/**
 * Whether a delivery may start its attempt now: its trigger's share of this process (shares.ts), then the trigger's own
 * limits, which all processes keep together (store/turns.ts). Who may not stands in the trigger's line (lines.ts),
 * which costs no retry and leaves the invocation as it is.
 */
import { answering, createBatcher } from '../store/batch.ts';
import type { Database } from '../store/database.ts';
import { giveTurnsBack, takeTurns, type Waiter } from '../store/turns.ts';
import { createLines, type LineKind } from './lines.ts';
import { createShares, type Entry } from './shares.ts';

/** A turn that was given to a job in line. */
export interface Turn {
  /** Milliseconds from the moment it was given for to when the job was fetched, by the database's clock. */
  readonly waitedMs: number;
}

export interface Candidate extends Waiter {
  /** Whether the trigger has limits of its own. */
  readonly limited: boolean;
  /** Null for a job that does not come from its line. */
  readonly turn: Turn | null;
}

export interface Admission {
  /** GO must be followed by `leave`; LATER means that the delivery stands in line, committed. */
  enter(candidate: Candidate): Promise<Entry>;
  leave(candidate: Candidate, durationMs: number): void;
}

/** A turn that waited longer for its attempt, in ms, is taken anew: its place in the count may have expired. */
const STALE_TURN_MS = 5000;

/** `slots`: most attempts in flight at once in this process. */
export function createAdmission(db: Database, slots: number): Admission {
  const shares = createShares(slots);
  const lines = createLines({ db, room: shares.room });
  const limits = { maxSize: 400, gatherMs: 4, maxWaiting: 100_000 };
  const turns = createBatcher({
    flush: (batch: readonly Waiter[]) => takeTurns(db, batch),
    concurrency: 1,
    ...limits,
  });
  const returns = createBatcher({
    flush: answering((batch: readonly Waiter[]) => giveTurnsBack(db, batch)),
    concurrency: 1,
    ...limits,
  });

  function giveBack({ invocationId, triggerId }: Waiter): void {
    returns
      .add({ invocationId, triggerId })
      .then(() => lines.poke(triggerId))
      // It expires by itself.
      .catch(() => {});
  }

  async function hasTurn({ invocationId, triggerId, limited, turn }: Candidate): Promise<boolean> {
    if (!limited) return true;
    if (turn !== null && turn.waitedMs < STALE_TURN_MS) return true;
    return turns.add({ invocationId, triggerId });
  }

  return {
    async enter(candidate) {
      const { invocationId, triggerId, limited, turn } = candidate;
      const kind: LineKind = limited ? 'LIMIT' : 'SHARE';
      if (turn !== null) lines.arrive(triggerId, kind);
      const entry = await shares.enter(triggerId, turn === null ? 'QUEUE' : 'LINE');
      const going = entry === 'GO' && (await givenBackOnError(() => hasTurn(candidate), triggerId));
      if (going) return 'GO';
      if (entry === 'GO') shares.leave(triggerId, null);
      else if (limited && turn !== null) giveBack(candidate);
      await lines.stand({ invocationId, triggerId }, kind);
      return 'LATER';
    },
    leave(candidate, durationMs) {
      shares.leave(candidate.triggerId, durationMs);
      if (candidate.limited) giveBack(candidate);
    },
  };

  async function givenBackOnError(work: () => Promise<boolean>, triggerId: string): Promise<boolean> {
    try {
      return await work();
    } catch (error) {
      shares.leave(triggerId, null);
      throw error;
    }
  }
}
