/** A trigger's own headers at rest: secret values sealed, each to its trigger and name. */
import { type Problem, problem } from '../domain/errors.ts';
import { MASKED, type TriggerHeader } from '../domain/trigger.ts';
import type { StoredHeader } from '../store/schema.ts';
import type { SecretBox } from '../store/secrets.ts';

/** What to store of `headers`; a secret one given as `***` keeps the value it has in `before`. */
export function sealHeaders(
  secrets: SecretBox,
  triggerId: string,
  headers: readonly TriggerHeader[],
  before: readonly StoredHeader[],
): readonly StoredHeader[] {
  return headers.map(({ name: given, value, secret }) => {
    const name = given.toLowerCase();
    if (!secret) return { name, value, secret };
    const stored =
      value === MASKED ? before.find((header) => header.secret && header.name === name) : undefined;
    return stored ?? { name, value: secrets.seal(headerPlace(triggerId, name), Buffer.from(value)), secret };
  });
}

/** Where the value of a trigger's secret header stands. */
export function headerPlace(triggerId: string, name: string): `triggers.${string}.headers/${string}` {
  return `triggers.${triggerId}.headers/${name}`;
}

/** Problems of secret headers given as `***` of which there is nothing to keep. */
export function unknownMasked(
  headers: readonly TriggerHeader[],
  before: readonly StoredHeader[],
): readonly Problem[] {
  return headers.flatMap(({ name, value, secret }, index) => {
    const known = before.some((header) => header.secret && header.name === name.toLowerCase());
    if (!secret || value !== MASKED || known) return [];
    const message = `expected the value of header ${name}: there is no stored one to keep`;
    return [problem(['headers', String(index), 'value'], 'HEADER_NOT_ALLOWED', message)];
  });
}
