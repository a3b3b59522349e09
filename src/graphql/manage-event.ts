/** `cancelEvent` and `rescheduleEvent`. */
import { cancelEvent, rescheduleEvent } from '../actions/manage-event.ts';
import type { ManualWriter } from '../actions/manage-invocation.ts';
import { fail, problem, type Result } from '../domain/errors.ts';
import type { EventRow } from '../store/events.ts';
import { builder } from './builder.ts';
import { forgetReads, type GraphqlContext } from './context.ts';
import { visibleEvent } from './event.ts';
import { manualWriter } from './manage-invocation.ts';
import { EventRef } from './refs.ts';
import { type Payload, userErrorsField } from './user-error.ts';
import './scalars.ts';

const CancelEventInput = builder.inputType('CancelEventInput', {
  description: 'An event to cancel.',
  fields: (t) => ({ id: t.id({ required: true, description: 'Id of the event.' }) }),
});

const RescheduleEventInput = builder.inputType('RescheduleEventInput', {
  description: 'An event to move.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'Id of the event.' }),
    timestamp: t.field({
      type: 'Timestamp',
      description: 'New due time before `delay` is added; now by default. A past time is due at once.',
    }),
    delay: t.float({ defaultValue: 0, description: 'Seconds to add.' }),
  }),
});

interface EventPayload extends Payload {
  /** Null where there are problems. */
  readonly event: EventRow | null;
}

function eventField<P extends EventPayload>(
  t: PothosSchemaTypes.ObjectFieldBuilder<(typeof builder)['$inferSchemaTypes'], P>,
) {
  return t.field({
    type: EventRef,
    nullable: true,
    description: 'The event; null when there are errors.',
    resolve: ({ event }) => event,
  });
}

const CancelEventPayload = builder.objectRef<EventPayload & { readonly cancelledCount: number }>(
  'CancelEventPayload',
);
CancelEventPayload.implement({
  description: 'Answer of `cancelEvent`.',
  fields: (t) => ({
    event: eventField(t),
    cancelledCount: t.exposeInt('cancelledCount', { description: 'Invocations that were cancelled.' }),
    userErrors: userErrorsField(t),
  }),
});

const RescheduleEventPayload = builder.objectRef<EventPayload>('RescheduleEventPayload');
RescheduleEventPayload.implement({
  description: 'Answer of `rescheduleEvent`.',
  fields: (t) => ({ event: eventField(t), userErrors: userErrorsField(t) }),
});

builder.mutationFields((t) => ({
  cancelEvent: t.field({
    type: CancelEventPayload,
    scope: 'EVENTS_WRITE',
    description: `Cancel an event's unfinished invocations. One whose attempt is in flight, or just begins, ends with that
attempt.`,
    args: { input: t.arg({ type: CancelEventInput, required: true, description: 'What to cancel.' }) },
    resolve: async (_root, { input: { id } }, context) => {
      const cancelled = await changing(id, context, (writer) => cancelEvent(writer, { id }));
      return cancelled.ok
        ? { ...cancelled.value, problems: [] }
        : { event: null, cancelledCount: 0, problems: cancelled.problems };
    },
  }),
  rescheduleEvent: t.field({
    type: RescheduleEventPayload,
    scope: 'EVENTS_WRITE',
    description: 'Move the due time of an event whose first attempt has not started.',
    args: { input: t.arg({ type: RescheduleEventInput, required: true, description: 'What to move.' }) },
    resolve: async (_root, { input: { id, timestamp, delay } }, context) => {
      const due = { timestamp: timestamp ?? null, delay: delay ?? 0 };
      const moved = await changing(id, context, (writer) => rescheduleEvent(writer, { id, ...due }));
      return moved.ok ? { event: moved.value, problems: [] } : { event: null, problems: moved.problems };
    },
  }),
}));

/** Runs `change` where the caller may see the event. */
async function changing<T>(
  id: string,
  context: GraphqlContext,
  change: (writer: ManualWriter) => Promise<Result<T>>,
): Promise<Result<T>> {
  if (visibleEvent(await context.loaders.event(id), context) === null) {
    return fail(problem('id', 'NOT_FOUND', `no event ${JSON.stringify(id)}`));
  }
  const changed = await change(manualWriter(context));
  forgetReads(context);
  return changed;
}
