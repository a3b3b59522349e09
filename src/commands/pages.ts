/** Lists of the API, page by page. */
import type { Connection } from './connection.ts';

interface Page<Node> {
  readonly nodes: readonly Node[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

const PAGE_SIZE = 100;

/**
 * Pages of the query's one field, `limit` nodes in all; the first one comes even if it is empty. The query takes
 * `$first` and `$after`, and asks for `nodes` and `pageInfo { hasNextPage endCursor }`.
 */
export async function* pages<Node>(
  connection: Connection,
  query: string,
  variables: object,
  limit: number,
): AsyncGenerator<readonly Node[], void, undefined> {
  let after: string | null = null;
  let left = limit;
  for (;;) {
    const first = Math.min(left, PAGE_SIZE);
    const answer: Record<string, Page<Node>> = await connection.ask(query, { ...variables, first, after });
    const [page] = Object.values(answer);
    if (page === undefined) return;
    yield page.nodes;
    left -= page.nodes.length;
    after = page.pageInfo.endCursor;
    if (!page.pageInfo.hasNextPage || left <= 0) return;
  }
}
