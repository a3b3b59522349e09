/** What all changes of a trigger have in common: one transaction, its place in the audit log, refusals. */
import type { EgressPolicy } from '../domain/address.ts';
import type { AuditAction } from '../domain/audit.ts';
import type { Actor } from '../domain/caller.ts';
import { fail, type Problem, problem, type Result } from '../domain/errors.ts';
import type { TriggerStatus, TriggerStatusReason } from '../domain/trigger.ts';
import { recordAudit } from '../store/audit.ts';
import type { Database, Transaction } from '../store/database.ts';
import { constraintOf } from '../store/database-errors.ts';
import type { SecretBox } from '../store/secrets.ts';
import type { NewTriggerRow, TriggerRow } from '../store/triggers.ts';
import type { Moves } from './move-invocations.ts';
import { writing } from './writing.ts';

export interface TriggerDeps {
  readonly db: Database;
  readonly secrets: SecretBox;
  readonly egress: EgressPolicy;
  /** Moves the invocations that a change leaves behind. */
  readonly moves: Moves;
}

/** The same, on behalf of somebody: every change is written to the audit log in its own transaction. */
export interface TriggerWriter extends TriggerDeps {
  readonly actor: Actor;
}

/** Runs `work`, which may give a trigger the name `name`; a taken name is a problem, not an error. */
export async function writingName<T>(
  db: Database,
  name: string,
  work: (tx: Transaction) => Promise<Result<T>>,
): Promise<Result<T>> {
  try {
    return await writing(db, work);
  } catch (error) {
    if (constraintOf(error) !== 'triggers_name_is_taken_once') throw error;
    return fail(problem('name', 'TAKEN', `the name ${JSON.stringify(name)} is taken in this project`));
  }
}

/** Writes down who did what to a trigger, in the transaction that does it. */
export function audit(
  tx: Transaction,
  actor: Actor,
  action: AuditAction,
  { project, id, name }: TriggerRow,
  changes: readonly string[] = [],
): Promise<void> {
  return recordAudit(tx, actor, { action, project, id, name, changes });
}

export function statusColumns(
  status: TriggerStatus,
  reason: TriggerStatusReason | null,
): Partial<NewTriggerRow> {
  return { status, statusReason: status === 'ACTIVE' ? null : reason, statusChangedAt: new Date() };
}

export function notFound(id: string): Problem {
  return problem('id', 'NOT_FOUND', `no trigger ${id}`);
}
