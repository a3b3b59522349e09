/** `invocationUpdated`: changes of invocations as they happen. */
import { seesProject } from '../domain/caller.ts';
import type { InvocationStatus } from '../domain/invocation.ts';
import { statusOf } from '../domain/invocation.ts';
import type { AttemptRow } from '../store/attempts.ts';
import type { DatedChange } from '../store/change-log.ts';
import type { Batch } from '../store/change-window.ts';
import type { Database } from '../store/database.ts';
import { readClock } from '../store/events.ts';
import { type InvocationFilter, type InvocationRow, listInvocations } from '../store/invocations.ts';
import { MAX_PAGE_SIZE } from '../store/pages.ts';
import { withCursors } from '../store/subscription.ts';
import { builder, type Described } from './builder.ts';
import { invocationFilter } from './filters.ts';
import {
  INVOCATION_STATUS,
  InvocationFilter as InvocationFilterInput,
  NEWEST_FIRST,
} from './invocation-list.ts';
import type { RowsOfBatch } from './live-rows.ts';
import { AttemptRef, InvocationRef } from './refs.ts';

interface InvocationUpdate {
  readonly cursor: string | null;
  readonly kind: 'SNAPSHOT' | 'CREATED' | 'CHANGED' | 'RESYNC';
  readonly at: Date;
  readonly previousStatus: InvocationStatus | null;
  readonly status: InvocationStatus | null;
  readonly invocation: InvocationRow | null;
  readonly attempt: AttemptRow | null;
}

const UPDATE_KIND = builder.enumType('UpdateKind', {
  description: 'Kind of an update.',
  values: {
    SNAPSHOT: { description: 'State at the time of subscribing.' },
    CREATED: { description: 'A new object.' },
    CHANGED: { description: 'A change.' },
    RESYNC: { description: 'Updates were missed; read again.' },
  } satisfies Described<InvocationUpdate['kind']>,
});

const InvocationUpdateRef = builder.objectRef<InvocationUpdate>('InvocationUpdate');
InvocationUpdateRef.implement({
  description: 'A change of an invocation.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', {
      nullable: true,
      description: `Position in the change log, for \`after\`. Null for a SNAPSHOT that others follow: the last one has the position
at which the subscription began.`,
    }),
    kind: t.expose('kind', { type: UPDATE_KIND, description: 'What happened.' }),
    at: t.expose('at', { type: 'DateTime', description: 'When it happened.' }),
    previousStatus: t.expose('previousStatus', {
      type: INVOCATION_STATUS,
      nullable: true,
      description: 'State before; null when unknown or new.',
    }),
    status: t.expose('status', {
      type: INVOCATION_STATUS,
      nullable: true,
      description: 'State after, exact even if the invocation has moved on meanwhile; null for RESYNC.',
    }),
    invocation: t.expose('invocation', {
      type: InvocationRef,
      nullable: true,
      description: 'The invocation as it is now; null for RESYNC.',
    }),
    attempt: t.expose('attempt', {
      type: AttemptRef,
      nullable: true,
      description: 'The attempt that caused the change, if any.',
    }),
  }),
});

builder.subscriptionFields((t) => ({
  invocationUpdated: t.field({
    type: InvocationUpdateRef,
    scope: 'EVENTS_READ',
    description: `Changes of matching invocations. With \`after\` null, starts with an update of kind SNAPSHOT for each
unfinished match, newest 100 at most, then goes live.`,
    args: {
      filter: t.arg({ type: InvocationFilterInput, description: 'Only matching invocations.' }),
      after: t.arg.string({ description: 'Resume after this cursor.' }),
      snapshot: t.arg.boolean({ defaultValue: true, description: 'Send the SNAPSHOT updates.' }),
    },
    subscribe: (_root, { filter: asked, after, snapshot }, { services: { db, feed }, caller, live }) => {
      const filter = invocationFilter(caller, asked);
      const name = `updates ${JSON.stringify([filter, caller.projects])}`;
      const select = async (changes: readonly DatedChange[], batch: Batch) => {
        const wanted = changes
          .filter((change) => change.kind === 'INVOCATION')
          .filter((change) => seesProject(caller, change.project) && concerns(filter, change));
        const rows = live.of(batch);
        const found = await Promise.all(wanted.map((change) => readChange(change, rows)));
        const matching = found.filter(({ invocation }) => matches(filter, invocation));
        return {
          items: withCursors(matching, (one, cursor) =>
            live.item(batch, one.change, `update ${cursor}`, () => toUpdate(one, cursor)),
          ),
        };
      };
      return feed.watch<InvocationUpdate>({
        after,
        start: async ({ cursor }) => ({
          items: snapshot === false ? [] : await readSnapshot(db, filter, cursor),
        }),
        select: (changes, batch) => live.selection(batch, changes, name, () => select(changes, batch)),
        missed: ({ cursor }) => ({
          ...{ cursor, kind: 'RESYNC', at: new Date() },
          ...{ previousStatus: null, status: null, invocation: null, attempt: null },
        }),
      });
    },
    resolve: (update) => update,
  }),
}));

type InvocationChange = Extract<DatedChange, { kind: 'INVOCATION' }>;

const UNFINISHED = ['SCHEDULED', 'HELD', 'QUEUED', 'RUNNING', 'RETRYING'] as const;

/** Oldest first, so that what comes after them comes after them. */
async function readSnapshot(
  db: Database,
  filter: InvocationFilter,
  cursor: string,
): Promise<readonly InvocationUpdate[]> {
  const status = UNFINISHED.filter((one) => filter.status == null || filter.status.includes(one));
  const [now, page] = await Promise.all([
    readClock(db),
    listInvocations(db, { ...filter, status }, NEWEST_FIRST, { first: MAX_PAGE_SIZE }),
  ]);
  return page.edges
    .map(({ node }, index) => ({
      // The newest comes last, and says where to resume: before it the rest of the snapshot would be missing.
      cursor: index === 0 ? cursor : null,
      kind: 'SNAPSHOT' as const,
      at: now,
      previousStatus: null,
      status: statusOf(node.status, node.nextAttemptAt, now),
      invocation: node,
      attempt: null,
    }))
    .reverse();
}

/** The conditions that the change itself can answer. */
function concerns(filter: InvocationFilter, change: InvocationChange): boolean {
  const { project, triggerId, eventId, eventType, status } = filter;
  return (
    (project == null || project === change.project) &&
    (triggerId == null || triggerId.some((id) => id.toLowerCase() === change.trigger)) &&
    (eventId == null || eventId.toLowerCase() === change.event) &&
    (eventType == null || eventType.includes(change.type)) &&
    (status == null || status.includes(change.to))
  );
}

/** The conditions that need the invocation. */
function matches(filter: InvocationFilter, row: InvocationRow | null): boolean {
  const { failureReason, lastErrorCode, lastStatusCode, createdAt } = filter;
  const code = row?.lastStatusCode ?? null;
  return (
    (failureReason == null || (row?.failureReason != null && failureReason.includes(row.failureReason))) &&
    (lastErrorCode == null || (row?.lastErrorCode != null && lastErrorCode.includes(row.lastErrorCode))) &&
    (lastStatusCode?.min == null || (code !== null && code >= lastStatusCode.min)) &&
    (lastStatusCode?.max == null || (code !== null && code <= lastStatusCode.max)) &&
    (createdAt?.from == null || (row !== null && row.createdAt >= createdAt.from)) &&
    (createdAt?.to == null || (row !== null && row.createdAt < createdAt.to))
  );
}

interface ReadChange {
  readonly change: InvocationChange;
  readonly commit: DatedChange['commit'];
  readonly invocation: InvocationRow | null;
  readonly attempt: AttemptRow | null;
}

async function readChange(change: InvocationChange, rows: RowsOfBatch): Promise<ReadChange> {
  const [invocation, attempt] = await Promise.all([
    rows.invocation(change.invocation),
    change.attempt === null ? null : rows.attempt(change.invocation, change.attempt),
    rows.expectEvent(change.event),
  ]);
  return { change, commit: change.commit, invocation, attempt };
}

function toUpdate({ change, invocation, attempt }: ReadChange, cursor: string): InvocationUpdate {
  const { from, to, at } = change;
  const kind = from === null ? ('CREATED' as const) : ('CHANGED' as const);
  return { cursor, kind, at, previousStatus: from, status: to, invocation, attempt };
}
