/** Replaces the key that a trigger's requests are signed with. */
import { fail, problem, type Result, succeed } from '../domain/errors.ts';
import { checkGraceHours, checkSecret, MAX_LIVE_KEYS, type SignatureAlgorithm } from '../domain/trigger.ts';
import { removeExpiredKeys, retireKeys } from '../store/signing-keys.ts';
import {
  findSigningKeys,
  lockTrigger,
  type TriggerRow,
  updateTrigger as writeTrigger,
} from '../store/triggers.ts';
import { addSigningKey } from './signing-keys.ts';
import { audit, notFound, type TriggerWriter } from './write-trigger.ts';
import { writing } from './writing.ts';

export interface SecretRotation {
  readonly id: string;
  /** Hours the replaced keys go on signing; 0 ends them at once. */
  readonly gracePeriodHours: number;
  /** Null keeps the scheme of the current key. */
  readonly signatureAlgorithm: SignatureAlgorithm | null;
  /** `whsec_…`; null generates a key. */
  readonly signingSecret: string | null;
}

/**
 * Adds a key, which signs first from the next attempt on. The replaced one goes on signing beside it for the grace
 * period, older ones for no longer than that, and what has expired is removed.
 */
export async function rotateTriggerSecret(
  { db, secrets, actor }: TriggerWriter,
  { id, gracePeriodHours, signatureAlgorithm, signingSecret: given }: SecretRotation,
): Promise<Result<{ readonly trigger: TriggerRow; readonly signingSecret: string }>> {
  const hours = checkGraceHours(gracePeriodHours);
  if (hours.length > 0) return fail(...hours);
  return writing(db, async (tx) => {
    const before = await lockTrigger(tx, id);
    if (before === null) return fail(notFound(id));
    await removeExpiredKeys(tx, id);
    const live = await findSigningKeys(tx, [id]);
    const algorithm = signatureAlgorithm ?? live[0]?.algorithm ?? 'HMAC_SHA256';
    const problems = checkSecret(given, algorithm);
    if (problems.length > 0) return fail(...problems);
    if (gracePeriodHours > 0 && live.length >= MAX_LIVE_KEYS) {
      const message =
        `expected fewer than ${MAX_LIVE_KEYS} keys to sign at once, this would be one more: ` +
        'wait until one expires, or end the old ones with gracePeriodHours: 0';
      return fail(problem('gracePeriodHours', 'WRONG_STATE', message));
    }
    await retireKeys(tx, id, gracePeriodHours);
    const signingSecret = await addSigningKey(tx, secrets, id, algorithm, given);
    await audit(tx, actor, 'TRIGGER_SECRET_ROTATED', before);
    // A new version: deliveries see by it that the keys they cached are not the last word.
    return succeed({ trigger: await writeTrigger(tx, id, {}), signingSecret });
  });
}
