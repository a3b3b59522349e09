/** Secrets at rest: AES-256-GCM, each bound to its place so that a value copied to another row does not open. */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

/** Bytes of an encryption key. */
export const KEY_BYTES = 32;
const NONCE_BYTES = 12;

/** Where a secret stands, e.g. `signing_keys.0190….secret`: additional authenticated data of its ciphertext. */
export type SecretPlace = `${string}.${string}.${string}`;

export interface SecretBox {
  /** `v1.<keyId>.<nonce>.<ciphertext>.<tag>`, parts in base64url. */
  seal(place: SecretPlace, secret: Buffer): string;
  /** Errors: where no key of ours fits, or the text was made for another place. */
  open(place: SecretPlace, sealed: string): Buffer;
  /** Id of the key that writes; ids say nothing about their keys. */
  readonly writes: string;
  /** Ids of all keys that read. */
  readonly reads: ReadonlySet<string>;
}

/** The keys in a comma-separated list, each the base64 of 32 bytes; null where one is something else. */
export function parseKeys(text: string): readonly Buffer[] | null {
  const keys = text.split(',').map((key) => key.trim());
  // Buffer.from skips what it does not know: a mistyped key would become another key.
  if (!keys.every((key) => /^[\w+/-]{43}=?$/.test(key))) return null;
  return keys.map((key) => Buffer.from(key, 'base64'));
}

/** Id of the key a secret was sealed with. */
export function keyIdOf(sealed: string): string {
  return sealed.split('.', 2)[1] ?? '';
}

/** `keys`: the first one writes, all of them read. */
export function createSecretBox(keys: readonly [Buffer, ...Buffer[]]): SecretBox {
  const byId = new Map(keys.map((key) => [keyId(key), key]));
  const [writing] = keys;
  return {
    writes: keyId(writing),
    reads: new Set(byId.keys()),
    seal(place, secret) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', writing, nonce).setAAD(Buffer.from(place));
      const ciphertext = Buffer.concat([cipher.update(secret), cipher.final()]);
      const parts = [nonce, ciphertext, cipher.getAuthTag()].map((part) => part.toString('base64url'));
      return ['v1', keyId(writing), ...parts].join('.');
    },
    open(place, sealed) {
      const [version, id = '', nonce = '', ciphertext = '', tag = ''] = sealed.split('.');
      const key = byId.get(id);
      if (version !== 'v1' || key === undefined) {
        throw new Error(`no encryption key ${id} to read ${place.split('.')[0]} with`);
      }
      const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64url'))
        .setAAD(Buffer.from(place))
        .setAuthTag(Buffer.from(tag, 'base64url'));
      return Buffer.concat([decipher.update(Buffer.from(ciphertext, 'base64url')), decipher.final()]);
    },
  };
}

/** Names a key without saying anything about it. */
function keyId(key: Buffer): string {
  return createHash('sha256').update('herald key id').update(key).digest('base64url').slice(0, 8);
}
