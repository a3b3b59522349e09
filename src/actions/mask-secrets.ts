/** Keeps secret header values out of the attempt log when a receiver sends back what it was sent. */
import type { Header, Outcome } from '../domain/attempt.ts';
import { MASKED } from '../domain/trigger.ts';

/**
 * What may give the value of a secret header away: itself, the credentials behind an authentication scheme (RFC 9110
 * section 11.4), of Basic the password too, and each of them as base64 and in a URL.
 */
export function givingAway(value: string): readonly string[] {
  const [, scheme = '', credentials] = /^([\w-]+) +(\S.*)$/.exec(value) ?? [];
  const plain = [value, ...(credentials === undefined ? [] : [credentials])];
  if (scheme.toLowerCase() === 'basic' && credentials !== undefined) {
    const pair = Buffer.from(credentials, 'base64').toString('latin1');
    plain.push(pair, pair.slice(pair.indexOf(':') + 1));
  }
  const all = plain.flatMap((text) => [
    text,
    Buffer.from(text, 'latin1').toString('base64').replace(/=+$/, ''),
    encodeURIComponent(text),
  ]);
  // The longest first, or a part would be replaced and the rest left.
  return [...new Set(all)]
    .filter((text) => text.length >= MIN_MASKED_LENGTH)
    .sort((a, b) => b.length - a.length);
}

/** Shorter values are found by chance, and guessed anyway. */
const MIN_MASKED_LENGTH = 6;

/** `outcome` with every occurrence of `secrets` (`givingAway`) in the response replaced by `***`. */
export function maskSecrets(outcome: Outcome, secrets: readonly string[]): Outcome {
  const { response } = outcome;
  if (secrets.length === 0 || response === null) return outcome;
  const headers = response.headers.map(([name, value]): Header => [name, maskedText(value, secrets)]);
  return { ...outcome, response: { ...response, headers, body: maskedBody(response.body, secrets) } };
}

function maskedText(text: string, secrets: readonly string[]): string {
  return secrets.reduce((masked, secret) => masked.replaceAll(secret, MASKED), text);
}

/** Through latin1, which keeps every byte as it is; secrets are ASCII. */
function maskedBody(body: Buffer, secrets: readonly string[]): Buffer {
  if (!secrets.some((secret) => body.includes(secret))) return body;
  return Buffer.from(maskedText(body.toString('latin1'), secrets), 'latin1');
}
