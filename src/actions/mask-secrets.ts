/** Keeps secret header values out of the attempt log when a receiver sends back what it was sent. */
import type { Header, Outcome } from '../domain/attempt.ts';
import { MASKED } from '../domain/trigger.ts';

/** Shorter values are found by chance, and guessed anyway. */
const MIN_MASKED_LENGTH = 6;

/** `outcome` with every occurrence of a secret in the response replaced by `***`. */
export function maskSecrets(outcome: Outcome, secrets: readonly string[]): Outcome {
  const { response } = outcome;
  if (secrets.length === 0 || response === null) return outcome;
  const sought = secrets.filter((secret) => secret.length >= MIN_MASKED_LENGTH);
  const headers = response.headers.map(([name, value]): Header => [name, maskedText(value, sought)]);
  return { ...outcome, response: { ...response, headers, body: maskedBody(response.body, sought) } };
}

function maskedText(text: string, secrets: readonly string[]): string {
  return secrets.reduce((masked, secret) => masked.replaceAll(secret, MASKED), text);
}

/** Through latin1, which keeps every byte as it is; secrets are ASCII. */
function maskedBody(body: Buffer, secrets: readonly string[]): Buffer {
  if (!secrets.some((secret) => body.includes(secret))) return body;
  return Buffer.from(maskedText(body.toString('latin1'), secrets), 'latin1');
}
