/**
 * A list that grows at both ends: older rows come by keyset cursor as they are scrolled to, newer ones as they happen.
 * New rows are put on top only while somebody looks at the top; otherwise they wait, and the list says how many.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { Connection, Document } from '../api/document.ts';
import { ask, Failure } from './ask.ts';
import { reconnects } from './connection.ts';
import { useThrottled } from './hooks.ts';

interface Row {
  readonly id: string;
}

export interface FeedSource<Data, Filter, Node extends Row> {
  readonly document: Document<Data, { filter: Filter; first: number; after: string | null }>;
  readonly pick: (data: Data) => Connection<Node>;
  readonly filter: Filter;
  /** Whether the top of the list is in view. */
  readonly atTop: () => boolean;
}

export interface Feed<Node> {
  /** Null until the first answer. */
  readonly rows: readonly Node[] | null;
  readonly total: { readonly value: number; readonly capped: boolean } | null;
  /** Rows that wait to be shown on top; `capped` where there are more of them than were read. */
  readonly waiting: { readonly value: number; readonly capped: boolean };
  readonly hasMore: boolean;
  /** The list is as long as it gets, and there is more to see. */
  readonly full: boolean;
  readonly failure: Failure | null;
  readonly loadMore: () => void;
  readonly showWaiting: () => void;
  /** Something new may be at the top: look soon. */
  readonly stir: () => void;
  /** Takes newer versions of rows that are shown. */
  readonly patch: (rows: readonly Node[]) => void;
}

const PAGE = 50;
/** Rows kept in the page. Who needs to look further back filters by time. */
const MAX_ROWS = 20_000;
/** Rows that wait at most, to be put on top of what is being read. */
const MAX_WAITING = 1000;
const STIR_MS = 700;
/** After a connection is made, in ms. */
const AGAIN_MS = [1000, 4000] as const;
/** The net under what is said live, in ms. */
const NET_MS = 15_000;

/** Where the rows below a list's last one are read from. */
interface End {
  readonly cursor: string | null;
  readonly hasMore: boolean;
}

interface List<Node> extends End {
  /** The filter that the rows are an answer to. */
  readonly key: string;
  readonly rows: readonly Node[];
  readonly waiting: readonly Node[];
  /** How many have come to wait, those that were let go of included. */
  readonly waited: number;
  /**
   * Set where more came than was read, so that rows are missing between those that wait and those that are shown, or
   * where the list would grow too long: it then begins anew with what waits, without a gap, and goes on here.
   */
  readonly anew: End | null;
  readonly total: Feed<Node>['total'];
}

const NOBODY_WAITS = { waiting: [], waited: 0, anew: null } as const;

export function useFeed<Data, Filter, Node extends Row>(source: FeedSource<Data, Filter, Node>): Feed<Node> {
  const { document, pick, filter, atTop } = source;
  const key = JSON.stringify(filter);
  /** Null until the first answer. */
  const [list, setList] = useState<List<Node> | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const current = useRef(key);
  /** The cursor after which more is being read. */
  const loading = useRef<string | null>(null);
  const looking = useRef({ now: false, again: false });

  const read = useCallback(
    async (first: number, after: string | null): Promise<Connection<Node> | null> => {
      const asked = current.current;
      try {
        const connection = pick(await ask(document, { filter: JSON.parse(asked), first, after }));
        setFailure(null);
        return asked === current.current ? connection : null;
      } catch (error) {
        if (error instanceof Failure) setFailure(error);
        return null;
      }
    },
    [document, pick],
  );

  const start = useCallback(async (): Promise<void> => {
    const page = await read(PAGE, null);
    if (page !== null) setList(listOf(current.current, page));
  }, [read]);

  useEffect(() => {
    current.current = key;
    void start();
  }, [key, start]);

  /** One at a time: an answer that came late would put older rows above newer ones. */
  const look = useCallback(async (): Promise<void> => {
    looking.current.again = looking.current.now;
    if (looking.current.now) return;
    looking.current.now = true;
    do {
      looking.current.again = false;
      const page = await read(PAGE, null);
      const asked = current.current;
      if (page === null) continue;
      setList((before) => (before?.key === asked ? merge(before, page, atTop()) : listOf(asked, page)));
    } while (looking.current.again);
    looking.current.now = false;
  }, [read, atTop]);

  // A subscription stands a moment after the connection does: what happens in between is found by looking again.
  const connected = reconnects.value;
  useEffect(() => {
    const again = [...(connected > 0 ? [0] : []), ...AGAIN_MS].map((ms) => setTimeout(() => void look(), ms));
    const net = setInterval(() => void look(), NET_MS);
    return () => {
      again.forEach(clearTimeout);
      clearInterval(net);
    };
  }, [connected, look]);
  // Asked again until Herald is back, where it was away from the start.
  useEffect(() => {
    if (failure?.code !== 'UNREACHABLE' && failure?.code !== 'UNAVAILABLE') return;
    const timer = setTimeout(() => void look(), 1000);
    return () => clearTimeout(timer);
  }, [failure, look]);

  const isFull = (list?.rows.length ?? 0) >= MAX_ROWS;
  const loadMore = useCallback(async (): Promise<void> => {
    if (list === null || !list.hasMore || isFull) return;
    const { cursor: after, key: of } = list;
    if (loading.current === after) return;
    loading.current = after;
    const page = await read(100, after);
    if (loading.current === after) loading.current = null;
    if (page === null) return;
    setList((before) => {
      // The list has begun anew meanwhile: these do not follow its last row.
      if (before?.cursor !== after || before.key !== of) return before;
      const { rows } = before;
      return { ...before, rows: [...rows, ...without(page.nodes, rows)], ...endOf(page) };
    });
  }, [read, list, isFull]);

  const more = list?.hasMore ?? false;
  return {
    rows: list?.rows ?? null,
    total: list?.total ?? null,
    waiting: { value: list?.waited ?? 0, capped: (list?.anew ?? null) !== null },
    hasMore: more && !isFull,
    full: more && isFull,
    failure,
    loadMore: () => void loadMore(),
    showWaiting: useCallback(() => setList((before) => before && showWaiting(before)), []),
    stir: useThrottled(() => void look(), STIR_MS),
    patch: useCallback((rows: readonly Node[]) => setList((before) => before && patchRows(before, rows)), []),
  };
}

function listOf<Node>(key: string, page: Connection<Node>): List<Node> {
  return { key, rows: page.nodes, ...NOBODY_WAITS, ...endOf(page), total: page.totalCount };
}

function merge<Node extends Row>(before: List<Node>, page: Connection<Node>, onTop: boolean): List<Node> {
  const { nodes, totalCount: total } = page;
  const known = new Set([...before.waiting, ...before.rows].map(({ id }) => id));
  const added = nodes.filter(({ id }) => !known.has(id));
  const waited = before.waited + added.length;
  const patched = { ...patchRows(before, nodes), waited, total };
  if (added.length === 0) return onTop ? showWaiting(patched) : patched;
  const follows = nodes.length < PAGE || added.length < nodes.length;
  const waiting = before.waiting.length + added.length;
  const room = waiting <= MAX_WAITING && before.rows.length + waiting <= MAX_ROWS;
  const merged =
    follows && room
      ? { ...patched, waiting: [...added, ...patched.waiting] }
      : { ...patched, waiting: nodes, anew: endOf(page) };
  return onTop ? showWaiting(merged) : merged;
}

function showWaiting<Node>(before: List<Node>): List<Node> {
  const { waiting, anew, rows } = before;
  if (anew !== null) return { ...before, rows: waiting, ...NOBODY_WAITS, ...anew };
  if (waiting.length === 0) return before;
  return { ...before, rows: [...waiting, ...rows], ...NOBODY_WAITS };
}

function endOf({ pageInfo }: Pick<Connection<unknown>, 'pageInfo'>): End {
  return { cursor: pageInfo.endCursor, hasMore: pageInfo.hasNextPage };
}

function patchRows<Node extends Row>(before: List<Node>, newer: readonly Node[]): List<Node> {
  const byId = new Map(newer.map((row) => [row.id, row]));
  const swap = (row: Node): Node => byId.get(row.id) ?? row;
  return { ...before, rows: before.rows.map(swap), waiting: before.waiting.map(swap) };
}

function without<Node extends Row>(nodes: readonly Node[], known: readonly Node[]): readonly Node[] {
  const ids = new Set(known.map(({ id }) => id));
  return nodes.filter(({ id }) => !ids.has(id));
}
