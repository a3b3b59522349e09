/** `retryInvocations`, `cancelEvents`, `replayEvents`, and `cancelBulkOperation`. */
import { cancelBulkOperation, startBulkOperation } from '../actions/bulk-operations.ts';
import { MAX_ROWS_PER_MINUTE, SCOPE_OF_BULK } from '../domain/bulk-operation.ts';
import { mayCaller } from '../domain/caller.ts';
import { AppError, type Problem, problem, type Result } from '../domain/errors.ts';
import type { BulkOperationRow, NewBulkOperation } from '../store/bulk-operations.ts';
import { isUuid } from '../store/pages.ts';
import type { TriggerRow } from '../store/triggers.ts';
import { builder } from './builder.ts';
import { BulkOperationRef, visibleOperation } from './bulk-operation.ts';
import type { GraphqlContext } from './context.ts';
import { EventFilter } from './event.ts';
import { eventFilter, invocationFilter } from './filters.ts';
import { InvocationFilter } from './invocation-list.ts';
import { visible } from './trigger.ts';
import { type Payload, userErrorsField } from './user-error.ts';

/** Triggers that a replay may name. */
const MAX_TARGETS = 100;

const RetryInvocationsInput = builder.inputType('RetryInvocationsInput', {
  description: 'Invocations to retry.',
  fields: (t) => ({
    filter: t.field({
      type: InvocationFilter,
      required: true,
      description: 'Which ones; status FAILED is implied. At least one further condition is required.',
    }),
    maxPerMinute: t.int({
      description: `Most retries to start per minute, 1 to ${MAX_ROWS_PER_MINUTE}; null lets the server choose.`,
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

const ReplayEventsInput = builder.inputType('ReplayEventsInput', {
  description: 'Events to replay.',
  fields: (t) => ({
    filter: t.field({
      type: EventFilter,
      required: true,
      description: 'Which ones. At least one condition is required.',
    }),
    triggerIds: t.idList({
      description: 'Only for these triggers, 1 to 100; null means every trigger that matches now.',
    }),
    maxPerMinute: t.int({
      description: `Most events to queue per minute, 1 to ${MAX_ROWS_PER_MINUTE}; null lets the server choose.`,
    }),
  }),
});

const CancelBulkOperationInput = builder.inputType('CancelBulkOperationInput', {
  description: 'A bulk operation to stop.',
  fields: (t) => ({ id: t.id({ required: true, description: 'Id of the operation.' }) }),
});

interface BulkOperationPayload extends Payload {
  readonly bulkOperation: BulkOperationRow | null;
}

const BulkOperationPayloadRef = builder.objectRef<BulkOperationPayload>('BulkOperationPayload');
BulkOperationPayloadRef.implement({
  description: 'Answer of mutations that start or stop a bulk operation.',
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
    scope: SCOPE_OF_BULK.RETRY_INVOCATIONS,
    description: 'Retry every matching failed invocation, spread over time, in the background.',
    args: { input: t.arg({ type: RetryInvocationsInput, required: true, description: 'What to retry.' }) },
    resolve: async (_root, { input }, context) => {
      const { triggerId, eventId } = input.filter;
      const problems = [
        ...checkIds('triggerId', triggerId),
        ...checkIds('eventId', eventId == null ? null : [eventId]),
      ];
      if (problems.length > 0) return { bulkOperation: null, problems };
      return begin(context, {
        kind: 'RETRY_INVOCATIONS',
        filter: invocationFilter(context.caller, input.filter),
        projects: context.caller.projects,
        maxPerMinute: input.maxPerMinute ?? null,
      });
    },
  }),
  cancelEvents: t.field({
    type: BulkOperationPayloadRef,
    scope: SCOPE_OF_BULK.CANCEL_EVENTS,
    description: 'Cancel every matching unfinished event, in the background.',
    args: { input: t.arg({ type: CancelEventsInput, required: true, description: 'What to cancel.' }) },
    resolve: async (_root, { input }, context) => {
      const problems = checkIds('id', input.filter.id);
      if (problems.length > 0) return { bulkOperation: null, problems };
      return begin(context, {
        kind: 'CANCEL_EVENTS',
        filter: eventFilter(context.caller, input.filter),
        projects: context.caller.projects,
        maxPerMinute: null,
      });
    },
  }),
  replayEvents: t.field({
    type: BulkOperationPayloadRef,
    scope: SCOPE_OF_BULK.REPLAY_EVENTS,
    description: `Queue copies of past events for the triggers that match now: new events, new invocations, new \`webhook-id\`s,
due now. Events that no trigger matches now, or whose data retention removed, are skipped. Copies are not copied again,
unless they are named by \`id\`. Runs in the background.`,
    args: { input: t.arg({ type: ReplayEventsInput, required: true, description: 'What to replay.' }) },
    resolve: async (_root, { input }, context) => {
      const triggerIds = input.triggerIds ?? null;
      const problems = [
        ...checkIds('id', input.filter.id),
        ...(await checkTargets(triggerIds, input.filter, context)),
      ];
      if (problems.length > 0) return { bulkOperation: null, problems };
      return begin(context, {
        kind: 'REPLAY_EVENTS',
        filter: { ...eventFilter(context.caller, input.filter), triggerIds },
        projects: context.caller.projects,
        maxPerMinute: input.maxPerMinute ?? null,
      });
    },
  }),
  cancelBulkOperation: t.field({
    type: BulkOperationPayloadRef,
    scope: [...new Set(Object.values(SCOPE_OF_BULK))],
    description:
      'Stop a bulk operation where it is; what was done stays done. The scope is the one that starting it needs.',
    args: {
      input: t.arg({ type: CancelBulkOperationInput, required: true, description: 'What to stop.' }),
    },
    resolve: async (_root, { input: { id } }, { services: { db }, caller }) => {
      const operation = await visibleOperation(id, db, caller);
      if (operation === null) {
        const problems = [problem('id', 'NOT_FOUND', `no bulk operation ${JSON.stringify(id)}`)];
        return { bulkOperation: null, problems };
      }
      const scope = SCOPE_OF_BULK[operation.kind];
      if (!mayCaller(caller, scope)) {
        const message = `stopping ${operation.kind} needs a token with scope ${scope}`;
        throw new AppError('FORBIDDEN', message, { scope });
      }
      return toPayload(await cancelBulkOperation({ db, actor: caller }, id));
    },
  }),
}));

/** A list leaves out what is no id; where something is done, it must not go unnoticed. */
function checkIds(condition: string, ids: readonly string[] | null | undefined): readonly Problem[] {
  return (ids ?? []).flatMap((id, index) =>
    isUuid(id)
      ? []
      : [
          problem(
            ['filter', condition, ...(condition === 'eventId' ? [] : [String(index)])],
            'INVALID',
            `expected a UUID, got ${JSON.stringify(id)}`,
          ),
        ],
  );
}

interface Wanted {
  readonly type?: readonly string[] | null | undefined;
  readonly project?: string | null | undefined;
}

/** What the caller may not see, it may not name either; and one of them must be able to take what is asked for. */
async function checkTargets(
  triggerIds: readonly string[] | null,
  { type: types, project }: Wanted,
  context: GraphqlContext,
): Promise<readonly Problem[]> {
  if (triggerIds === null) return [];
  if (triggerIds.length === 0 || triggerIds.length > MAX_TARGETS) {
    const message = `expected 1 to ${MAX_TARGETS} triggerIds, got ${triggerIds.length}`;
    return [problem('triggerIds', triggerIds.length === 0 ? 'REQUIRED' : 'TOO_LARGE', message)];
  }
  const found = await Promise.all(
    triggerIds.map(async (id) => visible(await context.loaders.trigger(id), context)),
  );
  const problems = triggerIds.flatMap((id, index) =>
    found[index] === null
      ? [problem(['triggerIds', String(index)], 'NOT_FOUND', `no trigger ${JSON.stringify(id)}`)]
      : [],
  );
  const triggers = found.filter((one) => one !== null);
  const fits = (one: TriggerRow) =>
    (types == null || types.includes(one.type)) && (project == null || project === one.project);
  if (problems.length > 0 || triggers.some(fits)) return problems;
  const taken = new Set(triggers.map((one) => `${JSON.stringify(one.type)} of ${one.project}`));
  const message = `expected triggers for what is asked for, these take ${[...taken].join(', ')}`;
  return [problem('triggerIds', 'INVALID', message)];
}

async function begin(
  { services: { db, bulk }, caller }: GraphqlContext,
  asked: NewBulkOperation,
): Promise<BulkOperationPayload> {
  return toPayload(await startBulkOperation({ db, runner: bulk, actor: caller }, asked));
}

function toPayload(result: Result<BulkOperationRow>): BulkOperationPayload {
  return result.ok
    ? { bulkOperation: result.value, problems: [] }
    : { bulkOperation: null, problems: result.problems };
}
