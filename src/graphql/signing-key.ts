/** Signing keys, as far as the public may know them. */
import type { SignatureAlgorithm } from '../domain/trigger.ts';
import type { SigningKeyRow } from '../store/triggers.ts';
import { builder, type Described } from './builder.ts';
import './scalars.ts';

export const SIGNATURE_ALGORITHM = builder.enumType('SignatureAlgorithm', {
  description: 'Signature schemes of Standard Webhooks.',
  values: {
    HMAC_SHA256: { description: 'HMAC-SHA256, signature prefix `v1`, secret prefix `whsec_`.' },
    ED25519: { description: 'Ed25519, signature prefix `v1a`, key prefixes `whsk_` and `whpk_`.' },
  } satisfies Described<SignatureAlgorithm>,
});

export const SigningKey = builder.objectRef<SigningKeyRow>('SigningKey');
SigningKey.implement({
  description: 'Public facts about a signing key (Standard Webhooks).',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Opaque id of the key.' }),
    algorithm: t.expose('algorithm', { type: SIGNATURE_ALGORITHM, description: 'Signature scheme.' }),
    publicKey: t.exposeString('publicKey', {
      nullable: true,
      description: 'For asymmetric keys the public key (`whpk_…`), otherwise null.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the key was created.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the key stops signing; null for the current key.',
    }),
  }),
});
