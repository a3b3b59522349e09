/** What every resolver gets: the services, the caller, and loaders that live as long as one answer. */
import type { ExecutionResult } from 'graphql';
import type { Caller } from '../domain/caller.ts';
import type { EventRow } from '../store/events.ts';
import { type Budget, createBudget } from './budget.ts';
import type { Patience } from './deadline.ts';
import type { LiveRows } from './live-rows.ts';
import { createLoaders, type Loaders } from './loaders.ts';
import type { GraphqlServices } from './services.ts';

export interface GraphqlContext extends Patience {
  /** Whether the operation has sent a test: one is enough. */
  hasTested: boolean;
  readonly services: GraphqlServices;
  readonly caller: Caller;
  /** Rows that all subscriptions share. */
  readonly live: LiveRows;
  /** Replaced before each mutation of an operation, so that it is not answered with what was read before it. */
  loaders: Loaders;
  /** Reads an event that was just queued, together with those of concurrent requests. */
  readonly readQueued: (id: string) => Promise<EventRow | null>;
  /** W3C Trace Context headers of the request. */
  readonly trace: Trace;
  /** Where payloads of a subscription go that need no further look; null where they are returned to the caller. */
  readonly deliver: Deliver | null;
}

/** Sends a payload without errors. Resolves, where it does not at once, when there is room for more; never rejects. */
export type Deliver = (payload: ExecutionResult) => Promise<void> | null;

export interface Trace {
  readonly traceparent: string | null;
  readonly tracestate: string | null;
}

/** What comes with a request, over HTTP or WebSocket. */
export interface ServerContext {
  readonly caller: Caller;
  readonly headers: RequestHeaders;
  /** Already read; null where there is none. */
  readonly body: string | null;
  /** Null over HTTP. */
  readonly deliver: Deliver | null;
}

export type RequestHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * The same for the next payload of a subscription: nothing read for the one before may be reused, but what was read for
 * the changes that the payload tells of is there.
 */
export function renewContext(
  context: GraphqlContext,
  item: unknown,
  budget: Budget = createBudget(),
): GraphqlContext {
  const own = createLoaders(context.services.db, budget);
  return { ...context, loaders: { ...own, ...context.live.loadersOf(item) } };
}

export function forgetReads(context: GraphqlContext): void {
  context.loaders = createLoaders(context.services.db, context.loaders.budget);
}
