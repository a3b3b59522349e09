/** `eventProgress`: how far one event is, until it is finished. */
import { AppError } from '../domain/errors.ts';
import type { InvocationCounts } from '../domain/event.ts';
import type { InvocationStatus } from '../domain/invocation.ts';
import type { DatedChange } from '../store/change-log.ts';
import type { Selection } from '../store/changes.ts';
import type { Database } from '../store/database.ts';
import { readClock } from '../store/events.ts';
import { findInvocations, findInvocationsOfEvent, type InvocationRow } from '../store/invocations.ts';
import { builder } from './builder.ts';
import { Counts, visibleEvent } from './event.ts';
import { EventRef, InvocationRef } from './refs.ts';

interface EventProgress {
  readonly at: Date;
  readonly eventId: string;
  /** Null where updates were missed and the next one has them again. */
  readonly counts: InvocationCounts | null;
  readonly invocation: InvocationRow | null;
  readonly done: boolean;
}

const EventProgressRef = builder.objectRef<EventProgress>('EventProgress');
EventProgressRef.implement({
  description: 'Progress of one event.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'When it happened.' }),
    event: t.field({
      type: EventRef,
      description: 'The event as it is now.',
      resolve: async ({ eventId }, _args, { loaders }) => {
        const event = await loaders.event(eventId);
        if (event === null) throw new AppError('NOT_FOUND', `event ${eventId} was removed`);
        return event;
      },
    }),
    counts: t.field({
      type: Counts,
      description: 'Number of invocations by status at that moment.',
      resolve: ({ counts, eventId }, _args, { loaders }) => counts ?? loaders.progress(eventId),
    }),
    invocation: t.expose('invocation', {
      type: InvocationRef,
      nullable: true,
      description: 'The invocation that changed; null for the first update.',
    }),
    done: t.exposeBoolean('done', { description: 'Whether this is the last update.' }),
  }),
});

builder.subscriptionFields((t) => ({
  eventProgress: t.field({
    type: EventProgressRef,
    scope: 'EVENTS_READ',
    description: 'Progress of one event, first its current state. Completes when the event is finished.',
    args: { id: t.arg.id({ required: true, description: 'Id of the event.' }) },
    subscribe: async (_root, { id }, context) => {
      const event = visibleEvent(await context.loaders.event(id), context);
      if (event === null) throw new AppError('NOT_FOUND', `no event ${JSON.stringify(id)}`);
      const { db, feed } = context.services;
      const progress = createProgress(db, event.id);
      return feed.watch<EventProgress>({
        start: progress.read,
        select: (changes) => progress.apply(changes.filter((change) => change.kind === 'INVOCATION')),
        missed: () => ({ at: new Date(), eventId: event.id, counts: null, invocation: null, done: false }),
      });
    },
    resolve: (update) => update,
  }),
}));

type InvocationChange = Extract<DatedChange, { kind: 'INVOCATION' }>;
type Bucket = Exclude<keyof InvocationCounts, 'total'>;

const BUCKETS: Readonly<Record<InvocationStatus | 'PENDING', Bucket>> = {
  PENDING: 'pending',
  SCHEDULED: 'pending',
  QUEUED: 'pending',
  HELD: 'pending',
  RETRYING: 'pending',
  RUNNING: 'running',
  SUCCEEDED: 'succeeded',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
};

const NONE: InvocationCounts = { total: 0, pending: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0 };

/**
 * Follows the event's invocations one by one: counts read from the database for each change would already hold what
 * happened after it.
 */
function createProgress(db: Database, eventId: string) {
  let states: Map<string, Bucket> | null = null;
  let counts: InvocationCounts = NONE;

  const move = (from: Bucket | undefined, to: Bucket): void => {
    const left = from === undefined ? { total: counts.total + 1 } : { [from]: counts[from] - 1 };
    const rest = { ...counts, ...left };
    counts = { ...rest, [to]: rest[to] + 1 };
  };

  return {
    async read(): Promise<Selection<EventProgress>> {
      const [at, rows] = await Promise.all([readClock(db), findInvocationsOfEvent(db, eventId)]);
      states = new Map(rows.map(({ id, status }) => [id, BUCKETS[status]]));
      counts = NONE;
      for (const bucket of states.values()) move(undefined, bucket);
      const done = isDone(counts);
      return { items: [{ at, eventId, counts, invocation: null, done }], done };
    },

    async apply(all: readonly InvocationChange[]): Promise<Selection<EventProgress>> {
      // Before the first read there is nothing to apply them to, and the read will hold them.
      if (states === null) return { items: [] };
      const changes = all.filter(({ event }) => event === eventId);
      if (changes.length === 0) return { items: [] };
      const rows = await findInvocations(db, [...new Set(changes.map(({ invocation }) => invocation))]);
      const byId = new Map(rows.map((row) => [row.id, row]));
      const items: EventProgress[] = [];
      for (const { invocation, to, at } of changes) {
        move(states.get(invocation), BUCKETS[to]);
        states.set(invocation, BUCKETS[to]);
        const done = isDone(counts);
        items.push({ at, eventId, counts, invocation: byId.get(invocation) ?? null, done });
        if (done) return { items, done };
      }
      return { items };
    },
  };
}

function isDone({ pending, running }: InvocationCounts): boolean {
  return pending + running === 0;
}
