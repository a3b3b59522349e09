import { type EventLoopUtilization, performance } from 'node:perf_hooks';

/**
 * How long the feed rests between two reads, and how much it reads. Subscribers cost the process that also delivers: a
 * hundred of them turn 5,000 deliveries a second into two million messages. So a rest is in proportion to what was
 * handed out since the last one, and what has happened meanwhile goes out together, which costs each subscriber one
 * write and not many. Nothing is lost by resting: the log keeps what is unread.
 *
 * What one thread can hardly hand out in time is a flood. It is let by for a moment, once, so that deliveries come
 * first; what is unread then, or whenever the feed has fallen behind, is caught up with as fast as the thread can.
 */
export interface Pace {
  /** So much was read, the last change of which was made `spanMs` after the last one of the read before. */
  read(found: { readonly changes: readonly unknown[]; readonly rows: number }, spanMs: number): void;
  /** A subscriber was given so many items; `live`: of what was read, and not of what it had missed. */
  items(count: number, live: boolean): void;
  /** A subscriber came by a batch, whether it had an item for it or not. */
  batch(): void;
  /** What comes next, after what has been handed out since the last call; `behindMs`: since when there is unread. */
  next(behindMs: number): Step;
}

export interface Step {
  /** In ms, from the beginning of the last read. */
  readonly restMs: number;
  /** Rows of the log that the next read returns at most; each may hold hundreds of changes of one statement. */
  readonly rows: number;
}

/** While announcements come in numbers: a tenth of the lag nobody notices, half the reads. */
const MIN_REST_MS = 4;
/**
 * What it takes, in ms: to read a change, what it is about, and make its payload; to write one more message; to give a
 * subscriber a turn for a batch and one to find that there is no other yet, and to write to its socket.
 */
const CHANGE_MS = 0.06;
const ITEM_MS = 0.002;
const BATCH_MS = 0.06;

interface Manner {
  /** The rest as a multiple of the work before it. */
  readonly rest: number;
  readonly maxRestMs: number;
  /** About so many changes are read at once. */
  readonly changes: number;
}

const USUAL: Manner = { rest: 1.2, maxRestMs: 500, changes: 2000 };
const LETTING_BY: Manner = { rest: 20, maxRestMs: 2000, changes: 200 };
const CATCHING_UP: Manner = { rest: 0.6, maxRestMs: 1000, changes: 2000 };
/** The same where the thread had time left: what the work takes was estimated too high. */
const HURRYING: Manner = { ...CATCHING_UP, maxRestMs: 10 };
/** A thread that is busy for less than this share of the time has time left. */
const BUSY = 0.8;
/** So many items at most come of one read while nothing is known of a flood: the first looks into one are not large. */
const USUAL_ITEMS = 20_000;
/** Most rows of the log that are read at once. */
const MAX_ROWS = 50;
/**
 * Items for subscribers that arrive a millisecond: more is a flood, with which one thread keeps up at the cost of all
 * else. It is over when half as many arrive, so that one that swells again is not let by again.
 */
const FLOOD = 150;
/** They are averaged over this long, in ms: what comes at once and is over is none. */
const AVERAGED_MS = 100;
/** A flood is let by until the feed is this far behind, in ms. */
const MAX_BEHIND_MS = 5000;
/** A feed that has not read all there is for this long, in ms, has fallen behind. */
const FOLLOWING_MS = 300;

/** `busy`: the share of the time since the last call that the thread was at work. */
export function createPace(busy: () => number = watchThread()): Pace {
  /** Since the last step. */
  let workMs = 0;
  /** Not averaged yet: items, the changes they came of, and the time in which they arrived, whenever they were read. */
  let arrived = 0;
  let changed = 0;
  let spanMs = 0;
  let rate = 0;
  /** The flood that lasts has been let by. */
  let letBy = false;
  /** Changes in a row of the log, averaged. */
  let perRow = 1;
  /** Items that come of a change, averaged. */
  let perChange = 0;

  function average(): void {
    if (spanMs <= 0) return;
    const kept = Math.exp(-spanMs / AVERAGED_MS);
    rate = rate * kept + (arrived / spanMs) * (1 - kept);
    if (changed > 0) perChange += (arrived / changed - perChange) / 2;
    arrived = 0;
    changed = 0;
    spanMs = 0;
  }

  function mannerFor(behindMs: number, share: number): Manner {
    if (rate <= FLOOD / 2) letBy = false;
    else if (rate > FLOOD && behindMs >= MAX_BEHIND_MS) letBy = true;
    if (rate > FLOOD && !letBy) return LETTING_BY;
    if (behindMs < FOLLOWING_MS) return USUAL;
    return share < BUSY ? HURRYING : CATCHING_UP;
  }

  return {
    read({ changes, rows }, span) {
      workMs += changes.length * CHANGE_MS;
      changed += changes.length;
      spanMs += span;
      if (rows > 0) perRow += (Math.max(changes.length / rows, 1) - perRow) / 2;
    },
    items(count, live) {
      workMs += count * ITEM_MS;
      if (live) arrived += count;
    },
    batch() {
      workMs += BATCH_MS;
    },
    next(behindMs) {
      average();
      const manner = mannerFor(behindMs, busy());
      const { rest, maxRestMs } = manner;
      const changes =
        manner === USUAL && perChange > 0
          ? Math.min(manner.changes, USUAL_ITEMS / perChange)
          : manner.changes;
      const rows = Math.min(Math.max(Math.round(changes / perRow), 1), MAX_ROWS);
      const restMs = Math.min(maxRestMs, Math.max(MIN_REST_MS, workMs * rest));
      workMs = 0;
      return { restMs, rows };
    },
  };
}

function watchThread(): () => number {
  let last: EventLoopUtilization | undefined;
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
