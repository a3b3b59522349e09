/** Keeps secret header values out of the attempt log when a receiver sends back what it was sent. */
import type { Header, Outcome } from '../domain/attempt.ts';
import { MASKED } from '../domain/trigger.ts';

/**
 * What gives the values of secret headers away: themselves, the credentials behind an authentication scheme (RFC 9110
 * section 11.4), of Basic the pair and the password too; each of them also in JSON, in a URL and as base64.
 */
export function givingAway(values: readonly string[]): readonly string[] {
  const all = values.flatMap(plainForms).flatMap((text) => {
    const base64 = Buffer.from(text).toString('base64').replace(/=+$/, '');
    const inUrl = encodeURIComponent(text.toWellFormed());
    const inJson = [text, base64].map((one) => JSON.stringify(one).slice(1, -1));
    return [
      ...[text, base64, base64.replaceAll('+', '-').replaceAll('/', '_')],
      ...[inUrl, inUrl.replace(/%[\dA-F]{2}/g, (code) => code.toLowerCase())],
      // PHP escapes slashes.
      ...[...inJson, ...inJson.map((one) => one.replaceAll('/', '\\/'))],
    ];
  });
  // The longest first, or a part would be replaced and the rest left.
  return [...new Set(all)]
    .filter((text) => text.length >= MIN_MASKED_LENGTH)
    .sort((a, b) => b.length - a.length);
}

function plainForms(value: string): readonly string[] {
  const [, scheme = '', credentials] = /^([\w-]+) +(\S.*)$/.exec(value) ?? [];
  if (credentials === undefined) return [value];
  if (scheme.toLowerCase() !== 'basic') return [value, credentials];
  const pair = Buffer.from(credentials, 'base64').toString();
  return [value, credentials, pair, pair.slice(pair.indexOf(':') + 1)];
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

/** Through latin1, which keeps every byte as it is. */
function maskedBody(body: Buffer, secrets: readonly string[]): Buffer {
  const found = secrets.filter((secret) => body.includes(secret));
  if (found.length === 0) return body;
  const bytes = found.map((secret) => Buffer.from(secret).toString('latin1'));
  return Buffer.from(maskedText(body.toString('latin1'), bytes), 'latin1');
}
