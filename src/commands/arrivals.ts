/** Events as they are accepted, of every type, with a trigger or without. */
import type { Connection } from './connection.ts';
import { type FollowOptions, follow, type Placed } from './follow.ts';
import { pages } from './pages.ts';

/** An event that was accepted; what it holds is read when it is due. */
export interface Arrival {
  readonly id: string;
  readonly receivedAt: string;
  readonly dueAt: string;
}

export interface ArrivalFilter {
  readonly project: string | null;
  readonly type: readonly string[] | null;
}

interface Activity extends Placed {
  readonly kind: 'EVENT_QUEUED' | 'EVENT_UNMATCHED' | 'RESYNC';
  /** Null where it is no longer there. */
  readonly event: Arrival | null;
}

type Before = Pick<Arrival, 'id' | 'receivedAt'>;

interface Beginning {
  readonly changeCursor: string;
  readonly events: { readonly nodes: readonly Before[] };
}

/** Where updates were missed, the list is read back as far as this: it is not in the order of commits. */
const OVERLAP_MS = 60_000;
/** Ids remembered, so that none comes twice: more than are told of twice. */
const REMEMBERED = 50_000;

const FIELDS = 'id receivedAt dueAt';

/**
 * Events accepted from now on, each once, in the order of their commits; before them those that are scheduled already.
 * Resolves when none can be missed any more. Errors: ApiError where trying again cannot help.
 */
export async function openArrivals(
  connection: Connection,
  filter: ArrivalFilter,
  { signal, onLink }: Pick<FollowOptions, 'signal' | 'onLink'>,
): Promise<AsyncGenerator<Arrival, void, undefined>> {
  const isNew = createMemory();
  const { changeCursor: after, events } = await connection.ask<Beginning>(
    '{ changeCursor events(first: 1) { nodes { id receivedAt } } }',
  );
  // The last one that is none of ours. Its time is the server's, as our clock may be off.
  const [before] = events.nodes;

  async function* watch(): AsyncGenerator<Arrival, void, undefined> {
    let newest = before?.receivedAt ?? null;
    for await (const page of list(connection, { ...filter, status: ['SCHEDULED'] })) {
      yield* page.filter(isNew);
    }
    const activities = follow<Activity>(connection, {
      query: `subscription ($filter: ActivityFilter, $after: String) {
        liveTail(filter: $filter, after: $after) { cursor kind event { ${FIELDS} } }
      }`,
      variables: {
        filter: {
          project: filter.project,
          eventType: filter.type,
          kind: ['EVENT_QUEUED', 'EVENT_UNMATCHED'],
        },
      },
      ...{ after, signal, onLink },
    });
    for await (const { kind, event } of activities) {
      if (kind === 'RESYNC') {
        const receivedAt = lookBack(newest, before);
        for await (const page of list(connection, { ...filter, receivedAt })) {
          yield* page.filter((arrival) => arrival.id !== before?.id && isNew(arrival));
        }
      } else if (event !== null) {
        newest = event.receivedAt;
        if (isNew(event)) yield event;
      }
    }
  }

  return watch();
}

/** Not behind the beginning: what was accepted before it is none of ours. */
function lookBack(newest: string | null, before: Before | undefined): { readonly from: string } | null {
  if (newest === null) return null;
  const from = Math.max(Date.parse(newest) - OVERLAP_MS, Date.parse(before?.receivedAt ?? '1970-01-01'));
  return { from: new Date(from).toISOString() };
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
