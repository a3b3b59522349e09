/**
 * Who may send now: the attempts in flight of this process, shared out so that receivers that hang starve nobody.
 *
 * A trigger may have up to twice as many attempts in flight as there are free slots (a dynamic threshold, as network
 * switches share their buffers; Choudhury and Hahne 1998). A single one gets two thirds of all; twenty that hang get a
 * few per cent each and still leave slots for whoever comes. Beyond its share an attempt waits a moment for the
 * trigger's own ones to end, and is put off where they do not.
 */

/** Whether an attempt may go, or in how many ms its job should come back. */
export type Entry = { readonly kind: 'GO' } | { readonly kind: 'LATER'; readonly delayMs: number };

export interface Shares {
  /** Asks for a slot. GO must be followed by `leave`. */
  enter(triggerId: string): Promise<Entry>;
  leave(triggerId: string, durationMs: number): void;
}

/** Attempts of a trigger may be this many times the free slots. */
const SHARE_OF_FREE = 2;
/** What a trigger gets when no slot is free: others came first and hang, and it must not wait for their timeouts. */
const MIN_SHARE = 4;
/** How long an attempt waits here for its trigger's others, in ms: a receiver that answers within it is not slow. */
const PATIENCE_MS = 400;
/** Longest an attempt is put off, in ms: how soon a receiver that has recovered gets what was put off. */
const MAX_DELAY_MS = 60_000;

interface TriggerShare {
  inFlight: number;
  /** Smoothed duration of its attempts. */
  averageMs: number;
  /** When an attempt ended last, or the first one began. */
  lastMoveAt: number;
  /** Until when the attempts that were put off are spread. */
  plannedUntil: number;
  readonly waiting: Set<(entry: Entry) => void>;
}

export function createShares(slots: number, now: () => number = () => performance.now()): Shares {
  const triggers = new Map<string, TriggerShare>();
  /** Triggers with someone waiting, in order of their turn. */
  const queue = new Set<TriggerShare>();
  let total = 0;

  const limitOf = (): number => Math.max(MIN_SHARE, SHARE_OF_FREE * (slots - total));
  const mayGo = (share: TriggerShare): boolean => share.inFlight < limitOf();

  function go(share: TriggerShare): Entry {
    if (share.inFlight === 0) share.lastMoveAt = now();
    share.inFlight++;
    total++;
    return { kind: 'GO' };
  }

  /** Spreads what is put off over the time that the trigger needs for it. */
  function later(share: TriggerShare): Entry {
    const stalledMs = now() - share.lastMoveAt;
    const eachMs = Math.max(share.averageMs, stalledMs, 1) / share.inFlight;
    share.plannedUntil = Math.max(share.plannedUntil, now() + PATIENCE_MS) + eachMs;
    if (share.plannedUntil - now() > MAX_DELAY_MS) share.plannedUntil = now() + MAX_DELAY_MS / 2;
    return { kind: 'LATER', delayMs: share.plannedUntil - now() };
  }

  function wait(share: TriggerShare): Promise<Entry> {
    return new Promise((resolve) => {
      const answer = (entry: Entry): void => {
        clearTimeout(timer);
        share.waiting.delete(answer);
        if (share.waiting.size === 0) queue.delete(share);
        resolve(entry);
      };
      const timer = setTimeout(() => answer(later(share)), PATIENCE_MS);
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
    async enter(triggerId) {
      const share = triggers.get(triggerId) ?? newShare(now());
      triggers.set(triggerId, share);
      if (share.waiting.size === 0 && mayGo(share)) return go(share);
      const slow = share.averageMs > PATIENCE_MS || now() - share.lastMoveAt > PATIENCE_MS;
      return slow ? later(share) : wait(share);
    },
    leave(triggerId, durationMs) {
      const share = triggers.get(triggerId);
      if (share === undefined) return;
      share.inFlight--;
      total--;
      share.lastMoveAt = now();
      share.averageMs += (durationMs - share.averageMs) / 16;
      letIn();
      if (share.inFlight === 0 && share.waiting.size === 0) triggers.delete(triggerId);
    },
  };
}

function newShare(now: number): TriggerShare {
  return { inFlight: 0, averageMs: 0, lastMoveAt: now, plannedUntil: 0, waiting: new Set() };
}
