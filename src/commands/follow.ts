/** Subscriptions that outlive their connection: after a break they go on behind the last update that was seen. */
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { ApiError, type Connection, type GraphqlError } from './connection.ts';

/** Herald says something at least every 12 s, be it a comment. A connection that is silent for longer is dead. */
const SILENCE_MS = 30_000;
/** Longest message, in characters: more than any update has. */
const MAX_MESSAGE = 16 * 1024 * 1024;
/** Between two tries to connect again: doubled with each, with chance, so that not all clients come at once. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;

export interface FollowOptions {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
  /** Where to begin; null starts now. */
  readonly after: string | null;
  /** Where to go on after a break before which no update came with a cursor; `after` where it is not given. */
  readonly since?: string;
  readonly signal: AbortSignal;
  readonly onLink: (link: Link) => void;
}

/** What becomes of the connection: told when it is there for the first time, at each break, and when that is over. */
export type Link = 'CONNECTED' | 'BACK' | { readonly error: ApiError };

/** For people. */
export function describeLink(link: Link): string {
  switch (link) {
    case 'CONNECTED':
      return 'Connected. Ctrl-C ends it.';
    case 'BACK':
      return 'Connected again.';
    default:
      return `${link.error.message} Trying again…`;
  }
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
  { query, variables, after: start, since, signal, onLink }: FollowOptions,
): AsyncGenerator<T, void, undefined> {
  let after = start;
  let hasConnected = false;
  let isBroken = false;
  let failures = 0;
  const connected = (): void => {
    if (!hasConnected) onLink('CONNECTED');
    if (isBroken) onLink('BACK');
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
    if (hasConnected) after ??= since ?? null;
    if (!isBroken) onLink({ error: why });
    isBroken = true;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
    failures++;
    await pause(pauseMs, signal);
  }
}

/** Where the change log stands: who goes on from there is told everything from now on. */
export async function readCursor(connection: Connection): Promise<string> {
  return (await connection.ask<{ changeCursor: string }>('{ changeCursor }')).changeCursor;
}

/**
 * One connection (GraphQL over SSE, distinct connections mode), read no faster than its updates are used. Not with
 * graphql-sse's client: it keeps all it reads, and holds messages back until a piece happens to end with one.
 */
async function* subscribe<T>(
  connection: Connection,
  query: string,
  variables: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
  onConnected: () => void,
): AsyncGenerator<T, void, undefined> {
  const silence = new AbortController();
  const response = await open(connection, { query, variables }, AbortSignal.any([signal, silence.signal]));
  onConnected();
  let events: EventSourceMessage[] = [];
  const parser = createParser({ maxBufferSize: MAX_MESSAGE, onEvent: (event) => events.push(event) });
  const decoder = new TextDecoder();
  for await (const piece of heard(connection, response.body, silence)) {
    parser.feed(decoder.decode(piece, { stream: true }));
    const complete = events;
    events = [];
    for (const { event, data } of complete) {
      if (event === 'complete') return;
      if (event === 'next') yield* updateIn<T>(connection, data);
    }
  }
  throw connection.away(new Error('the connection was closed'));
}

async function open(connection: Connection, request: object, signal: AbortSignal): Promise<Response> {
  try {
    const response = await fetch(`${connection.url}/graphql`, {
      method: 'POST',
      headers: { ...connection.headers, 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify(request),
      signal,
    });
    if (!response.ok) throw connection.refusal(response.status, await response.text());
    return response;
  } catch (error) {
    throw error instanceof ApiError ? error : connection.away(error);
  }
}

/** The one field of an answer, if it is there. Errors: ApiError for what GraphQL complains of. */
function updateIn<T>(connection: Connection, data: string): readonly T[] {
  const answer = JSON.parse(data) as {
    readonly data?: Readonly<Record<string, T | null>> | null;
    readonly errors?: readonly GraphqlError[];
  };
  if (answer.errors !== undefined) throw connection.failure(answer.errors);
  return Object.values(answer.data ?? {}).filter((update) => update !== null);
}

/** The body piece by piece, as they are asked for; aborted where it falls silent. Errors: ApiError. */
async function* heard(
  connection: Connection,
  body: Response['body'],
  silence: AbortController,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (body === null) return;
  const listen = () => setTimeout(() => silence.abort(new Error('it fell silent')), SILENCE_MS);
  let timer = listen();
  try {
    for await (const piece of body) {
      clearTimeout(timer);
      yield piece;
      timer = listen();
    }
  } catch (error) {
    throw error instanceof ApiError ? error : connection.away(error);
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
