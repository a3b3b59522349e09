/** One connection of a subscriber to `invocationUpdated`, over either transport; reconnecting is the caller's. */
import { setTimeout as pause } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

export interface Update {
  readonly cursor: string | null;
  readonly previousStatus: string | null;
  readonly status: string | null;
  readonly invocation: { readonly id: string } | null;
  readonly attempt: { readonly number: number } | null;
}

export interface FollowOptions {
  readonly url: string;
  readonly token: string;
  /** Event type; null for all. */
  readonly type: string | null;
  readonly after: string;
  /** Milliseconds it takes over each update. */
  readonly slowMs: number;
  readonly told: (update: Update) => void;
}

export interface Link {
  /** Breaks the connection. */
  cut(): void;
  /** Resolves when the connection is no more, for whatever reason. */
  readonly ended: Promise<void>;
}

const QUERY = `subscription ($type: [String!], $after: String) {
  invocationUpdated(filter: {eventType: $type}, after: $after) {
    cursor previousStatus status invocation { id } attempt { number }
  }
}`;

/** One that is cut before it is open has nobody to tell. */
class QuietSocket extends WebSocket {
  constructor(address: string, protocols: string) {
    super(address, protocols);
    this.on('error', () => {});
  }
}

export function followOverWebSocket({ url, token, type, after, told }: FollowOptions): Link {
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: QuietSocket,
    retryAttempts: 0,
    connectionParams: { authorization: `Bearer ${token}` },
  });
  const ended = new Promise<void>((resolve) => {
    client.subscribe<{ invocationUpdated: Update }>(
      { query: QUERY, variables: { type: type === null ? null : [type], after } },
      {
        next: ({ data }) => {
          if (data != null) told(data.invocationUpdated);
        },
        error: () => resolve(),
        complete: () => resolve(),
      },
    );
  });
  // No closing handshake, as if the network had gone.
  return { cut: () => client.terminate(), ended };
}

export function followOverSse({ url, token, type, after, slowMs, told }: FollowOptions): Link {
  const abort = new AbortController();
  const ended = (async () => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'text/event-stream',
      },
      body: JSON.stringify({ query: QUERY, variables: { type: type === null ? null : [type], after } }),
      signal: abort.signal,
    });
    if (response.body === null) return;
    let text = '';
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const messages = text.split('\n\n');
      text = messages.pop() ?? '';
      for (const message of messages) {
        const data = /^data: (.+)$/m.exec(message)?.[1];
        const update = data && (JSON.parse(data) as { data?: { invocationUpdated: Update } }).data;
        if (!update) continue;
        told(update.invocationUpdated);
        if (slowMs > 0) await pause(slowMs);
      }
    }
  })();
  return { cut: () => abort.abort(), ended: ended.catch(() => {}) };
}
