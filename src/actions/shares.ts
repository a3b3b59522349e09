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
  /**
   * How many more attempts of the trigger may be called within the next `withinMs`, beside those on their way. Those
   * of a slow receiver are called little by little: started together they would end together, at their timeout, and be
   * recorded together in everybody's way, wave after wave.
   */
  room(triggerId: string, coming: Coming, withinMs: number): number;
}

/** Attempts that were called and are on their way: this trigger's own, and all together. */
export interface Coming {
  readonly own: number;
  readonly all: number;
}

/** Attempts of a trigger may be this many times the free slots. */
const SHARE_OF_FREE = 2;
/** What a trigger gets when no slot is free: others came first and hang, and it must not wait for their timeouts. */
const MIN_SHARE = 4;
/** How long an attempt waits here for its trigger's others, in ms: a receiver that answers within it is not slow. */
const PATIENCE_MS = 400;

/**
 * Nobody asked and nothing ended for this long, in ms: the process was idle or held up, and what it found out about
 * receivers before says nothing about them now.
 */
const STALL_MS = 100;
/** A fast receiver's slots are used so many times between two calls, at most; those who wait keep jobs busy. */
const MAX_TURNOVER = 4;
/** A slow receiver's slots are filled again in half the time that its attempts last. */
const REFILL_SPEED = 2;
/** Slow triggers without attempts in flight that are remembered, some 100 bytes each. */
const MAX_REMEMBERED = 10_000;

interface TriggerShare {
  inFlight: number;
  /** Smoothed duration of its attempts. */
  averageMs: number;
  /** When an attempt ended last, or the first one began. */
  lastMoveAt: number;
  /** Somebody has waited for one to end in vain since. */
  stuck: boolean;
  readonly waiting: Set<(entry: Entry) => void>;
}

export function createShares(slots: number, now: () => number = () => performance.now()): Shares {
  const triggers = new Map<string, TriggerShare>();
  /** Triggers with someone waiting, in order of their turn. */
  const queue = new Set<TriggerShare>();
  let total = 0;
  /** When somebody asked or something ended last, and since when that has gone on without a stall. */
  let activeAt = now();
  let awakeSince = activeAt;

  function stir(): void {
    const at = now();
    if (at - activeAt > STALL_MS) awakeSince = at;
    activeAt = at;
  }

  const limit = (): number => Math.max(MIN_SHARE, SHARE_OF_FREE * (slots - total));
  const mayGo = (share: TriggerShare): boolean => share.inFlight < limit();
  const isSlow = (share: TriggerShare): boolean =>
    share.averageMs > PATIENCE_MS ||
    share.stuck ||
    now() - Math.max(share.lastMoveAt, awakeSince) > PATIENCE_MS;

  function go(share: TriggerShare): Entry {
    if (share.inFlight === 0) share.lastMoveAt = now();
    share.inFlight++;
    total++;
    return 'GO';
  }

  function wait(share: TriggerShare): Promise<Entry> {
    const since = now();
    return new Promise((resolve) => {
      const answer = (entry: Entry): void => {
        clearTimeout(timer);
        share.waiting.delete(answer);
        if (share.waiting.size === 0) queue.delete(share);
        resolve(entry);
      };
      const timer = setTimeout(() => {
        // While all jobs wait here nobody asks and nothing ends, yet it is not this process that stands still.
        if (share.lastMoveAt <= since && now() - since < PATIENCE_MS + STALL_MS) share.stuck = true;
        answer('LATER');
      }, PATIENCE_MS);
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

  /** A slow trigger is remembered while nothing of it is in flight: it will not have become fast. */
  function forget(triggerId: string, { inFlight, waiting, averageMs }: TriggerShare): void {
    if (inFlight > 0 || waiting.size > 0) return;
    if (averageMs <= PATIENCE_MS) triggers.delete(triggerId);
    if (triggers.size <= MAX_REMEMBERED) return;
    for (const [id, share] of triggers) {
      if (share.inFlight > 0 || share.waiting.size > 0) continue;
      triggers.delete(id);
      return;
    }
  }

  return {
    async enter(triggerId, from) {
      stir();
      const share = triggers.get(triggerId) ?? newShare(now());
      triggers.set(triggerId, share);
      if (share.waiting.size === 0 && mayGo(share)) return go(share);
      return from === 'QUEUE' && isSlow(share) ? 'LATER' : wait(share);
    },
    leave(triggerId, durationMs) {
      const share = triggers.get(triggerId);
      if (share === undefined) return;
      stir();
      share.inFlight--;
      total--;
      if (durationMs !== null) {
        share.lastMoveAt = now();
        share.stuck = false;
        share.averageMs += (durationMs - share.averageMs) / 16;
      }
      letIn();
      forget(triggerId, share);
    },
    room(triggerId, coming, withinMs) {
      const { inFlight, waiting, averageMs } = triggers.get(triggerId) ?? newShare(now());
      const free = slots - total - coming.all;
      const present = inFlight + waiting.size + coming.own;
      // Those who are called take free slots themselves: as many as leave the trigger within its share afterwards.
      const room = Math.floor((SHARE_OF_FREE * free - present) / (SHARE_OF_FREE + 1));
      const most = Math.max(room, MIN_SHARE - present, 0);
      if (averageMs <= PATIENCE_MS) return most * turnover(averageMs, withinMs);
      return Math.min(most, Math.ceil((REFILL_SPEED * (present + most) * withinMs) / averageMs));
    },
  };
}

/** How often a slot is used within `withinMs`; once where nothing is known. */
function turnover(averageMs: number, withinMs: number): number {
  return averageMs === 0 ? 1 : Math.min(Math.max(Math.floor(withinMs / averageMs), 1), MAX_TURNOVER);
}

function newShare(now: number): TriggerShare {
  return { inFlight: 0, averageMs: 0, lastMoveAt: now, stuck: false, waiting: new Set() };
}
