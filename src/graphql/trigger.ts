/** Triggers: the type, and how they are read. */
import { seesProject } from '../domain/caller.ts';
import { DEFAULT_PROJECT, MASKED, type TriggerStatus, type TriggerStatusReason } from '../domain/trigger.ts';
import { countTriggers, findTriggerByName, listTriggers, type TriggerRow } from '../store/triggers.ts';
import { builder, type Described } from './builder.ts';
import { defineConnection, pageArgs } from './connection.ts';
import type { GraphqlContext } from './context.ts';
import { triggerFilter } from './filters.ts';
import { invocationsField } from './invocation-list.ts';
import { TriggerRef } from './refs.ts';
import { CONTENT_MODE, HttpHeader, OrderDirection, SPEC_VERSION } from './shared.ts';
import { SigningKey } from './signing-key.ts';

export const TRIGGER_STATUS = builder.enumType('TriggerStatus', {
  description: 'Whether a trigger delivers.',
  values: {
    ACTIVE: { description: 'Invocations are created and delivered.' },
    PAUSED: {
      description: 'Invocations are created but held until the trigger is resumed. Nothing is lost.',
    },
    DISABLED: { description: 'No invocations are created.' },
  } satisfies Described<TriggerStatus>,
});

const TRIGGER_STATUS_REASON = builder.enumType('TriggerStatusReason', {
  description: 'Why a trigger is not ACTIVE.',
  values: {
    MANUAL: { description: 'Someone paused or disabled it.' },
    RECEIVER_GONE: { description: 'The receiver answered 410 Gone.' },
    CONSECUTIVE_FAILURES: {
      description: 'Every attempt failed for longer than the configured period.',
    },
  } satisfies Described<TriggerStatusReason>,
});

TriggerRef.implement({
  description: `A standing order: whenever an event of \`type\` is queued, POST it to \`url\`.
Matching happens when the event is queued, so triggers created later do not see earlier events.`,
  fields: (t) => ({
    id: t.exposeID('id', { description: 'UUID (version 7).' }),
    project: t.exposeString('project', { description: 'Project the trigger belongs to.' }),
    name: t.exposeString('name', { description: 'Unique within the project.' }),
    description: t.exposeString('description', { nullable: true, description: 'Free text for humans.' }),
    type: t.exposeString('type', {
      description: 'Event type this trigger matches, exactly and case-sensitively.',
    }),
    url: t.expose('url', { type: 'URL', description: 'Where invocations are delivered.' }),
    retries: t.exposeInt('retries', {
      description:
        'Retries after the first attempt; `retries: 3` means at most 4 attempts. 0 disables retrying.',
    }),
    timeout: t.exposeInt('timeoutMs', {
      description: 'Deadline of one attempt in milliseconds, from DNS lookup to the response status line.',
    }),
    retrySchedule: t.exposeIntList('retrySchedule', {
      nullable: true,
      description: `Delays before each retry in seconds, the last one repeating. Null means the queue's exponential back-off:
e^n seconds after the n-th attempt, n at most 10 (2.7 s, 7.4 s, 20 s, 55 s … 6 h).`,
    }),
    status: t.expose('status', {
      type: TRIGGER_STATUS,
      description: 'Whether the trigger delivers, holds, or ignores.',
    }),
    statusReason: t.expose('statusReason', {
      type: TRIGGER_STATUS_REASON,
      nullable: true,
      description: 'Why the trigger is not ACTIVE; null when it is.',
    }),
    statusChangedAt: t.expose('statusChangedAt', {
      type: 'DateTime',
      description: 'When `status` last changed.',
    }),
    failingSince: t.field({
      type: 'DateTime',
      nullable: true,
      description: `Since when every attempt has failed, some seconds late; null where the latest one did not, or none was made since
\`status\` last changed. After PAUSE_FAILING_AFTER_HOURS the trigger is paused.`,
      resolve: ({ id }, _args, { loaders }) => loaders.failingSince(id),
    }),
    contentMode: t.expose('contentMode', {
      type: CONTENT_MODE,
      description: 'How the CloudEvent is put on the wire.',
    }),
    specVersion: t.expose('specVersion', {
      type: SPEC_VERSION,
      description: 'The CloudEvents `specversion` sent.',
    }),
    headers: t.field({
      type: [HttpHeader],
      description: 'Extra request headers; secret values are masked.',
      resolve: ({ headers }) =>
        headers.map(({ name, value, secret }) => ({ name, value: secret ? MASKED : value })),
    }),
    maxConcurrency: t.exposeInt('maxConcurrency', {
      nullable: true,
      description: 'Most attempts of this trigger in flight at once; null means no limit of its own.',
    }),
    maxPerMinute: t.exposeInt('maxPerMinute', {
      nullable: true,
      description: 'Most attempts of this trigger started per minute; null means no limit of its own.',
    }),
    signingKeys: t.field({
      type: [SigningKey],
      description: 'Signing keys, current first. Contains no secret material.',
      resolve: ({ id }, _args, { loaders }) => loaders.signingKeys(id),
    }),
    version: t.exposeInt('version', {
      description: 'Counts that grow with every change; pass it back as `expectedVersion`.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the trigger was created.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When the trigger was last changed.' }),
    invocations: invocationsField(t, 'TRIGGER', "This trigger's invocations, newest first by default."),
  }),
});

const TriggerConnection = defineConnection(TriggerRef, {
  edge: 'An edge to a trigger.',
  node: 'The trigger.',
  list: 'A list of triggers.',
  total: 'Number of matching triggers.',
});

const TriggerFilter = builder.inputType('TriggerFilter', {
  description: 'Conditions on triggers; all given ones must hold.',
  fields: (t) => ({
    project: t.string({ description: 'Only this project.' }),
    type: t.string({ description: 'Only triggers for this event type.' }),
    status: t.field({ type: [TRIGGER_STATUS], description: 'Only triggers in one of these states.' }),
    search: t.string({
      description: 'Only triggers whose name, URL or description contains this text, ignoring case.',
    }),
  }),
});

const TriggerOrder = builder.inputType('TriggerOrder', {
  description: 'Sort order of triggers.',
  fields: (t) => ({
    field: t.field({
      type: builder.enumType('TriggerOrderField', {
        description: 'Fields triggers can be sorted by.',
        values: {
          NAME: { description: 'Name.' },
          CREATED_AT: { description: 'Time of creation.' },
          UPDATED_AT: { description: 'Time of the last change.' },
        },
      }),
      required: true,
      description: 'Field to sort by.',
    }),
    direction: t.field({ type: OrderDirection, required: true, description: 'Direction.' }),
  }),
});

const BY_NAME = { field: 'NAME', direction: 'ASC' } as const;

builder.queryFields((t) => ({
  trigger: t.field({
    type: TriggerRef,
    nullable: true,
    scope: 'TRIGGERS_READ',
    description: 'A trigger by id.',
    args: { id: t.arg.id({ required: true, description: 'Id of the trigger.' }) },
    resolve: async (_root, { id }, context) => visible(await context.loaders.trigger(id), context),
  }),
  triggerByName: t.field({
    type: TriggerRef,
    nullable: true,
    scope: 'TRIGGERS_READ',
    description: 'A trigger by name.',
    args: {
      name: t.arg.string({ required: true, description: 'Name of the trigger.' }),
      project: t.arg.string({ defaultValue: DEFAULT_PROJECT, description: 'Project of the trigger.' }),
    },
    resolve: async (_root, { name, project }, context) =>
      visible(await findTriggerByName(context.services.db, project ?? DEFAULT_PROJECT, name), context),
  }),
  triggers: t.field({
    type: TriggerConnection,
    scope: 'TRIGGERS_READ',
    description: 'Triggers.',
    args: {
      filter: t.arg({ type: TriggerFilter, description: 'Only matching triggers.' }),
      orderBy: t.arg({ type: TriggerOrder, defaultValue: BY_NAME, description: 'Sort order.' }),
      ...pageArgs,
    },
    resolve: async (_root, { filter: asked, orderBy, ...args }, { services: { db }, caller, loaders }) => {
      const filter = triggerFilter(caller, asked);
      const page = await listTriggers(db, filter, orderBy ?? BY_NAME, args);
      loaders.budget.spend({ rows: page.edges.length });
      return { page, count: () => countTriggers(db, filter) };
    },
  }),
}));

/** The trigger if the caller may see it and it was not deleted. */
export function visible(trigger: TriggerRow | null, { caller }: GraphqlContext): TriggerRow | null {
  if (trigger === null || trigger.deletedAt !== null) return null;
  return seesProject(caller, trigger.project) ? trigger : null;
}
