/** `eventTypes`: what there is to listen to. */
import { type EventTypeSummary, listEventTypes } from '../store/event-types.ts';
import { builder } from './builder.ts';
import { visibleProjects } from './filters.ts';

const EventTypeSummaryRef = builder.objectRef<EventTypeSummary>('EventTypeSummary');
EventTypeSummaryRef.implement({
  description: 'An event type that was seen lately or has a trigger.',
  fields: (t) => ({
    type: t.exposeString('type', { description: 'The type.' }),
    triggerCount: t.exposeInt('triggerCount', { description: 'Triggers that match it.' }),
    eventCount: t.expose('eventCount', {
      type: 'SafeInt',
      description: 'Events of this type in the last 24 hours, begun hours left out.',
    }),
    lastSeenAt: t.expose('lastSeenAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the last one was accepted, to the minute; null when none was within 30 days.',
    }),
  }),
});

builder.queryFields((t) => ({
  eventTypes: t.field({
    type: [EventTypeSummaryRef],
    scope: 'EVENTS_READ',
    description: 'Event types seen lately or matched by a trigger, most frequent first, at most 200.',
    args: {
      project: t.arg.string({ description: 'Only this project.' }),
      prefix: t.arg.string({ description: 'Only types that start with this text.' }),
    },
    resolve: async (_root, { project, prefix }, { services: { db }, caller }) => {
      const projects = visibleProjects(caller, project);
      return [...(await listEventTypes(db, { projects, prefix: prefix ?? '' }))];
    },
  }),
}));
