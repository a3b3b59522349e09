/** Callers for tests: keys made over the API, and what comes back of what they ask. */
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createWebSocketClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { TestApp } from '../support/app.ts';

// biome-ignore lint/suspicious/noExplicitAny: each test knows the shape of what it asks for
export type Loose = any;

export interface Key {
  readonly id: string;
  readonly secret: string;
}

/** Creates an API key that must be accepted. */
export async function createKey(app: TestApp, input: Record<string, unknown> = {}): Promise<Key> {
  const { createApiKey } = await app.graphql<Loose>(
    `mutation ($input: CreateApiKeyInput!) {
      createApiKey(input: $input) { apiKey { id } secret userErrors { field code message } } }`,
    { input: { name: 'test', scopes: ['ADMIN'], ...input } },
  );
  if (createApiKey.apiKey === null) throw new Error(JSON.stringify(createApiKey.userErrors));
  return { id: createApiKey.apiKey.id, secret: createApiKey.secret };
}

export const REVOKE =
  'mutation ($id: ID!) { revokeApiKey(input: {id: $id}) { apiKey { revokedAt } userErrors { code } } }';

/** POSTs an operation with a token; answers what came, errors and all. */
export async function ask(
  url: string,
  token: string | null,
  query: string,
  variables: unknown = {},
): Promise<{ readonly status: number; readonly headers: Headers; readonly body: Loose }> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token !== null && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query, variables }),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** The status of the smallest question that needs a token. */
export async function statusOf(url: string, token: string | null): Promise<number> {
  return (await ask(url, token, '{ viewer { name } }')).status;
}

export interface Watching {
  readonly items: Loose[];
  /** Null while it goes on. */
  readonly over: () => { readonly how: 'COMPLETE' | 'ERROR'; readonly error: unknown } | null;
  readonly stop: () => void;
}

export const TRANSPORTS = ['SSE', 'WebSocket'] as const;

export function subscribe(
  transport: (typeof TRANSPORTS)[number],
  url: string,
  token: string,
  query: string,
  variables: Record<string, unknown> = {},
): Watching {
  const authorization = `Bearer ${token}`;
  const client =
    transport === 'SSE'
      ? createSseClient({
          url: `${url}/graphql`,
          singleConnection: false,
          retryAttempts: 0,
          headers: { authorization },
        })
      : createWebSocketClient({
          url: `${url.replace('http', 'ws')}/graphql`,
          webSocketImpl: WebSocket,
          retryAttempts: 0,
          connectionParams: { authorization },
        });
  const items: Loose[] = [];
  let over: ReturnType<Watching['over']> = null;
  const stop = client.subscribe(
    { query, variables },
    {
      next: (item: Loose) => items.push(item),
      error: (error: unknown) => {
        // A CloseEvent says nothing as JSON but its code does.
        const code = error instanceof Object && 'code' in error ? error.code : null;
        over ??= { how: 'ERROR', error: code ?? error };
      },
      complete: () => {
        over ??= { how: 'COMPLETE', error: null };
      },
    },
  );
  return { items, over: () => over, stop };
}
