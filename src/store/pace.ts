/**
 * How long the feed rests between two reads. Subscribers cost the process that also delivers: a hundred of them turn
 * 5,000 deliveries a second into 500,000 messages. So a rest is in proportion to what was handed out since the last one,
 * and what has happened meanwhile goes out together, which costs each subscriber one write and not many. Nothing is lost
 * by resting: the log keeps what is unread.
 */
export interface Pace {
  /** So many changes were read. */
  changes(count: number): void;
  /** A subscriber was given so many items. */
  items(count: number): void;
  /** A subscriber came by a batch, whether it had an item for it or not. */
  batch(): void;
  /** In ms, from the beginning of the last read, for what has been handed out since the last call. */
  rest(): number;
}

/** While announcements come in numbers: a tenth of the lag nobody notices, half the reads. */
const MIN_REST_MS = 4;
const MAX_REST_MS = 500;
/**
 * What it takes, in ms: to read a change, what it is about, and make its payload; to write one more message; to give a
 * subscriber a turn for a batch and one to find that there is no other yet, and to write to its socket.
 */
const CHANGE_MS = 0.15;
const ITEM_MS = 0.002;
const BATCH_MS = 0.06;
/** Rest as a multiple of that work. */
const REST = 3;

export function createPace(): Pace {
  let workMs = 0;
  return {
    changes(count) {
      workMs += count * CHANGE_MS;
    },
    items(count) {
      workMs += count * ITEM_MS;
    },
    batch() {
      workMs += BATCH_MS;
    },
    rest() {
      const restMs = Math.min(MAX_REST_MS, Math.max(MIN_REST_MS, workMs * REST));
      workMs = 0;
      return restMs;
    },
  };
}
