/** One WebSocket for everything live, and whether it stands. */
import { signal } from '@preact/signals';
import { type Client, createClient } from 'graphql-ws';
import type { Document } from '../api/document.ts';
import { signOut, token } from './session.ts';

export type ConnectionState = 'CONNECTING' | 'OPEN' | 'LOST';
export const connection = signal<ConnectionState>('CONNECTING');
/** Grows with every connection after the first: what was shown before may have missed something. */
export const reconnects = signal(0);

/** Between attempts to reach a server that is away, in ms. */
const RETRY_MS = [250, 500, 1000, 1500, 2000] as const;
const FORBIDDEN = 4403;

let client: Client | null = null;
let opened = false;

function open(): Client {
  return createClient({
    url: `${location.origin.replace(/^http/, 'ws')}/graphql`,
    connectionParams: () => (token.value === null ? {} : { authorization: `Bearer ${token.value}` }),
    lazy: false,
    keepAlive: 10_000,
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: (event) => !(event instanceof CloseEvent && event.code === FORBIDDEN),
    retryWait: (retries) =>
      new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(retries, RETRY_MS.length - 1)])),
    onNonLazyError: () => {},
    on: {
      connected: () => {
        connection.value = 'OPEN';
        if (opened) reconnects.value++;
        opened = true;
      },
      closed: (event) => {
        if (event instanceof CloseEvent && event.code === FORBIDDEN) {
          signOut('This token is unknown, or works no more.');
        } else if (client !== null) connection.value = 'LOST';
      },
    },
  });
}

export function connect(): void {
  client ??= open();
}

export function disconnect(): void {
  const closing = client;
  client = null;
  opened = false;
  connection.value = 'CONNECTING';
  void closing?.dispose();
}

export interface Listener<Data> {
  readonly next: (data: Data) => void;
  readonly failed?: (message: string) => void;
  readonly ended?: () => void;
}

/** Subscribes; returns what ends it. The client subscribes again by itself after the connection was lost. */
export function listen<Data, Variables extends Record<string, unknown>>(
  document: Document<Data, Variables>,
  variables: () => Variables,
  listener: Listener<Data>,
): () => void {
  connect();
  return (
    client?.subscribe<Data>(
      {
        query: document,
        // Read each time it is sent: a cursor has moved on since.
        get variables() {
          return variables();
        },
      },
      {
        next: ({ data, errors }) => {
          if (data != null) listener.next(data);
          else if (errors?.[0] !== undefined) listener.failed?.(errors[0].message);
        },
        error: (error) => listener.failed?.(messageOf(error)),
        complete: () => listener.ended?.(),
      },
    ) ?? (() => {})
  );
}

function messageOf(error: unknown): string {
  if (Array.isArray(error)) return String((error[0] as { message?: unknown } | undefined)?.message);
  return error instanceof Error ? error.message : 'the subscription ended unexpectedly';
}
