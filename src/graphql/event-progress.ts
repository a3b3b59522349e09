/** `eventProgress`: how far one event is, until it is finished. */
import { AppError } from '../domain/errors.ts';
import type { InvocationCounts } from '../domain/event.ts';
import type { InvocationStatus } from '../domain/invocation.ts';
import { type DatedChange, visitChangesSince } from '../store/change-log.ts';
import type { Database } from '../store/database.ts';
import { readClock } from '../store/events.ts';
import { findInvocationsOfEvent, type InvocationRow } from '../store/invocations.ts';
import { type Selection, withCursors } from '../store/subscription.ts';
import { builder } from './builder.ts';
import { Counts, visibleEvent } from './event.ts';
import type { LiveRows } from './live-rows.ts';
import { EventRef, InvocationRef } from './refs.ts';

interface EventProgress {
  /** Null for the first update, and where updates were missed. */
  readonly cursor: string | null;
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
    cursor: t.exposeString('cursor', {
      nullable: true,
      description:
        'Position in the change log, for `after`; null for an update that shows the current state.',
    }),
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
    description: `Progress of one event, first its current state. Completes when the event is finished. With \`after\`, the
updates that were missed come instead of the current state.`,
    args: {
      id: t.arg.id({ required: true, description: 'Id of the event.' }),
      after: t.arg.string({ description: 'Resume after this cursor.' }),
    },
    subscribe: async (_root, { id, after }, context) => {
      const event = visibleEvent(await context.loaders.event(id), context);
      if (event === null) throw new AppError('NOT_FOUND', `no event ${JSON.stringify(id)}`);
      const { db, feed } = context.services;
      const progress = createProgress(db, event.id);
      return feed.watch<EventProgress>({
        after,
        start: progress.read,
        resume: () => progress.goBackTo(after ?? ''),
        select: (changes, batch) =>
          progress.apply(
            changes.filter((change) => change.kind === 'INVOCATION'),
            context.live.of(batch),
          ),
        missed: () => ({
          ...{ cursor: null, at: new Date(), eventId: event.id, counts: null, invocation: null, done: false },
        }),
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

  const begin = (found: ReadonlyMap<string, Bucket>): void => {
    states = new Map(found);
    counts = NONE;
    for (const bucket of found.values()) move(undefined, bucket);
  };

  return {
    async read(): Promise<Selection<EventProgress>> {
      const [at, rows] = await Promise.all([readClock(db), findInvocationsOfEvent(db, eventId)]);
      begin(new Map(rows.map(({ id, status }) => [id, BUCKETS[status]])));
      const done = isDone(counts);
      return { items: [{ cursor: null, at, eventId, counts, invocation: null, done }], done };
    },

    /**
     * To how it was at `cursor`: an invocation that changed since was then what its first change changed, and one that
     * did not is what it is. Where that was the end, there is nothing to wait for.
     */
    async goBackTo(cursor: string): Promise<Selection<EventProgress>> {
      const [at, rows] = await Promise.all([readClock(db), findInvocationsOfEvent(db, eventId)]);
      const before = new Map<string, InvocationStatus>();
      const complete = await visitChangesSince(db, cursor, (change) => {
        if (change.kind !== 'INVOCATION' || change.event !== eventId || change.from === null) return;
        if (!before.has(change.invocation)) before.set(change.invocation, change.from);
      });
      // The cursor is too old: the feed finds out too, and begins with the current state.
      if (!complete) return { items: [] };
      begin(new Map(rows.map(({ id, status }) => [id, BUCKETS[before.get(id) ?? status]])));
      if (!isDone(counts)) return { items: [] };
      return { items: [{ cursor: null, at, eventId, counts, invocation: null, done: true }], done: true };
    },

    async apply(
      all: readonly InvocationChange[],
      rows: ReturnType<LiveRows['of']>,
    ): Promise<Selection<EventProgress>> {
      // Before the first read there is nothing to apply them to, and the read will hold them.
      if (states === null) return { items: [] };
      const changes = all.filter(({ event }) => event === eventId);
      if (changes.length === 0) return { items: [] };
      const found = await Promise.all(changes.map(({ invocation }) => rows.invocation(invocation)));
      const items: EventProgress[] = [];
      for (const { change, cursor, invocation } of withCursors(
        changes.map((one, index) => ({ change: one, commit: one.commit, invocation: found[index] ?? null })),
        (one, at) => ({ ...one, cursor: at }),
      )) {
        const to = BUCKETS[change.to];
        move(states.get(change.invocation), to);
        states.set(change.invocation, to);
        const done = isDone(counts);
        items.push({ cursor, at: change.at, eventId, counts, invocation, done });
        if (done) return { items, done };
      }
      return { items };
    },
  };
}

function isDone({ pending, running }: InvocationCounts): boolean {
  return pending + running === 0;
}
