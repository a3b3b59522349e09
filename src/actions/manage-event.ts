/** Cancels and moves single events. */
import type { AuditAction } from '../domain/audit.ts';
import type { Actor } from '../domain/caller.ts';
import { fail, type Problem, problem, type Result, succeed } from '../domain/errors.ts';
import { checkDue } from '../domain/event.ts';
import { FINAL_STATES } from '../domain/invocation.ts';
import { recordAudit } from '../store/audit.ts';
import type { Transaction } from '../store/database.ts';
import type { EventRow } from '../store/events.ts';
import {
  cancelInvocationsOf,
  type DueTime,
  type LockedEvent,
  lockEvent,
  lockTriggersOf,
  moveEvent,
} from '../store/manual-changes.ts';
import type { ManualWriter } from './manage-invocation.ts';
import { writing } from './writing.ts';

/** Cancelled again, the answer is the same. Attempts that are in flight are recorded when they end. */
export async function cancelEvent(
  { db, actor }: ManualWriter,
  { id }: { readonly id: string },
): Promise<Result<{ readonly event: EventRow; readonly cancelledCount: number }>> {
  return writing(db, async (tx) => {
    const locked = await lockEvent(tx, id);
    if (locked === null) return fail(noEvent(id));
    const { event, invocations } = locked;
    if (isOver(locked)) {
      const cancelled = invocations.length > 0 && invocations.every(({ status }) => status === 'CANCELLED');
      return cancelled ? succeed({ event, cancelledCount: 0 }) : fail(nothingLeft(locked));
    }
    await audit(tx, actor, 'EVENT_CANCELLED', event);
    return succeed({ event, cancelledCount: await cancelInvocationsOf(tx, id) });
  });
}

export interface Rescheduling extends DueTime {
  readonly id: string;
}

/** Moves the due time of an event of which no attempt has been made. A past time is due at once. */
export async function rescheduleEvent(
  { db, actor }: ManualWriter,
  { id, ...due }: Rescheduling,
): Promise<Result<EventRow>> {
  const problems = checkDue(due, new Date());
  if (problems.length > 0) return fail(...problems);
  return writing(db, async (tx) => {
    await lockTriggersOf(tx, id);
    const locked = await lockEvent(tx, id);
    if (locked === null) return fail(noEvent(id));
    const { event, invocations, isTaken } = locked;
    if (isOver(locked)) return fail(nothingLeft(locked));
    if (isTaken || invocations.some(({ attemptCount }) => attemptCount > 0)) {
      const message = 'its first attempt has begun, or is about to; it cannot be moved any more';
      return fail(problem('id', 'WRONG_STATE', message));
    }
    await audit(tx, actor, 'EVENT_RESCHEDULED', event, ['dueAt']);
    return succeed(await moveEvent(tx, id, due));
  });
}

function isOver({ invocations }: LockedEvent): boolean {
  return invocations.every(({ status }) => FINAL_STATES.includes(status));
}

function nothingLeft({ invocations }: LockedEvent): Problem {
  const message =
    invocations.length === 0
      ? 'no trigger matched it when it was queued, so nothing will be delivered'
      : 'all its invocations are finished';
  return problem('id', 'WRONG_STATE', message);
}

function audit(
  tx: Transaction,
  actor: Actor,
  action: AuditAction,
  { project, id, type: name }: EventRow,
  changes: readonly string[] = [],
): Promise<void> {
  return recordAudit(tx, actor, { action, project, id, name, changes });
}

function noEvent(id: string): Problem {
  return problem('id', 'NOT_FOUND', `no event ${JSON.stringify(id)}`);
}
