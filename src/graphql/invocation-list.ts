/** Lists of invocations: the connection, its conditions and order, and the field that parents have. */
import type { AttemptErrorCode } from '../domain/attempt.ts';
import type { FailureReason, InvocationStatus } from '../domain/invocation.ts';
import type { InvocationOrder, InvocationParent } from '../store/invocations.ts';
import { builder, type Described } from './builder.ts';
import { defineConnection, pageArgs } from './connection.ts';
import { nestedInvocationFilter } from './filters.ts';
import { InvocationRef } from './refs.ts';
import { DateTimeRange, IntRange, OrderDirection } from './shared.ts';

export const INVOCATION_STATUS = builder.enumType('InvocationStatus', {
  description: 'State of an invocation.',
  values: {
    SCHEDULED: { description: 'Not due yet.' },
    HELD: { description: 'Held because the trigger is paused.' },
    QUEUED: { description: "Due and waiting for a worker or for the trigger's rate or concurrency limit." },
    RUNNING: { description: 'An attempt is in flight.' },
    RETRYING: { description: 'The last attempt failed and another one is planned.' },
    SUCCEEDED: { description: 'A receiver answered 2xx. Final.' },
    FAILED: { description: 'Given up. Final until retried by hand.' },
    CANCELLED: { description: 'Cancelled. Final.' },
  } satisfies Described<InvocationStatus>,
});

export const FAILURE_REASON = builder.enumType('FailureReason', {
  description: 'Why an invocation failed for good.',
  values: {
    RETRIES_EXHAUSTED: { description: 'All attempts were used up.' },
    RECEIVER_GONE: { description: 'The receiver answered 410 Gone.' },
    BLOCKED: { description: "The trigger's URL is not allowed by the egress policy." },
    TRIGGER_REMOVED: { description: 'The trigger was deleted or disabled.' },
    INVALID_REQUEST: { description: 'The request could not be built from the event and trigger.' },
    WORKER_LOST: { description: 'The process that made the attempt died, again and again.' },
  } satisfies Described<FailureReason>,
});

export const ATTEMPT_ERROR_CODE = builder.enumType('AttemptErrorCode', {
  description: "Class of an attempt's failure.",
  values: {
    HTTP_STATUS: { description: 'A status other than 2xx, 3xx, 410 and 429.' },
    REDIRECT: { description: 'A redirect; redirects are never followed.' },
    GONE: { description: '410 Gone.' },
    RATE_LIMITED: { description: '429 Too Many Requests.' },
    TIMEOUT: { description: 'No status line before the deadline.' },
    DNS_NOT_FOUND: { description: 'The name does not exist or has no usable address.' },
    DNS_FAILURE: { description: 'The resolver failed.' },
    CONNECTION_REFUSED: { description: 'The connection was refused.' },
    CONNECTION_RESET: { description: 'The connection was reset or closed early.' },
    NETWORK: { description: 'Any other network error.' },
    TLS: { description: 'The TLS handshake or certificate check failed.' },
    BLOCKED_ADDRESS: { description: 'The egress policy forbids the address.' },
    PROTOCOL: { description: 'The response was not valid HTTP.' },
    WORKER_LOST: { description: 'The worker stopped or vanished.' },
    INVALID_REQUEST: { description: 'The request could not be built.' },
  } satisfies Described<AttemptErrorCode>,
});

export const InvocationFilter = builder.inputType('InvocationFilter', {
  description: 'Conditions on invocations; all given ones must hold.',
  fields: (t) => ({
    project: t.string({ description: 'Only this project.' }),
    triggerId: t.idList({ description: 'Only these triggers.' }),
    eventId: t.id({ description: 'Only this event.' }),
    eventType: t.stringList({ description: 'Only these event types.' }),
    status: t.field({
      type: [INVOCATION_STATUS],
      description: 'Only invocations in one of these states. Dead letters are `[FAILED]`.',
    }),
    failureReason: t.field({
      type: [FAILURE_REASON],
      description: 'Only invocations that failed for one of these reasons.',
    }),
    lastErrorCode: t.field({
      type: [ATTEMPT_ERROR_CODE],
      description: 'Only invocations whose last attempt failed this way.',
    }),
    lastStatusCode: t.field({
      type: IntRange,
      description: 'Only invocations whose last response status lies in this range.',
    }),
    createdAt: t.field({ type: DateTimeRange, description: 'Only invocations created in this interval.' }),
  }),
});

const InvocationOrderInput = builder.inputType('InvocationOrder', {
  description: 'Sort order of invocations.',
  fields: (t) => ({
    field: t.field({
      type: builder.enumType('InvocationOrderField', {
        description: 'Fields invocations can be sorted by.',
        values: {
          CREATED_AT: { description: 'Time of creation.' },
          UPDATED_AT: { description: 'Time of the last change.' },
          NEXT_ATTEMPT_AT: { description: 'Time of the next attempt.' },
        } satisfies Described<InvocationOrder['field']>,
      }),
      required: true,
      description: 'Field to sort by.',
    }),
    direction: t.field({ type: OrderDirection, required: true, description: 'Direction.' }),
  }),
});

export const NEWEST_FIRST = { field: 'CREATED_AT', direction: 'DESC' } as const;

export const InvocationConnection = defineConnection(InvocationRef, {
  edge: 'An edge to an invocation.',
  node: 'The invocation.',
  list: 'A list of invocations.',
  total: 'Number of matching invocations.',
});

export const invocationArgs = builder.args((t) => ({
  filter: t.field({ type: InvocationFilter, description: 'Only matching invocations.' }),
  orderBy: t.field({ type: InvocationOrderInput, defaultValue: NEWEST_FIRST, description: 'Sort order.' }),
  ...pageArgs,
}));

/** The `invocations` field of an event or a trigger. */
export function invocationsField<Parent extends { readonly id: string }>(
  t: PothosSchemaTypes.ObjectFieldBuilder<(typeof builder)['$inferSchemaTypes'], Parent>,
  parent: InvocationParent,
  description: string,
) {
  return t.field({
    type: InvocationConnection,
    scope: 'EVENTS_READ',
    description,
    args: invocationArgs,
    resolve: async ({ id }, { filter: asked, orderBy, ...args }, { loaders }) => {
      const filter = nestedInvocationFilter(asked);
      const page = await loaders.invocationsOf(parent, id, { filter, order: orderBy ?? NEWEST_FIRST, args });
      return { page, count: () => loaders.invocationCountOf(parent, id, filter) };
    },
  });
}
