/** What `tail` shows: changes of invocations, and events that no trigger matched, with one place in both. */
import type { AttemptErrorCode } from '../domain/attempt.ts';
import type { FailureReason, InvocationStatus } from '../domain/invocation.ts';
import type { Connection } from './connection.ts';
import { type FollowOptions, follow, type Link, type Placed, readCursor } from './follow.ts';
import { merge } from './merge.ts';

export interface Update extends Placed {
  readonly kind: 'SNAPSHOT' | 'CREATED' | 'CHANGED';
  readonly at: string;
  readonly previousStatus: InvocationStatus | null;
  readonly status: InvocationStatus;
  readonly invocation: {
    readonly triggerName: string;
    readonly attemptCount: number;
    readonly maxAttempts: number;
    readonly nextAttemptAt: string | null;
    readonly failureReason: FailureReason | null;
    readonly event: { readonly id: string; readonly type: string };
  } | null;
  readonly attempt: {
    readonly number: number;
    readonly errorCode: AttemptErrorCode | null;
    readonly errorMessage: string | null;
    readonly durationMs: number | null;
    readonly response: { readonly statusCode: number } | null;
  } | null;
}

/** Updates were missed. */
export interface Resync extends Placed {
  readonly kind: 'RESYNC';
  readonly at: string;
}

export interface Unmatched extends Placed {
  readonly kind: 'UNMATCHED';
  readonly at: string;
  /** Null where it is no longer there. */
  readonly event: { readonly id: string; readonly type: string } | null;
}

export type Line = Update | Unmatched | Resync;

export interface DeliveryOptions extends Pick<FollowOptions, 'signal' | 'onLink'> {
  /** Of invocations; null for none of them. */
  readonly invocations: object | null;
  /** Of events without a trigger; null for none of them. */
  readonly unmatched: object | null;
  /** `cursor` of an earlier line, or one of the API's; null starts now. */
  readonly after: string | null;
  /** SHOW tells first what is unfinished. */
  readonly snapshot: 'SHOW' | 'LEAVE_OUT';
}

/** Between the two cursors that a line's has: there is none in a cursor. */
const SEPARATOR = '.';

/**
 * Both in the order in which they come. A line's `cursor` stands behind it and behind all lines before it; null while
 * the snapshot is not complete. Errors: ApiError where trying again cannot help.
 */
export async function* followDeliveries(
  connection: Connection,
  { invocations, unmatched, after, snapshot, signal: stopping, onLink }: DeliveryOptions,
): AsyncGenerator<Line, void, undefined> {
  const since = after ?? (await readCursor(connection));
  const [ofInvocations = since, ofUnmatched = ofInvocations] = since.split(SEPARATOR);
  const ending = new AbortController();
  const signal = AbortSignal.any([stopping, ending.signal]);
  const streams = (invocations === null ? 0 : 1) + (unmatched === null ? 0 : 1);
  const common = { signal, onLink: joinLinks(streams, onLink) };
  const showsSnapshot = after === null && snapshot === 'SHOW' && invocations !== null;
  const place = { invocations: showsSnapshot ? null : ofInvocations, unmatched: ofUnmatched };
  const cursor = (): string | null =>
    place.invocations === null ? null : place.invocations + SEPARATOR + place.unmatched;

  async function* changes(filter: object): AsyncGenerator<Line, void, undefined> {
    const variables = { filter, snapshot: showsSnapshot };
    const updates = follow<Update | Resync>(connection, {
      ...{ ...common, query: INVOCATIONS, variables },
      ...{ after: place.invocations, since: ofInvocations },
    });
    for await (const update of updates) {
      place.invocations = update.cursor ?? place.invocations;
      yield { ...update, cursor: cursor() };
    }
  }

  async function* events(filter: object): AsyncGenerator<Line, void, undefined> {
    const variables = { filter: { ...filter, kind: ['EVENT_UNMATCHED'] } };
    const updates = follow<Activity>(connection, {
      ...common,
      ...{ query: UNMATCHED, variables, after: ofUnmatched },
    });
    for await (const { kind, ...update } of updates) {
      place.unmatched = update.cursor ?? place.unmatched;
      yield { ...update, kind: kind === 'RESYNC' ? kind : 'UNMATCHED', cursor: cursor() };
    }
  }

  try {
    yield* merge<Line>([
      ...(invocations === null ? [] : [changes(invocations)]),
      ...(unmatched === null ? [] : [events(unmatched)]),
    ]);
  } finally {
    ending.abort();
  }
}

interface Activity extends Omit<Unmatched, 'kind'> {
  readonly kind: 'EVENT_UNMATCHED' | 'RESYNC';
}

const INVOCATIONS = `subscription ($filter: InvocationFilter, $snapshot: Boolean, $after: String) {
  invocationUpdated(filter: $filter, snapshot: $snapshot, after: $after) {
    cursor kind at previousStatus status
    invocation {
      id triggerName attemptCount maxAttempts nextAttemptAt failureReason event { id project type }
    }
    attempt { id number status errorCode errorMessage startedAt durationMs response { statusCode } }
  }
}`;

const UNMATCHED = `subscription ($filter: ActivityFilter, $after: String) {
  liveTail(filter: $filter, after: $after) { cursor kind at event { id project type } }
}`;

/** Several links as one: connected when all are, broken when one is. */
function joinLinks(links: number, onLink: (link: Link) => void): (link: Link) => void {
  let connected = 0;
  let broken = 0;
  return (link) => {
    if (link === 'CONNECTED') {
      if (++connected === links) onLink(link);
    } else if (link === 'BACK') {
      if (--broken === 0) onLink(link);
    } else if (++broken === 1) onLink(link);
  };
}
