/** Connections after the Relay Cursor Connections specification, made by hand over `store/pages.ts`. */
import type { ObjectRef } from '@pothos/core';
import type { CappedCount, Edge, Page } from '../store/pages.ts';
import { builder } from './builder.ts';

export interface Connection<Row> {
  readonly page: Page<Row>;
  /** Called only where `totalCount` is asked for. */
  readonly count: () => Promise<CappedCount>;
}

/** The arguments every connection takes. */
export const pageArgs = builder.args((t) => ({
  first: t.int({ description: 'Forward page size, at most 100.' }),
  after: t.string({ description: 'Continue after this cursor.' }),
  last: t.int({ description: 'Backward page size, at most 100.' }),
  before: t.string({ description: 'Continue before this cursor.' }),
}));

export interface ConnectionWords {
  /** E.g. `An edge to an event.` */
  readonly edge: string;
  /** E.g. `The event.` */
  readonly node: string;
  /** E.g. `A list of events.` */
  readonly list: string;
  /** E.g. `Number of matching events.` */
  readonly total: string;
}

/** Defines `<Node>Edge` and `<Node>Connection`. */
export function defineConnection<Row extends object>(
  node: ObjectRef<(typeof builder)['$inferSchemaTypes'], Row>,
  words: ConnectionWords,
) {
  const edge = builder.objectRef<Edge<Row>>(`${node.name}Edge`);
  edge.implement({
    description: words.edge,
    fields: (t) => ({
      node: t.field({ type: node, description: words.node, resolve: (parent) => parent.node as never }),
      cursor: t.exposeString('cursor', { description: 'Its position.' }),
    }),
  });
  const connection = builder.objectRef<Connection<Row>>(`${node.name}Connection`);
  connection.implement({
    description: words.list,
    fields: (t) => ({
      edges: t.field({
        type: [edge],
        description: 'Edges of this page.',
        resolve: ({ page }) => page.edges as never,
      }),
      nodes: t.field({
        type: [node],
        description: 'Nodes of this page, a shortcut past the edges.',
        resolve: ({ page }) => page.edges.map((one) => one.node) as never,
      }),
      pageInfo: t.field({ type: PageInfo, description: 'Paging information.', resolve: ({ page }) => page }),
      totalCount: t.field({ type: Count, description: words.total, resolve: ({ count }) => count() }),
    }),
  });
  return connection;
}

const PageInfo = builder.objectRef<Page<unknown>>('PageInfo');
PageInfo.implement({
  description: 'Information about a page of a connection (Relay Cursor Connections).',
  fields: (t) => ({
    hasNextPage: t.exposeBoolean('hasNextPage', {
      description: 'Whether more edges exist after the last one of this page.',
    }),
    hasPreviousPage: t.exposeBoolean('hasPreviousPage', {
      description: 'Whether more edges exist before the first one of this page.',
    }),
    startCursor: t.string({
      nullable: true,
      description: 'Cursor of the first edge of this page; null on an empty page.',
      resolve: ({ edges }) => edges[0]?.cursor ?? null,
    }),
    endCursor: t.string({
      nullable: true,
      description: 'Cursor of the last edge of this page; null on an empty page.',
      resolve: ({ edges }) => edges.at(-1)?.cursor ?? null,
    }),
  }),
});

const Count = builder.objectRef<CappedCount>('CappedCount');
Count.implement({
  description: 'A number of matching rows that is counted at most up to a cap, so that listing stays cheap.',
  fields: (t) => ({
    value: t.exposeInt('value', { description: 'The number of rows, or the cap.' }),
    capped: t.exposeBoolean('capped', {
      description: 'True when counting stopped at the cap; read as `value or more`.',
    }),
  }),
});
