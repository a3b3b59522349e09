/** States that are shown as they change, but not more often than at intervals. */
import type { ChangeFeed } from '../store/changes.ts';

export interface IntervalOptions<T> {
  readonly feed: ChangeFeed;
  readonly intervalMs: number;
  readonly read: () => Promise<T>;
  /** What of a state must differ for it to be shown. */
  readonly gist: (state: T) => string;
}

/** Time changes states too (something falls due, a worker is heard no more): look this often anyway, in ms. */
const LOOK_MS = 2000;

/** The state now, then at every interval in which it changed; ends with the feed. */
export function everyInterval<T>({
  feed,
  intervalMs,
  read,
  gist,
}: IntervalOptions<T>): AsyncIterableIterator<T> {
  let changed = true;
  let wake: () => void = () => {};
  let shown: string | null = null;
  let ended = false;
  const deafen = feed.hear({
    heard: () => {
      changed = true;
    },
    ended: () => end(),
  });

  function end(): void {
    ended = true;
    deafen();
    wake();
  }

  const waiting = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const iterator: AsyncIterableIterator<T> = {
    [Symbol.asyncIterator]: () => iterator,
    async next() {
      for (let sinceMs = 0; !ended; ) {
        if (shown !== null) await waiting(intervalMs);
        sinceMs += intervalMs;
        if (ended) break;
        if (!changed && sinceMs < LOOK_MS) continue;
        changed = false;
        sinceMs = 0;
        const state = await read();
        const now = gist(state);
        if (now === shown) continue;
        shown = now;
        return { done: false, value: state };
      }
      return { done: true, value: undefined };
    },
    async return() {
      end();
      return { done: true, value: undefined };
    },
  };
  return iterator;
}
