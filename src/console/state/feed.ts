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
  /** Rows that wait to be shown on top. */
  readonly waiting: number;
  readonly hasMore: boolean;
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
const STIR_MS = 700;
/** After a connection is made, in ms. */
const AGAIN_MS = [1000, 4000] as const;
/** The net under what is said live, in ms. */
const NET_MS = 15_000;

interface State<Node> {
  readonly rows: readonly Node[] | null;
  readonly waiting: readonly Node[];
  readonly cursor: string | null;
  readonly hasMore: boolean;
  readonly total: Feed<Node>['total'];
}

const NOTHING = { rows: null, waiting: [], cursor: null, hasMore: false, total: null } as const;

export function useFeed<Data, Filter, Node extends Row>(source: FeedSource<Data, Filter, Node>): Feed<Node> {
  const { document, pick, filter, atTop } = source;
  const key = JSON.stringify(filter);
  const [state, setState] = useState<State<Node>>(NOTHING);
  const [failure, setFailure] = useState<Failure | null>(null);
  const current = useRef(key);
  const loading = useRef(false);

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
    if (page === null) return;
    const { nodes, pageInfo, totalCount } = page;
    setState({
      rows: nodes,
      waiting: [],
      cursor: pageInfo.endCursor,
      hasMore: pageInfo.hasNextPage,
      total: totalCount,
    });
  }, [read]);

  useEffect(() => {
    current.current = key;
    void start();
  }, [key, start]);

  const look = useCallback(async (): Promise<void> => {
    const page = await read(PAGE, null);
    if (page === null) return;
    setState((before) => merge(before, page, atTop()));
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

  const loadMore = useCallback(async (): Promise<void> => {
    if (loading.current || !state.hasMore || (state.rows?.length ?? 0) >= MAX_ROWS) return;
    loading.current = true;
    const page = await read(100, state.cursor);
    loading.current = false;
    if (page === null) return;
    setState((before) => ({
      ...before,
      rows: [...(before.rows ?? []), ...without(page.nodes, before.rows ?? [])],
      cursor: page.pageInfo.endCursor,
      hasMore: page.pageInfo.hasNextPage,
    }));
  }, [read, state.cursor, state.hasMore, state.rows]);

  return {
    rows: state.rows,
    total: state.total,
    waiting: state.waiting.length,
    hasMore: state.hasMore && (state.rows?.length ?? 0) < MAX_ROWS,
    failure,
    loadMore: () => void loadMore(),
    showWaiting: useCallback(() => setState(showWaiting), []),
    stir: useThrottled(() => void look(), STIR_MS),
    patch: useCallback((rows: readonly Node[]) => setState((before) => patchRows(before, rows)), []),
  };
}

function merge<Node extends Row>(before: State<Node>, page: Connection<Node>, onTop: boolean): State<Node> {
  const { nodes, pageInfo, totalCount } = page;
  const fresh = { cursor: pageInfo.endCursor, hasMore: pageInfo.hasNextPage, total: totalCount };
  if (before.rows === null) return { rows: nodes, waiting: [], ...fresh };
  const known = new Set([...before.waiting, ...before.rows].map(({ id }) => id));
  const overlaps = nodes.length < PAGE || nodes.some(({ id }) => known.has(id));
  // More came than a page holds: what is between is not there, so the list begins anew from the top.
  if (!overlaps && onTop) return { rows: nodes, waiting: [], ...fresh };
  const added = nodes.filter(({ id }) => !known.has(id));
  const patched = patchRows({ ...before, total: totalCount }, nodes);
  const waiting = [...added, ...patched.waiting].slice(0, 1000);
  return onTop ? showWaiting({ ...patched, waiting }) : { ...patched, waiting };
}

function showWaiting<Node>(before: State<Node>): State<Node> {
  if (before.waiting.length === 0) return before;
  return { ...before, rows: [...before.waiting, ...(before.rows ?? [])], waiting: [] };
}

function patchRows<Node extends Row>(before: State<Node>, newer: readonly Node[]): State<Node> {
  if (before.rows === null) return before;
  const byId = new Map(newer.map((row) => [row.id, row]));
  const swap = (row: Node): Node => byId.get(row.id) ?? row;
  return { ...before, rows: before.rows.map(swap), waiting: before.waiting.map(swap) };
}

function without<Node extends Row>(nodes: readonly Node[], known: readonly Node[]): readonly Node[] {
  const ids = new Set(known.map(({ id }) => id));
  return nodes.filter(({ id }) => !ids.has(id));
}
