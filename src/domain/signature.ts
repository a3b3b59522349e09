/** Standard Webhooks 1.0.0 signatures: `webhook-signature: v1,<base64 HMAC-SHA256 of id.timestamp.body>`. */
import { createHmac, type KeyObject } from 'node:crypto';

export const SECRET_PREFIX = 'whsec_';
/** Bytes of a signing secret (Standard Webhooks, "Signature scheme"). */
export const MIN_SECRET_BYTES = 24;
export const MAX_SECRET_BYTES = 64;

/** The key bytes of `whsec_<base64>`; null unless it decodes to 24 to 64 bytes. */
export function secretBytes(secret: string): Buffer | null {
  const encoded = secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : null;
  if (encoded === null || !/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return null;
  const bytes = Buffer.from(encoded, 'base64');
  const canonical = bytes.toString('base64').replace(/=+$/, '') === encoded.replace(/=+$/, '');
  return canonical && bytes.length >= MIN_SECRET_BYTES && bytes.length <= MAX_SECRET_BYTES ? bytes : null;
}

export function formatSecret(bytes: Buffer): string {
  return SECRET_PREFIX + bytes.toString('base64');
}

/**
 * The header's value: one signature for each live key, current first. `timestamp` is in whole seconds. Keys come as
 * KeyObjects, made once: with a Buffer, Node makes one for each signature, 18 µs instead of 3.
 */
export function sign(keys: readonly KeyObject[], id: string, timestamp: number, body: Buffer): string {
  const signatures = keys.map((key) => {
    const digest = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64');
    return `v1,${digest}`;
  });
  return signatures.join(' ');
}
