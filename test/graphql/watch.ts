/** Subscribes over WebSocket as graphql-ws users do, and keeps what comes. */
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { Loose } from './ask.ts';
import { type Door, TOKEN } from './door.ts';

export interface Watching {
  /** The root field of each payload. */
  readonly items: Loose[];
  readonly errors: Loose[];
  readonly over: () => boolean;
  readonly stop: () => Promise<void>;
}

export function watch(door: Door, query: string, variables: Loose = {}, token = TOKEN): Watching {
  const client = createClient({
    url: door.webSocketUrl,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: { authorization: `Bearer ${token}` },
  });
  const items: Loose[] = [];
  const errors: Loose[] = [];
  let over = false;
  client.subscribe<Loose>(
    { query, variables },
    {
      next: ({ data, errors: failed }) => {
        if (failed !== undefined) errors.push(...failed);
        else items.push(Object.values(data)[0]);
      },
      error: (error: Loose) => {
        errors.push(...[error].flat());
        over = true;
      },
      complete: () => {
        over = true;
      },
    },
  );
  return { items, errors, over: () => over, stop: async () => void (await client.dispose()) };
}
