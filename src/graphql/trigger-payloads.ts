/** What the mutations of triggers take and answer. */
import { DEFAULT_PROJECT, DEFAULT_RETRIES, DEFAULT_TIMEOUT_MS } from '../domain/trigger.ts';
import type { TriggerRow } from '../store/triggers.ts';
import { builder } from './builder.ts';
import { TriggerRef } from './refs.ts';
import { CONTENT_MODE, HttpHeaderInput, SPEC_VERSION } from './shared.ts';
import { SIGNATURE_ALGORITHM } from './signing-key.ts';
import { TRIGGER_STATUS } from './trigger.ts';
import { type Payload, userErrorsField } from './user-error.ts';

export interface TriggerPayload extends Payload {
  /** Null where there are problems. */
  readonly trigger: TriggerRow | null;
}

export const CreateTriggerInput = builder.inputType('CreateTriggerInput', {
  description: 'A trigger to create.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description: '1 to 64 characters: letters, digits, `-`, `_`, `.`. Unique within the project.',
    }),
    type: t.string({ required: true, description: 'Event type to match, exactly.' }),
    url: t.string({ required: true, description: 'Absolute http(s) URL without credentials.' }),
    retries: t.int({
      defaultValue: DEFAULT_RETRIES,
      description: "Retries after the first attempt, 0 to the server's limit.",
    }),
    timeout: t.int({
      defaultValue: DEFAULT_TIMEOUT_MS,
      description: "Deadline of one attempt in milliseconds, 100 to the server's limit.",
    }),
    retrySchedule: t.intList({
      description:
        'Delays before each retry in seconds, the last one repeating. Null for the exponential back-off.',
    }),
    project: t.string({ defaultValue: DEFAULT_PROJECT, description: 'Project of the trigger.' }),
    description: t.string({ description: 'Free text for humans.' }),
    contentMode: t.field({
      type: CONTENT_MODE,
      defaultValue: 'JSON',
      description: 'How to put the event on the wire.',
    }),
    specVersion: t.field({
      type: SPEC_VERSION,
      defaultValue: '1.0-rc1',
      description: 'The CloudEvents `specversion` to send.',
    }),
    headers: t.field({
      type: [HttpHeaderInput],
      defaultValue: [],
      description: 'Extra request headers, at most 20.',
    }),
    maxConcurrency: t.int({
      description: 'Most attempts in flight at once, 1 to 10,000, over all processes. Null for no limit.',
    }),
    maxPerMinute: t.int({
      description:
        'Most attempts started per minute, 1 to 60,000, over all processes, evenly spaced. Null for no limit.',
    }),
    signatureAlgorithm: t.field({
      type: SIGNATURE_ALGORITHM,
      defaultValue: 'HMAC_SHA256',
      description: 'Signature scheme of the generated key.',
    }),
    signingSecret: t.string({
      description: 'Bring your own HMAC secret: `whsec_` and base64 of 24 to 64 bytes.',
    }),
    paused: t.boolean({ defaultValue: false, description: 'Create the trigger paused.' }),
  }),
});

export const UpdateTriggerInput = builder.inputType('UpdateTriggerInput', {
  description: 'Changes to a trigger. Absent fields stay as they are.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'Id of the trigger.' }),
    expectedVersion: t.int({ description: 'Refuse the change when the trigger is at another version.' }),
    name: t.string({ description: 'New name.' }),
    type: t.string({ description: 'New event type.' }),
    url: t.string({ description: 'New URL.' }),
    retries: t.int({ description: 'New number of retries.' }),
    timeout: t.int({ description: 'New deadline in milliseconds.' }),
    retrySchedule: t.intList({ description: 'New delays; null returns to the exponential back-off.' }),
    description: t.string({ description: 'New description; null clears it.' }),
    contentMode: t.field({ type: CONTENT_MODE, description: 'New wire format.' }),
    specVersion: t.field({ type: SPEC_VERSION, description: 'New `specversion`.' }),
    headers: t.field({
      type: [HttpHeaderInput],
      description: 'New headers, replacing all. A secret header given with value `***` keeps its value.',
    }),
    maxConcurrency: t.int({ description: 'New limit; null removes it.' }),
    maxPerMinute: t.int({ description: 'New limit; null removes it.' }),
    status: t.field({
      type: TRIGGER_STATUS,
      description: 'DISABLED stops creating invocations, ACTIVE starts again. Use `pauseTrigger` to hold.',
    }),
  }),
});

export const DeleteTriggerInput = builder.inputType('DeleteTriggerInput', {
  description: 'A trigger to delete.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'Id of the trigger.' }),
    expectedVersion: t.int({ description: 'Refuse when the trigger is at another version.' }),
    pending: t.field({
      type: builder.enumType('PendingPolicy', {
        description: 'What becomes of unfinished invocations.',
        values: {
          CANCEL: { description: 'They are cancelled.' },
          FINISH: { description: 'They are delivered and retried to the end with the last settings.' },
        },
      }),
      defaultValue: 'CANCEL',
      description: 'What becomes of unfinished invocations.',
    }),
  }),
});

export const PauseTriggerInput = builder.inputType('PauseTriggerInput', {
  description: 'A trigger to hold.',
  fields: (t) => ({ id: t.id({ required: true, description: 'Id of the trigger.' }) }),
});

export const ResumeTriggerInput = builder.inputType('ResumeTriggerInput', {
  description: 'A trigger to resume.',
  fields: (t) => ({ id: t.id({ required: true, description: 'Id of the trigger.' }) }),
});

export const CreateTriggerPayload = builder.objectRef<
  TriggerPayload & { readonly signingSecret: string | null }
>('CreateTriggerPayload');
CreateTriggerPayload.implement({
  description: 'Answer of `createTrigger`.',
  fields: (t) => ({
    trigger: triggerField(t),
    signingSecret: t.exposeString('signingSecret', {
      nullable: true,
      description: 'The signing secret (`whsec_…`, or `whsk_…` of an Ed25519 key). Shown once.',
    }),
    userErrors: userErrorsField(t),
  }),
});

export const UpdateTriggerPayload = builder.objectRef<TriggerPayload>('UpdateTriggerPayload');
UpdateTriggerPayload.implement({
  description: 'Answer of `updateTrigger`.',
  fields: (t) => ({ trigger: triggerField(t), userErrors: userErrorsField(t) }),
});

export const PauseTriggerPayload = builder.objectRef<TriggerPayload>('PauseTriggerPayload');
PauseTriggerPayload.implement({
  description: 'Answer of `pauseTrigger`.',
  fields: (t) => ({ trigger: triggerField(t), userErrors: userErrorsField(t) }),
});

export const ResumeTriggerPayload = builder.objectRef<TriggerPayload & { readonly releasedCount: number }>(
  'ResumeTriggerPayload',
);
ResumeTriggerPayload.implement({
  description: 'Answer of `resumeTrigger`.',
  fields: (t) => ({
    trigger: triggerField(t),
    releasedCount: t.exposeInt('releasedCount', {
      description: `Held invocations that are released: the first ones at once, a multitude little by little, as fast as it is
delivered, in the order in which they were queued. Those that still wait are HELD.`,
    }),
    userErrors: userErrorsField(t),
  }),
});

interface DeleteTriggerPayload extends Payload {
  readonly deletedTriggerId: string | null;
  readonly cancelledCount: number;
}

export const DeleteTriggerPayload = builder.objectRef<DeleteTriggerPayload>('DeleteTriggerPayload');
DeleteTriggerPayload.implement({
  description: 'Answer of `deleteTrigger`.',
  fields: (t) => ({
    deletedTriggerId: t.exposeID('deletedTriggerId', {
      nullable: true,
      description: 'Id of the deleted trigger; null when there are errors.',
    }),
    cancelledCount: t.exposeInt('cancelledCount', {
      description: `Invocations that are cancelled: none of them is attempted any more. A multitude reads as CANCELLED little by
little, within seconds.`,
    }),
    userErrors: userErrorsField(t),
  }),
});

export function triggerField<P extends TriggerPayload>(
  t: PothosSchemaTypes.ObjectFieldBuilder<(typeof builder)['$inferSchemaTypes'], P>,
) {
  return t.field({
    type: TriggerRef,
    nullable: true,
    description: 'The trigger; null when there are errors.',
    resolve: ({ trigger }) => trigger,
  });
}
