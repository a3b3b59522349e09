/** Jobs over many rows: the type, and how far they are. */
import type { BulkOperationKind, BulkOperationStatus } from '../domain/bulk-operation.ts';
import { type Caller, seesProjects } from '../domain/caller.ts';
import {
  askedOf,
  type BulkOperationRow,
  countBulkOperations,
  findBulkOperation,
  listBulkOperations,
} from '../store/bulk-operations.ts';
import type { Database } from '../store/database.ts';
import { isUuid } from '../store/pages.ts';
import { builder, type Described } from './builder.ts';
import { defineConnection, pageArgs } from './connection.ts';

const BULK_OPERATION_KIND = builder.enumType('BulkOperationKind', {
  description: 'Kinds of bulk operation.',
  values: {
    RETRY_INVOCATIONS: { description: '`retryInvocations`.' },
    CANCEL_EVENTS: { description: '`cancelEvents`.' },
    REPLAY_EVENTS: { description: '`replayEvents`.' },
  } satisfies Described<BulkOperationKind>,
});

const BULK_OPERATION_STATUS = builder.enumType('BulkOperationStatus', {
  description: 'State of a bulk operation.',
  values: {
    RUNNING: { description: 'At work.' },
    COMPLETED: { description: 'Done.' },
    FAILED: { description: 'Stopped by an error; what was done stays done.' },
    CANCELLED: { description: 'Stopped by `cancelBulkOperation`; what was done stays done.' },
  } satisfies Described<BulkOperationStatus>,
});

export const BulkOperationRef = builder.objectRef<BulkOperationRow>('BulkOperation');
BulkOperationRef.implement({
  description: 'A job over many rows that runs in the background.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'UUID (version 7).' }),
    kind: t.expose('kind', { type: BULK_OPERATION_KIND, description: 'What it does.' }),
    status: t.expose('status', { type: BULK_OPERATION_STATUS, description: 'State.' }),
    matched: t.expose('matched', {
      type: 'SafeInt',
      nullable: true,
      description: 'Rows that matched when it started; null until counted, and where that takes too long.',
    }),
    processed: t.expose('processed', { type: 'SafeInt', description: 'Rows done.' }),
    skipped: t.expose('skipped', {
      type: 'SafeInt',
      description: `Rows skipped because their state had changed or does not allow it, e.g. as the trigger is paused; of a
replay, because no trigger takes them now, their data were removed, or they would not be accepted any more.`,
    }),
    filter: t.field({
      type: 'JSON',
      description: 'The conditions it was asked for with, and of a replay its `triggerIds`.',
      resolve: (operation, _args, { loaders }) => {
        loaders.budget.spend({ bytes: operation.filter.length });
        return givenConditions(operation);
      },
    }),
    maxPerMinute: t.exposeInt('maxPerMinute', {
      nullable: true,
      description: 'Most rows a minute, where that was asked for.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was requested.' }),
    finishedAt: t.expose('finishedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it ended; null before that.',
    }),
    errorMessage: t.exposeString('errorMessage', {
      nullable: true,
      description: 'Why it FAILED, or why a row was refused, the latest one; for operators.',
    }),
  }),
});

const BulkOperationConnection = defineConnection(BulkOperationRef, {
  edge: 'An edge to a bulk operation.',
  node: 'The bulk operation.',
  list: 'A list of bulk operations.',
  total: 'Number of matching bulk operations.',
});

const BulkOperationFilter = builder.inputType('BulkOperationFilter', {
  description: 'Conditions on bulk operations; all given ones must hold.',
  fields: (t) => ({
    kind: t.field({ type: [BULK_OPERATION_KIND], description: 'Only these kinds.' }),
    status: t.field({ type: [BULK_OPERATION_STATUS], description: 'Only those in one of these states.' }),
  }),
});

builder.queryFields((t) => ({
  bulkOperation: t.field({
    type: BulkOperationRef,
    nullable: true,
    scope: 'EVENTS_READ',
    description: 'A bulk operation by id.',
    args: { id: t.arg.id({ required: true, description: 'Id of the operation.' }) },
    resolve: (_root, { id }, { services: { db }, caller }) => visibleOperation(id, db, caller),
  }),
  bulkOperations: t.field({
    type: BulkOperationConnection,
    scope: 'EVENTS_READ',
    description: 'Bulk operations, newest first. They are kept for 30 days after their end.',
    args: {
      filter: t.arg({ type: BulkOperationFilter, description: 'Only matching operations.' }),
      ...pageArgs,
    },
    resolve: async (_root, { filter: asked, ...args }, { services: { db }, caller, loaders }) => {
      const filter = { ...asked, projects: caller.projects };
      const page = await listBulkOperations(db, filter, args);
      loaders.budget.spend({ rows: page.edges.length });
      return { page, count: () => countBulkOperations(db, filter) };
    },
  }),
}));

/** The operation, if the caller may see it. */
export async function visibleOperation(
  id: string,
  db: Database,
  caller: Caller,
): Promise<BulkOperationRow | null> {
  const operation = isUuid(id) ? await findBulkOperation(db, id) : null;
  return operation !== null && seesProjects(caller, operation.projects) ? operation : null;
}

/** Those that the caller gave: which projects it may see is no condition of its own. */
function givenConditions(operation: BulkOperationRow): object {
  const { projects: _, ...conditions } = askedOf(operation).filter;
  return Object.fromEntries(Object.entries(conditions).filter(([, value]) => value != null));
}
