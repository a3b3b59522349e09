/** The keys a trigger's requests are signed with: made here, sealed at rest, shown once. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { formatPrivateKey, formatPublicKey, formatSecret, secretBytes } from '../domain/signature.ts';
import type { SignatureAlgorithm } from '../domain/trigger.ts';
import type { Transaction } from '../store/database.ts';
import type { SecretBox, SecretPlace } from '../store/secrets.ts';
import { insertSigningKey, newId } from '../store/triggers.ts';

/** Stores a key for the trigger, `given` or a new one, and answers its secret as it is shown, once. */
export async function addSigningKey(
  tx: Transaction,
  secrets: SecretBox,
  triggerId: string,
  algorithm: SignatureAlgorithm,
  given: string | null,
): Promise<string> {
  const id = await newId(tx);
  const { bytes, shown, publicKey } = algorithm === 'ED25519' ? newPair() : hmacSecret(given);
  const secret = secrets.seal(keyPlace(id), bytes);
  await insertSigningKey(tx, { id, triggerId, algorithm, secret, publicKey });
  return shown;
}

/** Where the secret of a signing key stands. */
export function keyPlace(id: string): SecretPlace {
  return `signing_keys.${id}.secret`;
}

interface KeyMaterial {
  readonly bytes: Buffer;
  /** As its owner is told. */
  readonly shown: string;
  readonly publicKey: string | null;
}

/** Bytes of a generated HMAC secret: 256 bits, as Standard Webhooks' reference implementations make. */
const GENERATED_SECRET_BYTES = 32;

function hmacSecret(given: string | null): KeyMaterial {
  const bytes = (given !== null && secretBytes(given)) || randomBytes(GENERATED_SECRET_BYTES);
  return { bytes, shown: formatSecret(bytes), publicKey: null };
}

function newPair(): KeyMaterial {
  const { d = '', x = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const bytes = Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]);
  return { bytes, shown: formatPrivateKey(bytes), publicKey: formatPublicKey(bytes) };
}
