/** Events: the type, and how they are read. */
import { seesProject } from '../domain/caller.ts';
import { type EventOrigin, type EventStatus, eventStatusOf, type InvocationCounts } from '../domain/event.ts';
import { parseKeepingDigits } from '../domain/json.ts';
import { countEvents, type EventOrderField, type EventRow, listEvents } from '../store/events.ts';
import { builder, type Described } from './builder.ts';
import { defineConnection, pageArgs } from './connection.ts';
import type { GraphqlContext } from './context.ts';
import { eventFilter } from './filters.ts';
import { invocationsField } from './invocation-list.ts';
import { spendOnEvents } from './loaders.ts';
import { EventRef } from './refs.ts';
import { DateTimeRange, OrderDirection } from './shared.ts';

const EVENT_STATUS = builder.enumType('EventStatus', {
  description: 'Aggregate state of an event.',
  values: {
    SCHEDULED: { description: 'Not due yet.' },
    IN_PROGRESS: { description: 'Due; at least one invocation is unfinished.' },
    SUCCEEDED: { description: 'Every invocation succeeded.' },
    FAILED: { description: 'Every invocation is finished and at least one failed.' },
    CANCELLED: { description: 'Cancelled before any invocation finished.' },
    UNMATCHED: { description: 'No trigger matched when the event was queued.' },
  } satisfies Described<EventStatus>,
});

const EVENT_ORIGIN = builder.enumType('EventOrigin', {
  description: 'How an event came in.',
  values: {
    GRAPHQL: { description: 'The `queueEvent` or `queueEvents` mutation.' },
    REST: { description: 'A REST endpoint.' },
    SQL: { description: "`herald.queue_event` in a transaction of the user's own." },
    CONSOLE: { description: 'The web console.' },
    REPLAY: { description: 'A replay of an earlier event.' },
  } satisfies Described<EventOrigin>,
});

export const Counts = builder.objectRef<InvocationCounts>('InvocationCounts');
Counts.implement({
  description: 'Number of invocations by status.',
  fields: (t) => ({
    total: t.exposeInt('total', { description: 'All of them.' }),
    pending: t.exposeInt('pending', { description: 'Waiting: scheduled, held, due or between attempts.' }),
    running: t.exposeInt('running', { description: 'An attempt is in flight.' }),
    succeeded: t.exposeInt('succeeded', { description: 'Delivered.' }),
    failed: t.exposeInt('failed', { description: 'Given up.' }),
    cancelled: t.exposeInt('cancelled', { description: 'Cancelled.' }),
  }),
});

EventRef.implement({
  description: 'A queued occurrence. It is persisted before it is acknowledged.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'UUID (version 7), also the CloudEvents `id`.' }),
    project: t.exposeString('project', { description: 'Project the event belongs to.' }),
    type: t.exposeString('type', { description: 'The CloudEvents `type`.' }),
    source: t.exposeString('source', { description: 'The CloudEvents `source`.' }),
    data: t.field({
      type: 'JSON',
      nullable: true,
      description: 'The payload; null when absent, JSON null, or removed by retention (see `dataRemoved`).',
      resolve: ({ data }, _args, { loaders }) => {
        loaders.budget.spend({ bytes: data?.length ?? 0 });
        return data === null ? null : parseKeepingDigits(data);
      },
    }),
    dataText: t.string({
      nullable: true,
      description: "The payload's exact JSON text.",
      resolve: ({ data }, _args, { loaders }) => {
        loaders.budget.spend({ bytes: data?.length ?? 0 });
        return data;
      },
    }),
    dataSize: t.expose('dataSize', { type: 'SafeInt', description: 'Size of the payload in bytes.' }),
    dataRemoved: t.boolean({
      description: 'True when retention has removed the payload.',
      resolve: ({ data }) => data === null,
    }),
    status: t.field({
      type: EVENT_STATUS,
      description: 'Aggregate of the invocations.',
      resolve: async ({ id, dueAt, invocationCount }, _args, { loaders }) => {
        if (invocationCount === 0) return 'UNMATCHED';
        const [counts, now] = await Promise.all([loaders.progress(id), loaders.now()]);
        return eventStatusOf(counts, dueAt, now);
      },
    }),
    receivedAt: t.expose('receivedAt', { type: 'DateTime', description: 'When the event was accepted.' }),
    dueAt: t.expose('dueAt', {
      type: 'DateTime',
      description: 'When delivery is due, i.e. `timestamp` plus `delay`; also the CloudEvents `time`.',
    }),
    finishedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the last invocation finished; null before that.',
      resolve: ({ id }, _args, { loaders }) => loaders.progress(id).then(({ finishedAt }) => finishedAt),
    }),
    origin: t.expose('origin', { type: EVENT_ORIGIN, description: 'How the event came in.' }),
    idempotencyKey: t.exposeString('idempotencyKey', {
      nullable: true,
      description: "The caller's idempotency key, if any.",
    }),
    traceparent: t.exposeString('traceparent', {
      nullable: true,
      description: 'The W3C `traceparent` received with the event, if any; continued on every attempt.',
    }),
    replayOf: t.field({
      type: EventRef,
      nullable: true,
      description: 'The event this one repeats, when it is a replay.',
      resolve: async ({ replayOf }, _args, context) =>
        replayOf === null ? null : visibleEvent(await context.loaders.event(replayOf), context),
    }),
    invocationCounts: t.field({
      type: Counts,
      description: 'Number of invocations by status.',
      resolve: ({ id }, _args, { loaders }) => loaders.progress(id),
    }),
    invocations: invocationsField(t, 'EVENT', 'One invocation per matching trigger.'),
  }),
});

const EventConnection = defineConnection(EventRef, {
  edge: 'An edge to an event.',
  node: 'The event.',
  list: 'A list of events.',
  total: 'Number of matching events.',
});

export const EventFilter = builder.inputType('EventFilter', {
  description: 'Conditions on events; all given ones must hold.',
  fields: (t) => ({
    id: t.idList({ description: 'Only these events.' }),
    project: t.string({ description: 'Only this project.' }),
    type: t.stringList({ description: 'Only these event types.' }),
    status: t.field({ type: [EVENT_STATUS], description: 'Only events in one of these states.' }),
    receivedAt: t.field({ type: DateTimeRange, description: 'Only events accepted in this interval.' }),
    dueAt: t.field({ type: DateTimeRange, description: 'Only events due in this interval.' }),
    idempotencyKey: t.string({ description: 'Only the event with this idempotency key.' }),
  }),
});

const EventOrder = builder.inputType('EventOrder', {
  description: 'Sort order of events.',
  fields: (t) => ({
    field: t.field({
      type: builder.enumType('EventOrderField', {
        description: 'Fields events can be sorted by.',
        values: {
          RECEIVED_AT: { description: 'Time of acceptance.' },
          DUE_AT: { description: 'Due time.' },
        } satisfies Described<EventOrderField>,
      }),
      required: true,
      description: 'Field to sort by.',
    }),
    direction: t.field({ type: OrderDirection, required: true, description: 'Direction.' }),
  }),
});

const LATEST_FIRST = { field: 'RECEIVED_AT', direction: 'DESC' } as const;

builder.queryFields((t) => ({
  event: t.field({
    type: EventRef,
    nullable: true,
    scope: 'EVENTS_READ',
    description: 'An event by id.',
    args: { id: t.arg.id({ required: true, description: 'Id of the event.' }) },
    resolve: async (_root, { id }, context) => visibleEvent(await context.loaders.event(id), context),
  }),
  events: t.field({
    type: EventConnection,
    scope: 'EVENTS_READ',
    description: 'Events.',
    args: {
      filter: t.arg({ type: EventFilter, description: 'Only matching events.' }),
      orderBy: t.arg({ type: EventOrder, defaultValue: LATEST_FIRST, description: 'Sort order.' }),
      ...pageArgs,
    },
    resolve: async (_root, { filter: asked, orderBy, ...args }, { services: { db }, caller, loaders }) => {
      const filter = eventFilter(caller, asked);
      const page = await listEvents(db, filter, orderBy ?? LATEST_FIRST, args);
      loaders.budget.spend({ rows: page.edges.length });
      spendOnEvents(
        loaders.budget,
        page.edges.map(({ node }) => node),
      );
      return { page, count: () => countEvents(db, filter) };
    },
  }),
}));

/** The event if the caller may see it. */
export function visibleEvent(event: EventRow | null, { caller }: GraphqlContext): EventRow | null {
  return event !== null && seesProject(caller, event.project) ? event : null;
}
