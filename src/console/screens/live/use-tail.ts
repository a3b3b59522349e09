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

export function useTail(filter: ActivityFilter, paused: boolean): Tail {
  const [lines, setLines] = useState<readonly Line[]>([]);
  const cursor = useRef<string | null>(null);
  const key = useRef(0);
  const filterText = JSON.stringify(filter);

  // Dependencies: another filter begins anew
  useEffect(() => {
    cursor.current = null;
    setLines([]);
  }, [filterText]);

  useEffect(() => {
    if (paused) return;
    let gathered: Line[] = [];
    const seen = new Set<string>();
    const flush = (): void => {
      if (gathered.length === 0) return;
      const fresh = gathered.reverse();
      gathered = [];
      setLines((before) => [...fresh, ...before].slice(0, MAX_LINES));
    };
    const timer = setInterval(flush, FLUSH_MS);
    const stop = listen(LIVE_TAIL, () => ({ filter: JSON.parse(filterText), after: cursor.current }), {
      next: ({ liveTail }) => {
        // After a reconnect the last ones may come again.
        const mark = `${liveTail.cursor} ${liveTail.kind} ${liveTail.summary}`;
        if (liveTail.cursor !== null && seen.has(mark)) return;
        seen.add(mark);
        if (seen.size > MAX_LINES) seen.delete(seen.values().next().value ?? '');
        if (liveTail.cursor !== null) cursor.current = liveTail.cursor;
        gathered.push({ key: key.current++, activity: liveTail });
        if (gathered.length > MAX_LINES) gathered.shift();
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
