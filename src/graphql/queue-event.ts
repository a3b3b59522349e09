/** `queueEvent` and `queueEvents`. */
import { fail, type Problem, problem, type Result } from '../domain/errors.ts';
import { MAX_BATCH_SIZE, type NewEvent } from '../domain/event.ts';
import { DEFAULT_PROJECT } from '../domain/trigger.ts';
import type { QueuedEvent } from '../store/events.ts';
import { builder } from './builder.ts';
import type { GraphqlContext } from './context.ts';
import { type EventAsked, toNewEvent } from './new-event.ts';
import { EventRef } from './refs.ts';
import { type Payload, userErrorsField } from './user-error.ts';
import './scalars.ts';

const QueueEventInput = builder.inputType('QueueEventInput', {
  description: 'An event to queue.',
  fields: (t) => ({
    type: t.string({
      required: true,
      description: 'The CloudEvents `type`, 1 to 255 characters without control characters. Matched exactly.',
    }),
    data: t.field({ type: 'JSON', description: 'The payload. Absent and null both deliver `"data": null`.' }),
    dataText: t.string({
      description: 'The payload as JSON text, delivered byte for byte. Exclusive with `data`.',
    }),
    delay: t.float({ defaultValue: 0, description: 'Seconds to wait after `timestamp`, fractions allowed.' }),
    timestamp: t.field({
      type: 'Timestamp',
      description:
        'When delivery is due before `delay` is added; now by default. A past time is due at once.',
    }),
    project: t.string({ defaultValue: DEFAULT_PROJECT, description: 'Project of the event.' }),
    source: t.string({
      description: "The CloudEvents `source`, a URI reference; the server's own by default.",
    }),
    idempotencyKey: t.string({
      description: `Makes the call repeatable: within 24 hours the same key and payload return the first event instead of
queueing another one. 1 to 255 visible ASCII characters.`,
    }),
    traceparent: t.string({
      description: "W3C `traceparent` to continue; the request's own header by default.",
    }),
  }),
});

const QueueEventsInput = builder.inputType('QueueEventsInput', {
  description: 'Events to queue.',
  fields: (t) => ({
    events: t.field({ type: [QueueEventInput], required: true, description: '1 to 1000 events.' }),
  }),
});

interface QueueEventPayload extends Payload {
  readonly queued: QueuedEvent | null;
  readonly duplicate: boolean;
}

const QueueEventPayload = builder.objectRef<QueueEventPayload>('QueueEventPayload');
QueueEventPayload.implement({
  description: 'Answer of `queueEvent`.',
  fields: (t) => ({
    event: t.field({
      type: EventRef,
      nullable: true,
      description: 'The stored event; null when there are errors.',
      resolve: ({ queued }, _args, { readQueued }) => queued && (queued.event ?? readQueued(queued.eventId)),
    }),
    duplicate: t.exposeBoolean('duplicate', {
      description: 'True when the idempotency key matched an earlier call.',
    }),
    userErrors: userErrorsField(t),
  }),
});

interface QueueEventsPayload extends Payload {
  readonly queued: readonly QueuedEvent[] | null;
}

const QueueEventsPayload = builder.objectRef<QueueEventsPayload>('QueueEventsPayload');
QueueEventsPayload.implement({
  description: 'Answer of `queueEvents`.',
  fields: (t) => ({
    events: t.field({
      type: [EventRef],
      nullable: true,
      description: 'The stored events in input order; null when there are errors.',
      resolve: ({ queued }, _args, { loaders }) =>
        queued && Promise.all(queued.map(({ event, eventId }) => event ?? stored(eventId, loaders))),
    }),
    userErrors: userErrorsField(t),
  }),
});

builder.mutationFields((t) => ({
  queueEvent: t.field({
    type: QueueEventPayload,
    scope: 'EVENTS_WRITE',
    description: 'Queue one event. The answer comes after the event is durably stored.',
    args: { input: t.arg({ type: QueueEventInput, required: true, description: 'What to queue.' }) },
    resolve: async (_root, { input }, context) => {
      const queued = await andThen(toNewEvent(input, context), (event) =>
        context.services.queue.queueEvent(event),
      );
      if (!queued.ok)
        return { queued: null, duplicate: false, problems: queued.problems.map(asAsked(input)) };
      return { queued: queued.value, duplicate: queued.value.outcome === 'DUPLICATE', problems: [] };
    },
  }),
  queueEvents: t.field({
    type: QueueEventsPayload,
    scope: 'EVENTS_WRITE',
    description: 'Queue several events in one transaction: all or none.',
    args: { input: t.arg({ type: QueueEventsInput, required: true, description: 'What to queue.' }) },
    resolve: async (_root, { input: { events } }, context) => {
      const queued = await andThen(toNewEvents(events, context), (batch) =>
        context.services.queue.queueEvents(batch),
      );
      if (queued.ok) return { queued: queued.value, problems: [] };
      return { queued: null, problems: queued.problems.map((one) => belowEvents(one, events)) };
    },
  }),
}));

function toNewEvents(events: readonly EventAsked[], context: GraphqlContext): Result<readonly NewEvent[]> {
  if (events.length === 0)
    return fail(problem([], 'REQUIRED', `expected 1 to ${MAX_BATCH_SIZE} events, got none`));
  if (events.length > MAX_BATCH_SIZE) {
    return fail(problem([], 'TOO_LARGE', `expected 1 to ${MAX_BATCH_SIZE} events, got ${events.length}`));
  }
  const results = events.map((event) => toNewEvent(event, context));
  const problems = results.flatMap((result, index) =>
    result.ok ? [] : result.problems.map((one) => ({ ...one, field: [String(index), ...one.field] })),
  );
  if (problems.length > 0) return fail(...problems);
  return { ok: true, value: results.flatMap((result) => (result.ok ? [result.value] : [])) };
}

/** Problems name the payload as the caller gave it. */
function asAsked(input: EventAsked): (one: Problem) => Problem {
  return (one) => {
    const [first, ...rest] = one.field;
    return first === 'data' && input.dataText != null ? { ...one, field: ['dataText', ...rest] } : one;
  };
}

function belowEvents(one: Problem, events: readonly EventAsked[]): Problem {
  const [index, ...field] = one.field;
  if (index === undefined) return { ...one, field: ['events'] };
  const event = events[Number(index)];
  const named = event === undefined ? field : asAsked(event)({ ...one, field }).field;
  return { ...one, field: ['events', index, ...named] };
}

async function andThen<A, B>(result: Result<A>, next: (value: A) => Promise<Result<B>>): Promise<Result<B>> {
  return result.ok ? next(result.value) : result;
}

async function stored(id: string, loaders: GraphqlContext['loaders']) {
  const event = await loaders.event(id);
  if (event === null) throw new Error(`event ${id} is missing although it was just queued`);
  return event;
}
