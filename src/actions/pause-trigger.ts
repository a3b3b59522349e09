/** Pauses and resumes triggers. */
import { HERALD } from '../domain/caller.ts';
import { fail, problem, type Result, succeed } from '../domain/errors.ts';
import type { TriggerStatusReason } from '../domain/trigger.ts';
import { type Database, inTransaction, limitWaitForLocks, type Transaction } from '../store/database.ts';
import { forgetFailures } from '../store/failing-triggers.ts';
import { countHeld, moveInvocations } from '../store/trigger-invocations.ts';
import { lockTrigger, type TriggerRow, updateTrigger as writeTrigger } from '../store/triggers.ts';
import { audit, notFound, statusColumns, type TriggerWriter } from './write-trigger.ts';
import { writing } from './writing.ts';

export async function pauseTrigger(
  { db, moves, actor }: TriggerWriter,
  { id }: { readonly id: string },
): Promise<Result<TriggerRow>> {
  const paused = await writing(db, async (tx) => {
    const before = await lockTrigger(tx, id);
    if (before === null) return fail(notFound(id));
    if (before.status === 'DISABLED') {
      return fail(problem('id', 'WRONG_STATE', 'expected an ACTIVE trigger, this one is DISABLED'));
    }
    if (before.status === 'PAUSED') return succeed(before);
    await audit(tx, actor, 'TRIGGER_PAUSED', before);
    return succeed(await holdTrigger(tx, id, 'MANUAL'));
  });
  if (paused.ok) moves.start(id);
  return paused;
}

interface HeraldsPause {
  readonly reason: TriggerStatusReason;
  readonly isDue?: (tx: Transaction) => Promise<boolean>;
  /** How long it waits for the trigger's row; null for as long as statements may take. */
  readonly lockWaitMs?: number | null;
}

/**
 * Pauses an ACTIVE trigger on Herald's own account, where `isDue` says so once its row is locked: it rests until a
 * person resumes it. Null where it was not paused. Errors: 55P03 after
 * `lockWaitMs`.
 */
export async function pauseAsHerald(
  db: Database,
  id: string,
  { reason, isDue = async () => true, lockWaitMs = null }: HeraldsPause,
): Promise<TriggerRow | null> {
  return inTransaction(db, async (tx) => {
    if (lockWaitMs !== null) await limitWaitForLocks(tx, lockWaitMs);
    const trigger = await lockTrigger(tx, id);
    if (trigger?.status !== 'ACTIVE' || !(await isDue(tx))) return null;
    await audit(tx, HERALD, 'TRIGGER_PAUSED', trigger);
    return holdTrigger(tx, id, reason);
  });
}

/** Pauses a trigger whose row is locked, and holds the first of its waiting invocations; `Moves` holds the others. */
async function holdTrigger(tx: Transaction, id: string, reason: TriggerStatusReason): Promise<TriggerRow> {
  const row = await writeTrigger(tx, id, statusColumns('PAUSED', reason));
  await moveInvocations(tx, id);
  return row;
}

export async function resumeTrigger(
  { db, moves, actor }: TriggerWriter,
  { id }: { readonly id: string },
): Promise<Result<{ readonly trigger: TriggerRow; readonly releasedCount: number }>> {
  const resumed = await writing(db, async (tx) => {
    const before = await lockTrigger(tx, id);
    if (before === null) return fail(notFound(id));
    if (before.status !== 'PAUSED') {
      return fail(problem('id', 'WRONG_STATE', `expected a PAUSED trigger, this one is ${before.status}`));
    }
    await audit(tx, actor, 'TRIGGER_RESUMED', before);
    const trigger = await writeTrigger(tx, id, statusColumns('ACTIVE', null));
    const releasedCount = await countHeld(tx, id);
    await moveInvocations(tx, id);
    await forgetFailures(tx, id);
    return succeed({ trigger, releasedCount });
  });
  if (resumed.ok) moves.start(id);
  return resumed;
}
