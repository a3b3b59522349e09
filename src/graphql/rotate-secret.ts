/** `rotateTriggerSecret`. */
import { rotateTriggerSecret } from '../actions/rotate-secret.ts';
import { DEFAULT_GRACE_HOURS } from '../domain/trigger.ts';
import { builder } from './builder.ts';
import { changing, writer } from './manage-trigger.ts';
import { SIGNATURE_ALGORITHM } from './signing-key.ts';
import { type TriggerPayload, triggerField } from './trigger-payloads.ts';
import { userErrorsField } from './user-error.ts';

const RotateTriggerSecretInput = builder.inputType('RotateTriggerSecretInput', {
  description: 'A signing key to rotate.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'Id of the trigger.' }),
    gracePeriodHours: t.int({
      defaultValue: DEFAULT_GRACE_HOURS,
      description:
        'Hours the old key keeps signing, 0 to 720. Keys replaced before sign no longer than that.',
    }),
    signatureAlgorithm: t.field({
      type: SIGNATURE_ALGORITHM,
      description: 'Scheme of the new key; null keeps the current one.',
    }),
    signingSecret: t.string({ description: 'Bring your own HMAC secret.' }),
  }),
});

const RotateTriggerSecretPayload = builder.objectRef<
  TriggerPayload & { readonly signingSecret: string | null }
>('RotateTriggerSecretPayload');
RotateTriggerSecretPayload.implement({
  description: 'Answer of `rotateTriggerSecret`.',
  fields: (t) => ({
    trigger: triggerField(t),
    signingSecret: t.exposeString('signingSecret', {
      nullable: true,
      description: 'The new secret (`whsec_…`, or `whsk_…` of an Ed25519 key). Shown once.',
    }),
    userErrors: userErrorsField(t),
  }),
});

builder.mutationFields((t) => ({
  rotateTriggerSecret: t.field({
    type: RotateTriggerSecretPayload,
    scope: 'TRIGGERS_WRITE',
    description: 'Add a new signing key and let the old one expire. Both sign meanwhile.',
    args: {
      input: t.arg({ type: RotateTriggerSecretInput, required: true, description: 'What to rotate.' }),
    },
    resolve: async (_root, { input }, context) => {
      const rotated = await changing(input.id, context, () =>
        rotateTriggerSecret(writer(context), {
          id: input.id,
          gracePeriodHours: input.gracePeriodHours ?? DEFAULT_GRACE_HOURS,
          signatureAlgorithm: input.signatureAlgorithm ?? null,
          signingSecret: input.signingSecret ?? null,
        }),
      );
      return rotated.ok
        ? { ...rotated.value, problems: [] }
        : { trigger: null, signingSecret: null, problems: rotated.problems };
    },
  }),
}));
