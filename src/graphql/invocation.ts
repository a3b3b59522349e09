/** Invocations: the type, and how they are read. */
import { statusOf } from '../domain/invocation.ts';
import type { EventRow } from '../store/events.ts';
import { countInvocations, type InvocationRow, listInvocations } from '../store/invocations.ts';
import { AttemptConnection } from './attempt.ts';
import { builder } from './builder.ts';
import { pageArgs } from './connection.ts';
import type { GraphqlContext } from './context.ts';
import { visibleEvent } from './event.ts';
import { invocationFilter } from './filters.ts';
import {
  FAILURE_REASON,
  INVOCATION_STATUS,
  InvocationConnection,
  invocationArgs,
  NEWEST_FIRST,
} from './invocation-list.ts';
import type { Loaders } from './loaders.ts';
import { AttemptRef, EventRef, InvocationRef, TriggerRef } from './refs.ts';

InvocationRef.implement({
  description: 'The delivery of one event to one trigger: a first attempt and its retries.',
  fields: (t) => ({
    id: t.exposeID('id', {
      description: 'UUID (version 7), also the `webhook-id` header; the same on every attempt.',
    }),
    event: t.field({
      type: EventRef,
      description: 'The event.',
      resolve: ({ eventId }, _args, { loaders }) => eventOf(eventId, loaders),
    }),
    trigger: t.field({
      type: TriggerRef,
      nullable: true,
      scope: 'TRIGGERS_READ',
      description: 'The trigger; null when it was deleted.',
      resolve: async ({ triggerId }, _args, { loaders }) => {
        const trigger = await loaders.trigger(triggerId);
        return trigger === null || trigger.deletedAt !== null ? null : trigger;
      },
    }),
    triggerName: t.exposeString('triggerName', {
      description: "The trigger's name when the event was queued.",
    }),
    status: t.field({
      type: INVOCATION_STATUS,
      description: 'State of the delivery.',
      resolve: ({ status, nextAttemptAt }, _args, { loaders }) =>
        // Only a pending one needs the clock.
        status === 'PENDING' ? loaders.now().then((now) => statusOf(status, nextAttemptAt, now)) : status,
    }),
    failureReason: t.expose('failureReason', {
      type: FAILURE_REASON,
      nullable: true,
      description: 'Why it failed for good; null unless `status` is FAILED.',
    }),
    attemptCount: t.exposeInt('attemptCount', {
      description: 'Attempts made so far, the running one included.',
    }),
    maxAttempts: t.exposeInt('maxAttempts', {
      description: 'Attempts allowed before giving up, i.e. `retries` + 1 plus manual retries.',
    }),
    nextAttemptAt: t.expose('nextAttemptAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the next attempt is due; null when none is planned.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the invocation was created.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When its state last changed.' }),
    finishedAt: t.expose('finishedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it reached a final state; null before that.',
    }),
    deliveryLatencyMs: t.field({
      type: 'SafeInt',
      nullable: true,
      description: 'Milliseconds from due time to success; null unless SUCCEEDED.',
      resolve: ({ status, finishedAt, eventId }, _args, { loaders }) => {
        if (status !== 'SUCCEEDED' || finishedAt === null) return null;
        const latency = ({ dueAt }: EventRow) => Math.max(0, finishedAt.getTime() - dueAt.getTime());
        const event = eventOf(eventId, loaders);
        return event instanceof Promise ? event.then(latency) : latency(event);
      },
    }),
    lastAttempt: t.field({
      type: AttemptRef,
      nullable: true,
      description: 'The most recent attempt.',
      resolve: ({ id }, _args, { loaders }) => loaders.lastAttempt(id),
    }),
    attempts: t.field({
      type: AttemptConnection,
      description: 'All attempts, oldest first.',
      args: pageArgs,
      resolve: async ({ id }, args, { loaders }) => {
        const page = await loaders.attemptsOf(id, args);
        return { page, count: () => loaders.attemptCountOf(id) };
      },
    }),
  }),
});

builder.queryFields((t) => ({
  invocation: t.field({
    type: InvocationRef,
    nullable: true,
    scope: 'EVENTS_READ',
    description: 'An invocation by id.',
    args: { id: t.arg.id({ required: true, description: 'Id of the invocation.' }) },
    resolve: async (_root, { id }, context) =>
      visibleInvocation(await context.loaders.invocation(id), context),
  }),
  invocations: t.field({
    type: InvocationConnection,
    scope: 'EVENTS_READ',
    description: 'Invocations of all triggers.',
    args: invocationArgs,
    resolve: async (_root, { filter: asked, orderBy, ...args }, { services: { db }, caller, loaders }) => {
      const filter = invocationFilter(caller, asked);
      const page = await listInvocations(db, filter, orderBy ?? NEWEST_FIRST, args);
      loaders.budget.spend({ rows: page.edges.length });
      return { page, count: () => countInvocations(db, filter) };
    },
  }),
}));

/** The invocation if the caller may see its event. */
export async function visibleInvocation(
  invocation: InvocationRow | null,
  context: GraphqlContext,
): Promise<InvocationRow | null> {
  if (invocation === null || context.caller.projects === null) return invocation;
  const event = await context.loaders.event(invocation.eventId);
  return visibleEvent(event, context) && invocation;
}

function eventOf(eventId: string, loaders: Loaders): EventRow | Promise<EventRow> {
  return (
    loaders.eventHere(eventId) ??
    loaders.event(eventId).then((event) => {
      // Retention removes an event and its invocations in one transaction.
      if (event === null) throw new Error(`event ${eventId} of an invocation is missing`);
      return event;
    })
  );
}
