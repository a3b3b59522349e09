/** Events as they are accepted, of every type, with a trigger or without: read from the API's list of events. */
import { ApiError, type Connection } from './connection.ts';
import { type FollowOptions, follow, pause } from './follow.ts';
import { pages } from './pages.ts';

/** An event that was accepted; what it holds is read when it is due. */
export interface Arrival {
  readonly id: string;
  readonly status: string;
  readonly receivedAt: string;
  readonly dueAt: string;
}

export interface ArrivalFilter {
  readonly project: string | null;
  readonly type: readonly string[] | null;
}

/** Between two looks at the list while nothing rings. */
const LOOK_MS = 1000;
/** Between two looks whatever rings: many events at once are one look. */
const REST_MS = 50;
/** `receivedAt` orders the list, and commits do not come in that order: a look goes back as far as this. */
const OVERLAP_MS = 5000;
/** Ids remembered, so that none comes twice: more than are accepted during an overlap. */
const REMEMBERED = 50_000;
/** Events that may wait for the next look; the list has the others. */
const MAX_TOLD = 1000;

const FIELDS = 'id status receivedAt dueAt';

/**
 * Events accepted from now on, each once, in about the order of acceptance; before them those that are scheduled
 * already. Resolves when none can be missed any more. The list is what counts, and outlives every break. Changes of
 * invocations only ring for an early look, and tell of events whose transaction was open for longer than a look goes
 * back. Errors: ApiError where trying again cannot help.
 */
export async function openArrivals(
  connection: Connection,
  filter: ArrivalFilter,
  { signal, onLink }: Pick<FollowOptions, 'signal' | 'onLink'>,
): Promise<AsyncGenerator<Arrival, void, undefined>> {
  const isNew = createMemory();
  let newest = await readNewest(connection);
  const look = () => list(connection, { ...filter, receivedAt: lookBack(newest) });
  if (newest !== null) {
    for await (const page of look()) page.filter(({ status }) => status !== 'SCHEDULED').forEach(isNew);
  }

  async function* watch(): AsyncGenerator<Arrival, void, undefined> {
    for await (const page of list(connection, { ...filter, status: ['SCHEDULED'] }))
      yield* page.filter(isNew);
    const bell = listenForBell(connection, filter, signal);
    let isBroken = false;
    while (!signal.aborted) {
      yield* bell.told().filter(isNew);
      try {
        for await (const page of look()) {
          if (isBroken) onLink('BACK');
          isBroken = false;
          yield* page.filter(isNew);
          newest = page.at(-1)?.receivedAt ?? newest;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ApiError && error.isPassing)) throw error;
        if (!isBroken) onLink({ error });
        isBroken = true;
      }
      await bell.rung(LOOK_MS);
      await pause(REST_MS, signal);
    }
  }

  return watch();
}

function list(connection: Connection, filter: object): AsyncGenerator<readonly Arrival[]> {
  return pages<Arrival>(
    connection,
    `query ($filter: EventFilter, $first: Int, $after: String) {
      events(filter: $filter, first: $first, after: $after, orderBy: { field: RECEIVED_AT, direction: ASC }) {
        nodes { ${FIELDS} } pageInfo { hasNextPage endCursor }
      }
    }`,
    { filter },
    Number.POSITIVE_INFINITY,
  );
}

/** By the server's clock, as ours may be off. Null where there are no events yet. */
async function readNewest(connection: Connection): Promise<string | null> {
  const { events } = await connection.ask<{ events: { nodes: readonly Arrival[] } }>(
    '{ events(first: 1) { nodes { receivedAt } } }',
  );
  return events.nodes[0]?.receivedAt ?? null;
}

function lookBack(newest: string | null): { readonly from: string } | null {
  return newest === null ? null : { from: new Date(Date.parse(newest) - OVERLAP_MS).toISOString() };
}

/** Whether an event is seen for the first time, as far as is remembered. */
function createMemory(): (arrival: Arrival) => boolean {
  const ids = new Set<string>();
  return ({ id }) => {
    if (ids.has(id)) return false;
    ids.add(id);
    const [oldest] = ids;
    if (ids.size > REMEMBERED && oldest !== undefined) ids.delete(oldest);
    return true;
  };
}

interface Bell {
  /** Events of new invocations since the last call. */
  readonly told: () => readonly Arrival[];
  /** Resolves when something has changed, at the latest after `ms`. */
  readonly rung: (ms: number) => Promise<void>;
}

/** The subscription may break: the next look is only a little later then. */
function listenForBell(connection: Connection, filter: ArrivalFilter, signal: AbortSignal): Bell {
  interface Update {
    readonly cursor: null;
    readonly kind: string;
    readonly invocation: { readonly event: Arrival } | null;
  }
  let told: Arrival[] = [];
  let ringing = new AbortController();
  const run = async (): Promise<void> => {
    const updates = follow<Update>(connection, {
      query: `subscription ($filter: InvocationFilter) {
        invocationUpdated(filter: $filter, snapshot: false) { kind invocation { event { ${FIELDS} } } }
      }`,
      variables: { filter: { project: filter.project, eventType: filter.type } },
      after: null,
      signal,
      onLink: () => {},
    });
    for await (const { kind, invocation } of updates) {
      if (kind === 'CREATED' && invocation !== null && told.length < MAX_TOLD) told.push(invocation.event);
      ringing.abort();
    }
  };
  // Where this may not be subscribed to, the list may not be read either, and says so.
  run().catch(() => {});
  return {
    told: () => {
      const taken = told;
      told = [];
      ringing = new AbortController();
      return taken;
    },
    rung: (ms) => pause(ms, AbortSignal.any([signal, ringing.signal])),
  };
}
