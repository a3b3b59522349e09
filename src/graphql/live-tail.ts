/** `liveTail`: everything as it happens, a line each. */
import { type Caller, seesProject } from '../domain/caller.ts';
import { encodeCursor } from '../domain/position.ts';
import type { AttemptRow } from '../store/attempts.ts';
import { type DatedChange, readPosition } from '../store/change-log.ts';
import type { Batch } from '../store/change-window.ts';
import type { InvocationRow } from '../store/invocations.ts';
import { withCursors } from '../store/subscription.ts';
import { type ActivityKind, type ChangeRows, isOfKind, kindsOf, summaryOf } from './activity.ts';
import { builder, type Described } from './builder.ts';
import { visibleEvent } from './event.ts';
import { activityFilter } from './filters.ts';
import type { LiveRows } from './live-rows.ts';
import { AttemptRef, EventRef, InvocationRef, TriggerRef } from './refs.ts';
import { visible } from './trigger.ts';

interface Activity {
  readonly cursor: string | null;
  readonly kind: ActivityKind;
  readonly at: Date;
  readonly summary: string;
  readonly eventId: string | null;
  readonly triggerId: string | null;
  readonly invocation: InvocationRow | null;
  readonly attempt: AttemptRow | null;
}

const ACTIVITY_KIND = builder.enumType('ActivityKind', {
  description: 'Kinds of activity.',
  values: {
    EVENT_QUEUED: { description: 'An event was accepted.' },
    EVENT_UNMATCHED: { description: 'An event was accepted that no trigger matches.' },
    EVENT_CHANGED: { description: 'A delivery of an event was cancelled or rescheduled.' },
    ATTEMPT_STARTED: { description: 'An attempt has been in flight for more than a moment.' },
    ATTEMPT_SUCCEEDED: { description: 'An attempt succeeded.' },
    ATTEMPT_FAILED: { description: 'An attempt failed.' },
    INVOCATION_FAILED: { description: 'An invocation was given up.' },
    TRIGGER_CHANGED: { description: 'A trigger was created, changed, paused, resumed or deleted.' },
    RESYNC: { description: 'Updates were missed.' },
  } satisfies Described<ActivityKind>,
});

const ActivityRef = builder.objectRef<Activity>('Activity');
ActivityRef.implement({
  description: 'One line of the live tail.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', {
      nullable: true,
      description: 'Position in the change log, for `after`.',
    }),
    kind: t.expose('kind', { type: ACTIVITY_KIND, description: 'What happened.' }),
    at: t.expose('at', { type: 'DateTime', description: 'When it happened.' }),
    summary: t.exposeString('summary', { description: 'One line of English for humans.' }),
    event: t.field({
      type: EventRef,
      nullable: true,
      description: 'The event concerned, if any.',
      resolve: async ({ eventId }, _args, context) =>
        eventId === null ? null : visibleEvent(await context.loaders.event(eventId), context),
    }),
    invocation: t.expose('invocation', {
      type: InvocationRef,
      nullable: true,
      description: 'The invocation concerned, if any.',
    }),
    attempt: t.expose('attempt', {
      type: AttemptRef,
      nullable: true,
      description: 'The attempt concerned, if any.',
    }),
    trigger: t.field({
      type: TriggerRef,
      nullable: true,
      scope: 'TRIGGERS_READ',
      description: 'The trigger concerned, if any; null when it was deleted.',
      resolve: async ({ triggerId }, _args, context) =>
        triggerId === null ? null : visible(await context.loaders.trigger(triggerId), context),
    }),
  }),
});

const ActivityFilterInput = builder.inputType('ActivityFilter', {
  description: 'Conditions on activity; all given ones must hold.',
  fields: (t) => ({
    project: t.string({ description: 'Only this project.' }),
    kind: t.field({ type: [ACTIVITY_KIND], description: 'Only these kinds; RESYNC comes anyway.' }),
    eventType: t.stringList({ description: 'Only these event types.' }),
    triggerId: t.idList({ description: 'Only these triggers.' }),
  }),
});

builder.subscriptionFields((t) => ({
  liveTail: t.field({
    type: ActivityRef,
    scope: 'EVENTS_READ',
    description: 'Everything as it happens: events accepted, attempts started and finished, trigger changes.',
    args: {
      filter: t.arg({ type: ActivityFilterInput, description: 'Only matching activity.' }),
      after: t.arg.string({ description: 'Resume after this cursor.' }),
    },
    subscribe: (_root, { filter: asked, after }, { services: { feed }, caller, live }) => {
      const filter = activityFilter(asked);
      const name = `tail ${JSON.stringify([filter, caller.projects])}`;
      const select = async (changes: readonly DatedChange[], batch: Batch) => {
        const wanted = changes.flatMap((change) => wantedOf(change, filter, caller));
        const found = await Promise.all(wanted.map((one) => readRows(one, live.of(batch))));
        const matching = found.filter(({ kind, change, rows }) => isOfKind(kind, change, rows));
        return {
          items: withCursors(matching, (one, cursor) =>
            live.item(batch, one.change, `${one.kind} ${cursor}`, () => toActivity(one, cursor)),
          ),
        };
      };
      return feed.watch<Activity>({
        after,
        start: () => Promise.resolve({ items: [] }),
        select: (changes, batch) => live.selection(batch, changes, name, () => select(changes, batch)),
        missed: ({ cursor }) => ({
          ...{ cursor, kind: 'RESYNC', at: new Date(), summary: 'updates were missed' },
          ...{ eventId: null, triggerId: null, invocation: null, attempt: null },
        }),
      });
    },
    resolve: (activity) => activity,
  }),
}));

builder.queryFields((t) => ({
  changeCursor: t.string({
    scope: 'EVENTS_READ',
    description: `Where the change log stands: a subscription with it as \`after\` tells everything that happens from now on, even
where the connection is lost before the first update.`,
    resolve: async (_root, _args, { services: { db } }) => encodeCursor(await readPosition(db)),
  }),
}));

type Filter = ReturnType<typeof activityFilter>;

interface Wanted {
  readonly kind: ActivityKind;
  readonly change: DatedChange;
  readonly commit: DatedChange['commit'];
}

function wantedOf(change: DatedChange, filter: Filter, caller: Caller): readonly Wanted[] {
  const { project, kind: kinds, eventType, triggerId } = filter;
  const trigger = change.kind === 'EVENT_QUEUED' ? null : change.trigger;
  const concerned =
    seesProject(caller, change.project) &&
    (project == null || project === change.project) &&
    (eventType == null || eventType.includes(change.type)) &&
    (triggerId == null || (trigger !== null && triggerId.includes(trigger)));
  if (!concerned) return [];
  return kindsOf(change)
    .filter((kind) => kinds == null || kinds.includes(kind))
    .map((kind) => ({ kind, change, commit: change.commit }));
}

async function readRows(wanted: Wanted, shared: ReturnType<LiveRows['of']>) {
  const { change } = wanted;
  const [invocation, attempt, trigger] = await Promise.all([
    change.kind === 'INVOCATION' ? shared.invocation(change.invocation) : null,
    change.kind === 'INVOCATION' && change.attempt !== null
      ? shared.attempt(change.invocation, change.attempt)
      : null,
    change.kind === 'TRIGGER' ? shared.trigger(change.trigger) : null,
  ]);
  const rows: ChangeRows = { invocation, attempt, triggerName: trigger?.name ?? null };
  return { ...wanted, rows };
}

function toActivity(
  { kind, change, rows }: Wanted & { readonly rows: ChangeRows },
  cursor: string,
): Activity {
  return {
    ...{ cursor, kind, at: change.at, summary: summaryOf(kind, change, rows), eventId: change.event },
    triggerId: change.kind === 'EVENT_QUEUED' ? null : change.trigger,
    invocation: rows.invocation,
    attempt: rows.attempt,
  };
}
