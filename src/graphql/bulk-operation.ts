/** Jobs over many rows: `retryInvocations`, `cancelEvents`, and how far they are. */
import { startBulkOperation } from '../actions/bulk-operations.ts';
import {
  type BulkOperationKind,
  type BulkOperationStatus,
  MAX_RETRIES_PER_MINUTE,
} from '../domain/bulk-operation.ts';
import { seesProjects } from '../domain/caller.ts';
import { type BulkOperationRow, findBulkOperation, type NewBulkOperation } from '../store/bulk-operations.ts';
import { isUuid } from '../store/pages.ts';
import { builder, type Described } from './builder.ts';
import type { GraphqlContext } from './context.ts';
import { EventFilter } from './event.ts';
import { eventFilter, invocationFilter } from './filters.ts';
import { InvocationFilter } from './invocation-list.ts';
import { type Payload, userErrorsField } from './user-error.ts';

const BULK_OPERATION_KIND = builder.enumType('BulkOperationKind', {
  description: 'Kinds of bulk operation.',
  values: {
    RETRY_INVOCATIONS: { description: '`retryInvocations`.' },
    CANCEL_EVENTS: { description: '`cancelEvents`.' },
  } satisfies Described<BulkOperationKind>,
});

const BULK_OPERATION_STATUS = builder.enumType('BulkOperationStatus', {
  description: 'State of a bulk operation.',
  values: {
    RUNNING: { description: 'At work.' },
    COMPLETED: { description: 'Done.' },
    FAILED: { description: 'Stopped by an error; safe to request again.' },
  } satisfies Described<BulkOperationStatus>,
});

const BulkOperationRef = builder.objectRef<BulkOperationRow>('BulkOperation');
BulkOperationRef.implement({
  description: 'A job over many rows that runs in the background.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'UUID (version 7).' }),
    kind: t.expose('kind', { type: BULK_OPERATION_KIND, description: 'What it does.' }),
    status: t.expose('status', { type: BULK_OPERATION_STATUS, description: 'State.' }),
    matched: t.expose('matched', {
      type: 'SafeInt',
      nullable: true,
      description: 'Rows that matched when it started; null until counted.',
    }),
    processed: t.expose('processed', { type: 'SafeInt', description: 'Rows done.' }),
    skipped: t.expose('skipped', {
      type: 'SafeInt',
      description:
        'Rows skipped because their state had changed, or does not allow it, e.g. as the trigger is paused.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was requested.' }),
    finishedAt: t.expose('finishedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it ended; null before that.',
    }),
  }),
});

const RetryInvocationsInput = builder.inputType('RetryInvocationsInput', {
  description: 'Invocations to retry.',
  fields: (t) => ({
    filter: t.field({
      type: InvocationFilter,
      required: true,
      description: 'Which ones; status FAILED is implied. At least one further condition is required.',
    }),
    maxPerMinute: t.int({
      description: `Most retries to start per minute, 1 to ${MAX_RETRIES_PER_MINUTE}; null lets the server choose.`,
    }),
  }),
});

const CancelEventsInput = builder.inputType('CancelEventsInput', {
  description: 'Events to cancel.',
  fields: (t) => ({
    filter: t.field({
      type: EventFilter,
      required: true,
      description: 'At least one condition is required.',
    }),
  }),
});

interface BulkOperationPayload extends Payload {
  readonly bulkOperation: BulkOperationRow | null;
}

const BulkOperationPayloadRef = builder.objectRef<BulkOperationPayload>('BulkOperationPayload');
BulkOperationPayloadRef.implement({
  description: 'Answer of mutations that start a bulk operation.',
  fields: (t) => ({
    bulkOperation: t.expose('bulkOperation', {
      type: BulkOperationRef,
      nullable: true,
      description: 'The operation; null when there are errors.',
    }),
    userErrors: userErrorsField(t),
  }),
});

builder.mutationFields((t) => ({
  retryInvocations: t.field({
    type: BulkOperationPayloadRef,
    scope: 'EVENTS_RETRY',
    description: 'Retry every matching failed invocation, spread over time, in the background.',
    args: { input: t.arg({ type: RetryInvocationsInput, required: true, description: 'What to retry.' }) },
    resolve: (_root, { input }, context) =>
      begin(context, {
        kind: 'RETRY_INVOCATIONS',
        filter: invocationFilter(context.caller, input.filter),
        projects: context.caller.projects,
        maxPerMinute: input.maxPerMinute ?? null,
      }),
  }),
  cancelEvents: t.field({
    type: BulkOperationPayloadRef,
    scope: 'EVENTS_WRITE',
    description: 'Cancel every matching unfinished event, in the background.',
    args: { input: t.arg({ type: CancelEventsInput, required: true, description: 'What to cancel.' }) },
    resolve: (_root, { input }, context) =>
      begin(context, {
        kind: 'CANCEL_EVENTS',
        filter: eventFilter(context.caller, input.filter),
        projects: context.caller.projects,
        maxPerMinute: null,
      }),
  }),
}));

builder.queryFields((t) => ({
  bulkOperation: t.field({
    type: BulkOperationRef,
    nullable: true,
    scope: 'EVENTS_READ',
    description: 'A bulk operation by id.',
    args: { id: t.arg.id({ required: true, description: 'Id of the operation.' }) },
    resolve: async (_root, { id }, { services: { db }, caller }) => {
      const operation = isUuid(id) ? await findBulkOperation(db, id) : null;
      return operation !== null && seesProjects(caller, operation.projects) ? operation : null;
    },
  }),
}));

async function begin(
  { services: { db, bulk }, caller }: GraphqlContext,
  asked: NewBulkOperation,
): Promise<BulkOperationPayload> {
  const started = await startBulkOperation({ db, runner: bulk, actor: caller }, asked);
  return started.ok
    ? { bulkOperation: started.value, problems: [] }
    : { bulkOperation: null, problems: started.problems };
}
