/** Thousands of changes a second are shown a few times a second. */
import { useEffect, useMemo, useRef } from 'preact/hooks';

const FLUSH_MS = 200;

/** Collects what comes, the newest of each id, and hands it over together. */
export function useTogether<Row extends { readonly id: string }>(
  flush: (rows: readonly Row[]) => void,
): (row: Row) => void {
  const latest = useRef(flush);
  latest.current = flush;
  const box = useMemo(() => {
    const gathered = new Map<string, Row>();
    let timer: ReturnType<typeof setTimeout> | null = null;
    return {
      add(row: Row): void {
        gathered.set(row.id, row);
        timer ??= setTimeout(() => {
          timer = null;
          const rows = [...gathered.values()];
          gathered.clear();
          latest.current(rows);
        }, FLUSH_MS);
      },
      stop: () => clearTimeout(timer ?? undefined),
    };
  }, []);
  useEffect(() => box.stop, [box]);
  return box.add;
}
