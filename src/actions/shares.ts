/**
 * Who may send now: the attempts in flight of this process, shared out so that receivers that hang starve nobody.
 *
 * A trigger may have up to twice as many attempts in flight as there are free slots (a dynamic threshold, as network
 * switches share their buffers; Choudhury and Hahne 1998). A single one gets two thirds of all; twenty that hang get a
 * few per cent each and still leave slots for whoever comes. Beyond its share an attempt waits a moment for the
 * trigger's own ones to end, and stands in line where they do not.
 */

/** Whether an attempt may go, or has to stand in its trigger's line. */
export type Entry = 'GO' | 'LATER';

export interface Shares {
  /**
   * Asks for a slot. GO must be followed by `leave`. One that was called from its line waits a moment even where the
   * receiver is slow: there was room for it, and few are called.
   */
  enter(triggerId: string, from: 'QUEUE' | 'LINE'): Promise<Entry>;
  /** `durationMs` is null where no attempt was made. */
  leave(triggerId: string, durationMs: number | null): void;
  /** How many more attempts of the trigger may go now, while `coming` others, of any trigger, are on their way. */
  room(triggerId: string, coming: number): number;
}

/** Attempts of a trigger may be this many times the free slots. */
const SHARE_OF_FREE = 2;
/** What a trigger gets when no slot is free: others came first and hang, and it must not wait for their timeouts. */
const MIN_SHARE = 4;
/** How long an attempt waits here for its trigger's others, in ms: a receiver that answers within it is not slow. */
const PATIENCE_MS = 400;

interface TriggerShare {
  inFlight: number;
  /** Smoothed duration of its attempts. */
  averageMs: number;
  /** When an attempt ended last, or the first one began. */
  lastMoveAt: number;
  readonly waiting: Set<(entry: Entry) => void>;
}

export function createShares(slots: number, now: () => number = () => performance.now()): Shares {
  const triggers = new Map<string, TriggerShare>();
  /** Triggers with someone waiting, in order of their turn. */
  const queue = new Set<TriggerShare>();
  let total = 0;

  const limit = (coming = 0): number => Math.max(MIN_SHARE, SHARE_OF_FREE * (slots - total - coming));
  const mayGo = (share: TriggerShare): boolean => share.inFlight < limit();
  const isSlow = (share: TriggerShare): boolean =>
    share.averageMs > PATIENCE_MS || now() - share.lastMoveAt > PATIENCE_MS;

  function go(share: TriggerShare): Entry {
    if (share.inFlight === 0) share.lastMoveAt = now();
    share.inFlight++;
    total++;
    return 'GO';
  }

  function wait(share: TriggerShare): Promise<Entry> {
    return new Promise((resolve) => {
      const answer = (entry: Entry): void => {
        clearTimeout(timer);
        share.waiting.delete(answer);
        if (share.waiting.size === 0) queue.delete(share);
        resolve(entry);
      };
      const timer = setTimeout(() => answer('LATER'), PATIENCE_MS);
      share.waiting.add(answer);
      queue.add(share);
    });
  }

  function letIn(): void {
    for (const share of queue) {
      for (const answer of share.waiting) {
        if (!mayGo(share)) break;
        answer(go(share));
      }
    }
  }

  return {
    async enter(triggerId, from) {
      const share = triggers.get(triggerId) ?? newShare(now());
      triggers.set(triggerId, share);
      if (share.waiting.size === 0 && mayGo(share)) return go(share);
      return from === 'QUEUE' && isSlow(share) ? 'LATER' : wait(share);
    },
    leave(triggerId, durationMs) {
      const share = triggers.get(triggerId);
      if (share === undefined) return;
      share.inFlight--;
      total--;
      if (durationMs !== null) {
        share.lastMoveAt = now();
        share.averageMs += (durationMs - share.averageMs) / 16;
      }
      letIn();
      if (share.inFlight === 0 && share.waiting.size === 0) triggers.delete(triggerId);
    },
    room(triggerId, coming) {
      const share = triggers.get(triggerId);
      return Math.max(0, limit(coming) - (share === undefined ? 0 : share.inFlight + share.waiting.size));
    },
  };
}

function newShare(now: number): TriggerShare {
  return { inFlight: 0, averageMs: 0, lastMoveAt: now, waiting: new Set() };
}
