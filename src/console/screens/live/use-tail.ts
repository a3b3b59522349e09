/** Follows the change log; while paused it stops, and then goes on after the last cursor seen. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Activity, type ActivityFilter, LIVE_TAIL } from '../../api/activity.ts';
import { listen } from '../../state/connection.ts';

export interface Line {
  readonly key: number;
  readonly activity: Activity;
}

export interface Tail {
  /** Newest first. */
  readonly lines: readonly Line[];
  readonly clear: () => void;
}

/** Lines kept; older ones fall out at the end. */
const MAX_LINES = 1000;
const FLUSH_MS = 120;

/** What came and is not shown yet, oldest first, and where to go on. */
interface Follower {
  cursor: string | null;
  gathered: Line[];
  readonly seen: Set<string>;
}

const startOver = (): Follower => ({ cursor: null, gathered: [], seen: new Set() });

export function useTail(filter: ActivityFilter, paused: boolean): Tail {
  const [lines, setLines] = useState<readonly Line[]>([]);
  const follower = useRef(startOver());
  const lastKey = useRef(0);
  const filterText = JSON.stringify(filter);

  // Dependencies: another filter begins anew
  useEffect(() => {
    follower.current = startOver();
    setLines([]);
  }, [filterText]);

  useEffect(() => {
    const state = follower.current;
    // Paused before anything came, there is nothing to go on after: the first that comes is kept for that.
    if (paused && state.cursor !== null) return;
    const flush = (): void => {
      if (paused || state.gathered.length === 0) return;
      const fresh = state.gathered.reverse();
      state.gathered = [];
      setLines((before) => [...fresh, ...before].slice(0, MAX_LINES));
    };
    const timer = setInterval(flush, FLUSH_MS);
    const stop = listen(LIVE_TAIL, () => ({ filter: JSON.parse(filterText), after: state.cursor }), {
      next: ({ liveTail }) => {
        if (!isNew(state, liveTail) || (paused && state.cursor !== null)) return;
        state.cursor = liveTail.cursor ?? state.cursor;
        state.gathered.push({ key: lastKey.current++, activity: liveTail });
        if (state.gathered.length > MAX_LINES) state.gathered.shift();
        if (paused && state.cursor !== null) stop();
      },
    });
    return () => {
      clearInterval(timer);
      flush();
      stop();
    };
  }, [filterText, paused]);

  return { lines, clear: () => setLines([]) };
}

/** After a reconnect the last ones may come again. */
function isNew({ seen }: Follower, { cursor, kind, at, summary }: Activity): boolean {
  if (cursor === null) return true;
  const mark = [cursor, kind, at, summary].join(' ');
  if (seen.has(mark)) return false;
  seen.add(mark);
  if (seen.size > MAX_LINES) seen.delete(seen.values().next().value ?? '');
  return true;
}
