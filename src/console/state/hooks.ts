/** How screens ask and listen. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { Document } from '../api/document.ts';
import { ask, Failure } from './ask.ts';
import { listen, reconnects } from './connection.ts';

export interface Query<Data> {
  /** The last answer; stays while a newer one is on its way. */
  readonly data: Data | null;
  readonly failure: Failure | null;
  readonly reload: () => void;
}

/** Asks now, whenever the variables change, after the connection was lost, and every `everyMs` while visible. */
export function useQuery<Data, Variables extends Record<string, unknown>>(
  document: Document<Data, Variables>,
  variables: Variables,
  everyMs = 0,
): Query<Data> {
  const key = JSON.stringify(variables);
  const [answer, setAnswer] = useState<{ key: string; data: Data } | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [asked, setAsked] = useState(0);
  const connected = reconnects.value;
  const reload = useCallback(() => setAsked((count) => count + 1), []);

  // Dependencies: `key` stands for the variables; the others ask again
  useEffect(() => {
    let stale = false;
    ask(document, variables).then(
      (data) => {
        if (stale) return;
        setAnswer({ key, data });
        setFailure(null);
      },
      (error: unknown) => {
        if (!stale && error instanceof Failure) setFailure(error);
      },
    );
    return () => {
      stale = true;
    };
  }, [document, key, asked, connected]);

  useEffect(() => {
    if (everyMs === 0) return;
    const timer = setInterval(() => {
      if (!window.document.hidden) reload();
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs, reload]);

  // What can be answered once Herald is back is asked again, even where no connection was ever made.
  useEffect(() => {
    if (failure?.code !== 'UNREACHABLE' && failure?.code !== 'UNAVAILABLE') return;
    const timer = setTimeout(reload, 1000);
    return () => clearTimeout(timer);
  }, [failure, reload]);

  return { data: answer?.data ?? null, failure, reload };
}

/** Listens while mounted, and again whenever the variables change. */
export function useLive<Data, Variables extends Record<string, unknown>>(
  document: Document<Data, Variables>,
  variables: Variables,
  next: (data: Data) => void,
): void {
  const key = JSON.stringify(variables);
  const latest = useRef(next);
  latest.current = next;
  // Dependencies: `key` stands for the variables
  useEffect(
    () => listen(document, () => variables, { next: (data) => latest.current(data) }),
    [document, key],
  );
}

/** Calls `work` at most once every `everyMs`, the last call included. */
export function useThrottled(work: () => void, everyMs: number): () => void {
  const latest = useRef(work);
  latest.current = work;
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const lastAt = useRef(0);
  useEffect(() => () => clearTimeout(timer.current ?? undefined), []);
  return useCallback(() => {
    if (timer.current !== null) return;
    const waitMs = Math.max(0, lastAt.current + everyMs - performance.now());
    timer.current = setTimeout(() => {
      timer.current = null;
      lastAt.current = performance.now();
      latest.current();
    }, waitMs);
  }, [everyMs]);
}
