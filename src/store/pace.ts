/**
 * How long the feed rests between two reads. Subscribers cost the process that also delivers: a hundred of them turn
 * 5,000 deliveries a second into 500,000 messages. So a rest is in proportion to what was handed out since the last one,
 * the longer the busier the machine is, and what has happened meanwhile goes out together, which costs each
 * subscriber one write and not many. Nothing is lost by resting: the log keeps what is unread.
 */
import { cpus } from 'node:os';
import { performance } from 'node:perf_hooks';

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
/** From read to read, as a multiple of that work: where there is time to spare, and where there is none. */
const REST_AT_LEISURE = 1.5;
const REST_WHEN_BUSY = 5;

/** `busy`: how busy the machine is, from 0, at leisure, to 1. */
export function createPace(busy: () => number = measureBusy()): Pace {
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
      const rest = REST_AT_LEISURE + (REST_WHEN_BUSY - REST_AT_LEISURE) * busy();
      const restMs = Math.min(MAX_REST_MS, Math.max(MIN_REST_MS, workMs * rest));
      workMs = 0;
      return restMs;
    },
  };
}

/** Milliseconds over which it is measured. */
const MEASURE_MS = 400;
/** Shares of the time: up to the first there is time to spare, from the second on there is none. */
const AT_LEISURE = 0.6;
const BUSY = 0.95;

/** By this process' event loop or by all processors of the machine, which it shares, whichever is busier. */
function measureBusy(): () => number {
  let loop = performance.eventLoopUtilization();
  let processors = processorTimes();
  let measuredAt = performance.now();
  let busy = 0;
  return () => {
    const now = performance.now();
    if (now - measuredAt < MEASURE_MS) return busy;
    const times = processorTimes();
    const ofLoop = performance.eventLoopUtilization(loop).utilization;
    const ofProcessors = (times.work - processors.work) / (times.all - processors.all) || 0;
    busy = Math.min(1, Math.max(0, (Math.max(ofLoop, ofProcessors) - AT_LEISURE) / (BUSY - AT_LEISURE)));
    loop = performance.eventLoopUtilization();
    processors = times;
    measuredAt = now;
    return busy;
  };
}

/** Of all processors together since they started, in ms. */
function processorTimes(): { readonly work: number; readonly all: number } {
  let [work, all] = [0, 0];
  for (const { times } of cpus()) {
    const { idle, ...others } = times;
    const used = Object.values(others).reduce((sum, time) => sum + time, 0);
    work += used;
    all += used + idle;
  }
  return { work, all };
}
