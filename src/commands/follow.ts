/** Subscriptions that outlive their connection: after a break they go on behind the last update that was seen. */
import { createClient, NetworkError } from 'graphql-sse';
import { ApiError, type Connection, type GraphqlError } from './connection.ts';

/** Herald says something at least every 12 s, be it a comment. A connection that is silent for longer is dead. */
const SILENCE_MS = 30_000;
/** Updates that may wait to be printed before the connection is not read any more. */
const MAX_WAITING = 200;
/** Between two tries to connect again: doubled with each, with chance, so that not all clients come at once. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;

export interface FollowOptions {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
  /** Where to go on; null starts now. */
  readonly after: string | null;
  readonly signal: AbortSignal;
  /** Told once for each break, and once when it is over. */
  readonly onBreak: (what: { readonly error: ApiError } | 'BACK') => void;
}

/** Something with a place in the change log. */
export interface Placed {
  readonly cursor: string | null;
}

/**
 * Updates of the query's one field, in order, until `signal` is aborted; the caller stops earlier where an update is
 * the last. A Herald that completes the subscription shuts down: others may be there to connect to. Errors: ApiError
 * where trying again cannot help, or the first connection does not come about.
 */
export async function* follow<T extends Placed>(
  connection: Connection,
  { query, variables, after: start, signal, onBreak }: FollowOptions,
): AsyncGenerator<T, void, undefined> {
  let after = start;
  let hasConnected = false;
  let isBroken = false;
  let failures = 0;
  const connected = (): void => {
    if (isBroken) onBreak('BACK');
    isBroken = false;
    hasConnected = true;
  };
  while (!signal.aborted) {
    let why = new ApiError('Herald ended the subscription.', { isPassing: true });
    const startedAt = performance.now();
    try {
      for await (const update of subscribe<T>(
        connection,
        query,
        { ...variables, after },
        signal,
        connected,
      )) {
        after = update.cursor ?? after;
        failures = 0;
        yield update;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError && error.isPassing && hasConnected)) throw error;
      why = error;
    }
    if (signal.aborted) return;
    if (performance.now() - startedAt > LONGEST_PAUSE_MS) failures = 0;
    if (!isBroken) onBreak({ error: why });
    isBroken = true;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
    failures++;
    await pause(pauseMs, signal);
  }
}

/** One connection: graphql-sse, read no faster than its updates are used. */
async function* subscribe<T>(
  connection: Connection,
  query: string,
  variables: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
  onConnected: () => void,
): AsyncGenerator<T, void, undefined> {
  let waiting = 0;
  let used = (): void => {};
  const room = async (): Promise<void> => {
    while (waiting > MAX_WAITING) {
      await new Promise<void>((resolve) => {
        used = resolve;
      });
    }
  };
  // graphql-sse keeps only the message of what goes wrong here.
  let wrong: ApiError | null = null;
  const client = createClient({
    url: `${connection.url}/graphql`,
    headers: { ...connection.headers },
    retryAttempts: 0,
    fetchFn: async (url: string, init: RequestInit) => {
      const silence = new AbortController();
      try {
        const ends = AbortSignal.any([init.signal ?? signal, silence.signal]);
        const response = await fetch(url, { ...init, signal: ends });
        if (!response.ok) throw connection.refusal(response.status, await response.text());
        onConnected();
        // graphql-sse keeps all it reads; so nothing is read while enough is waiting.
        return { ok: true, body: response.body && metered(response.body, silence, room) };
      } catch (error) {
        wrong = error instanceof ApiError ? error : connection.away(error);
        throw wrong;
      }
    },
    on: {
      message: ({ event }) => {
        if (event === 'next') waiting++;
      },
    },
  });
  const stop = (): void => client.dispose();
  signal.addEventListener('abort', stop, { once: true });
  try {
    for await (const { data, errors } of client.iterate<Record<string, T>>({ query, variables })) {
      waiting--;
      used();
      if (errors !== undefined) throw connection.failure(errors as readonly GraphqlError[]);
      const [update] = Object.values(data ?? {});
      if (update != null) yield update;
    }
  } catch (error) {
    throw wrong ?? (error instanceof NetworkError ? connection.away(error) : error);
  } finally {
    signal.removeEventListener('abort', stop);
    waiting = 0;
    used();
    client.dispose();
  }
}

/** The body piece by piece: only while there is room, and aborted where it falls silent. */
async function* metered(
  body: ReadableStream<Uint8Array>,
  silence: AbortController,
  room: () => Promise<void>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const listen = () => setTimeout(() => silence.abort(new Error('it fell silent')), SILENCE_MS);
  let timer = listen();
  try {
    for await (const piece of body) {
      clearTimeout(timer);
      yield piece;
      await room();
      timer = listen();
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves after `ms`, or when `signal` is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
