/** Retries and cancels single invocations. */
import type { AuditAction } from '../domain/audit.ts';
import type { Actor } from '../domain/caller.ts';
import { fail, type Problem, problem, type Result, succeed } from '../domain/errors.ts';
import { FINAL_STATES, MAX_ATTEMPTS, TRANSITIONS } from '../domain/invocation.ts';
import { recordAudit } from '../store/audit.ts';
import type { Database, Transaction } from '../store/database.ts';
import { findInvocations, type InvocationRow } from '../store/invocations.ts';
import {
  attemptNow,
  cancelInvocation as cancelRow,
  type LockedInvocation,
  lockInvocation,
  resetRetries,
} from '../store/manual-changes.ts';
import { writing } from './writing.ts';

/** What changes of single invocations and events need; each is written to the audit log in its own transaction. */
export interface ManualWriter {
  readonly db: Database;
  readonly actor: Actor;
}

export interface Retry {
  readonly id: string;
  /** Gives the invocation its trigger's number of retries again. */
  readonly resetRetries: boolean;
}

/**
 * Attempts an invocation now: one that failed for good gets one attempt more, one that waits for its time gets its next
 * one early. One that is due already is left where it stands: nothing would make it faster.
 */
export async function retryInvocation(
  { db, actor }: ManualWriter,
  { id, resetRetries: asked }: Retry,
): Promise<Result<InvocationRow>> {
  return writing(db, async (tx) => {
    const locked = await lockInvocation(tx, id);
    if (locked === null) return fail(noInvocation(id));
    const refusal = refuseRetry(locked);
    if (refusal !== null) return fail(refusal);
    const allowed = attemptsAllowed(locked, asked);
    if (locked.isDue && !asked) return succeed(locked.invocation);
    await audit(tx, actor, 'INVOCATION_RETRIED', locked, asked ? ['resetRetries'] : []);
    if (!locked.isDue) await attemptNow(tx, id, allowed);
    if (asked) await resetRetries(tx, id, allowed);
    return succeed(await read(tx, id));
  });
}

/** How many attempts it may have in all. One that failed gets one, whatever was left when it was given up. */
function attemptsAllowed({ invocation, trigger }: LockedInvocation, reset: boolean): number {
  const { status, attemptCount, maxAttempts } = invocation;
  const next = attemptCount + 1;
  const fresh = reset ? next + trigger.retries : next;
  return Math.min(status === 'FAILED' ? fresh : Math.max(fresh, maxAttempts), MAX_ATTEMPTS);
}

/** Cancelled again, the answer is the same. An attempt that is in flight is recorded when it ends. */
export async function cancelInvocation(
  { db, actor }: ManualWriter,
  { id }: { readonly id: string },
): Promise<Result<InvocationRow>> {
  return writing(db, async (tx) => {
    const locked = await lockInvocation(tx, id);
    if (locked === null) return fail(noInvocation(id));
    const { status } = locked.invocation;
    if (status === 'CANCELLED') return succeed(locked.invocation);
    if (FINAL_STATES.includes(status)) {
      return fail(problem('id', 'WRONG_STATE', `expected an unfinished invocation, this one is ${status}`));
    }
    await audit(tx, actor, 'INVOCATION_CANCELLED', locked);
    await cancelRow(tx, id);
    return succeed(await read(tx, id));
  });
}

/** Why no attempt can be made now; null where one can. */
function refuseRetry({ invocation, trigger, event }: LockedInvocation): Problem | null {
  const wrong = (message: string) => problem('id', 'WRONG_STATE', message);
  const { status, attemptCount } = invocation;
  if (trigger.status === 'PAUSED' && !['SUCCEEDED', 'CANCELLED'].includes(status)) {
    return wrong(`its trigger ${JSON.stringify(trigger.name)} is paused; resume it first`);
  }
  if (status === 'RUNNING') return wrong('an attempt is in flight; wait for its end');
  if (status === 'HELD') return wrong('its trigger is being resumed, and it goes by itself');
  if (TRANSITIONS[status].RENEW === null) {
    return wrong(`expected an unfinished or FAILED invocation, this one is ${status}`);
  }
  if (trigger.deletedAt !== null && (status === 'FAILED' || trigger.pendingPolicy === 'CANCEL')) {
    return wrong(`its trigger ${JSON.stringify(trigger.name)} was deleted`);
  }
  if (!event.hasData) return wrong('retention has removed its payload');
  if (attemptCount >= MAX_ATTEMPTS)
    return wrong(`it had ${attemptCount} attempts, which is the most there can be`);
  return null;
}

function audit(
  tx: Transaction,
  actor: Actor,
  action: AuditAction,
  { invocation: { id, triggerName: name }, event: { project } }: LockedInvocation,
  changes: readonly string[] = [],
): Promise<void> {
  return recordAudit(tx, actor, { action, project, id, name, changes });
}

async function read(tx: Transaction, id: string): Promise<InvocationRow> {
  const [row] = await findInvocations(tx, [id]);
  if (row === undefined) throw new Error(`invocation ${id} vanished while its row was locked`);
  return row;
}

function noInvocation(id: string): Problem {
  return problem('id', 'NOT_FOUND', `no invocation ${JSON.stringify(id)}`);
}
