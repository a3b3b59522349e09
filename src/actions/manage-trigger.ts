/** Creates, changes, deletes, pauses and resumes triggers. */
import { isDeepStrictEqual } from 'node:util';
import type { EgressPolicy } from '../domain/address.ts';
import type { AuditAction } from '../domain/audit.ts';
import type { Actor } from '../domain/caller.ts';
import { fail, type Problem, type ProblemCode, problem, type Result, succeed } from '../domain/errors.ts';
import {
  checkName,
  checkSecret,
  checkTrigger,
  type PendingPolicy,
  type SignatureAlgorithm,
  type TriggerSettings,
  type TriggerStatus,
  type TriggerStatusReason,
} from '../domain/trigger.ts';
import { recordAudit } from '../store/audit.ts';
import { type Database, inTransaction, type Transaction } from '../store/database.ts';
import { constraintOf, translateDatabaseError } from '../store/database-errors.ts';
import type { SecretBox } from '../store/secrets.ts';
import {
  changeMaxAttempts,
  countHeld,
  countUnfinished,
  moveInvocations,
  noteRetriesChange,
} from '../store/trigger-invocations.ts';
import {
  ensureProject,
  insertTrigger,
  lockTrigger,
  type NewTriggerRow,
  newId,
  type TriggerRow,
  updateTrigger as writeTrigger,
} from '../store/triggers.ts';
import { resetPace } from '../store/turns.ts';
import { judgeUrl } from '../webhook/egress.ts';
import type { Moves } from './move-invocations.ts';
import { addSigningKey } from './signing-keys.ts';
import { sealHeaders, unknownMasked } from './trigger-headers.ts';

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

export interface NewTrigger extends TriggerSettings {
  readonly project: string;
  readonly signatureAlgorithm: SignatureAlgorithm;
  /** `whsec_…`; null generates a key. */
  readonly signingSecret: string | null;
  readonly paused: boolean;
}

/** Absent fields stay as they are. */
export interface TriggerChanges extends Partial<TriggerSettings> {
  readonly id: string;
  readonly expectedVersion: number | null;
  readonly status?: TriggerStatus;
}

export interface TriggerRemoval {
  readonly id: string;
  readonly expectedVersion: number | null;
  /** What becomes of unfinished invocations. */
  readonly pending: PendingPolicy;
}

export async function createTrigger(
  { db, secrets, egress, actor }: Omit<TriggerWriter, 'moves'>,
  input: NewTrigger,
): Promise<Result<{ readonly trigger: TriggerRow; readonly signingSecret: string }>> {
  const problems = [
    ...checkName('project', input.project),
    ...checkTrigger(input),
    ...checkUrl(input.url, egress),
    ...checkSecret(input.signingSecret, input.signatureAlgorithm),
  ];
  if (problems.length > 0) return fail(...problems);
  return writing(db, input.name, async (tx) => {
    await ensureProject(tx, input.project);
    const id = await newId(tx);
    const {
      project,
      signatureAlgorithm,
      signingSecret: given,
      paused,
      headers,
      retrySchedule,
      ...settings
    } = input;
    const trigger = await insertTrigger(tx, {
      ...settings,
      id,
      project,
      url: new URL(input.url).href,
      retrySchedule: retrySchedule === null ? null : [...retrySchedule],
      headers: sealHeaders(secrets, id, headers, []),
      ...(paused ? PAUSED_BY_HAND : {}),
    });
    const signingSecret = await addSigningKey(tx, secrets, id, signatureAlgorithm, given);
    await audit(tx, actor, 'TRIGGER_CREATED', trigger);
    return succeed({ trigger, signingSecret });
  });
}

/** Pending invocations use the new settings from their next attempt on. */
export async function updateTrigger(
  { db, secrets, egress, moves, actor }: TriggerWriter,
  changes: TriggerChanges,
): Promise<Result<TriggerRow>> {
  const { id, expectedVersion, status, headers, ...settings } = changes;
  const problems = [
    ...checkTrigger({ ...settings, ...(headers && { headers }) }),
    ...(settings.url === undefined ? [] : checkUrl(settings.url, egress)),
    ...(status === 'PAUSED'
      ? [problem('status', 'INVALID', 'expected ACTIVE or DISABLED; use pauseTrigger to hold')]
      : []),
  ];
  if (problems.length > 0) return fail(...problems);
  const updated = await writing(db, settings.name ?? '', async (tx) => {
    const before = await lockTrigger(tx, id);
    const refusal = refuse(before, id, expectedVersion);
    if (before === null || refusal !== null) return fail(refusal ?? notFound(id));
    const kept = headers && unknownMasked(headers, before.headers);
    if (kept !== undefined && kept.length > 0) return fail(...kept);
    if (settings.retries !== undefined && settings.retries !== before.retries) {
      await noteRetriesChange(tx, id, settings.retries - before.retries);
      await changeMaxAttempts(tx, id);
    }
    if (settings.maxPerMinute !== undefined && settings.maxPerMinute !== before.maxPerMinute) {
      await resetPace(tx, id);
    }
    const row = await writeTrigger(tx, id, {
      ...columnsOf(settings),
      ...(headers && { headers: sealHeaders(secrets, id, headers, before.headers) }),
      ...(status === undefined || status === before.status ? {} : statusColumns(status, 'MANUAL')),
    });
    await audit(tx, actor, 'TRIGGER_UPDATED', row, changedSettings(before, row));
    // ACTIVE through updateTrigger also ends a pause, so what was held is let go.
    if (row.status !== before.status) await moveInvocations(tx, id);
    return succeed(row);
  });
  if (updated.ok) moves.start(id);
  return updated;
}

export async function deleteTrigger(
  { db, moves, actor }: TriggerWriter,
  { id, expectedVersion, pending }: TriggerRemoval,
): Promise<Result<{ readonly id: string; readonly cancelledCount: number }>> {
  const deleted = await writing(db, '', async (tx) => {
    const before = await lockTrigger(tx, id);
    const refusal = refuse(before, id, expectedVersion);
    if (before === null || refusal !== null) return fail(refusal ?? notFound(id));
    await audit(tx, actor, 'TRIGGER_DELETED', before);
    // First the deletion, so that no event queued meanwhile adds an invocation that is then overlooked.
    const finishing = pending === 'FINISH' ? statusColumns('ACTIVE', null) : {};
    await writeTrigger(tx, id, { ...finishing, deletedAt: new Date(), pendingPolicy: pending });
    const cancelledCount = pending === 'CANCEL' ? await countUnfinished(tx, id) : 0;
    await moveInvocations(tx, id);
    return succeed({ id, cancelledCount });
  });
  if (deleted.ok) moves.start(id);
  return deleted;
}

export async function pauseTrigger(
  { db, moves, actor }: TriggerWriter,
  { id }: { readonly id: string },
): Promise<Result<TriggerRow>> {
  const paused = await writing(db, '', async (tx) => {
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

/** Pauses a trigger whose row is locked, and holds the first of its waiting invocations; `Moves` holds the others. */
export async function holdTrigger(
  tx: Transaction,
  id: string,
  reason: TriggerStatusReason,
): Promise<TriggerRow> {
  const row = await writeTrigger(tx, id, statusColumns('PAUSED', reason));
  await moveInvocations(tx, id);
  return row;
}

export async function resumeTrigger(
  { db, moves, actor }: TriggerWriter,
  { id }: { readonly id: string },
): Promise<Result<{ readonly trigger: TriggerRow; readonly releasedCount: number }>> {
  const resumed = await writing(db, '', async (tx) => {
    const before = await lockTrigger(tx, id);
    if (before === null) return fail(notFound(id));
    if (before.status !== 'PAUSED') {
      return fail(problem('id', 'WRONG_STATE', `expected a PAUSED trigger, this one is ${before.status}`));
    }
    await audit(tx, actor, 'TRIGGER_RESUMED', before);
    const trigger = await writeTrigger(tx, id, statusColumns('ACTIVE', null));
    const releasedCount = await countHeld(tx, id);
    await moveInvocations(tx, id);
    return succeed({ trigger, releasedCount });
  });
  if (resumed.ok) moves.start(id);
  return resumed;
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

/** Names of what differs, whether it was asked for or followed. */
function changedSettings(before: TriggerRow, after: TriggerRow): readonly string[] {
  const kept = new Set(['version', 'updatedAt', 'statusChangedAt']);
  return Object.entries(after)
    .filter(([name, value]) => !kept.has(name) && !isDeepStrictEqual(value, Reflect.get(before, name)))
    .map(([name]) => name);
}

const PAUSED_BY_HAND = { status: 'PAUSED', statusReason: 'MANUAL' } as const;

function statusColumns(status: TriggerStatus, reason: TriggerStatusReason | null): Partial<NewTriggerRow> {
  return { status, statusReason: status === 'ACTIVE' ? null : reason, statusChangedAt: new Date() };
}

/** The columns of the settings that are given; headers apart, they need the secret box. */
function columnsOf(settings: Partial<Omit<TriggerSettings, 'headers'>>): Partial<NewTriggerRow> {
  const { retrySchedule, url, ...plain } = settings;
  return {
    ...plain,
    ...(retrySchedule !== undefined && { retrySchedule: retrySchedule === null ? null : [...retrySchedule] }),
    ...(url !== undefined && { url: new URL(url).href }),
  };
}

function checkUrl(url: string, egress: EgressPolicy): readonly Problem[] {
  const verdict = judgeUrl(url, egress);
  return verdict.ok ? [] : [problem('url', verdict.code satisfies ProblemCode, verdict.message)];
}

function refuse(row: TriggerRow | null, id: string, expectedVersion: number | null): Problem | null {
  if (row === null) return notFound(id);
  if (expectedVersion === null || expectedVersion === row.version) return null;
  const message = `expected version ${expectedVersion}, the trigger is at version ${row.version}`;
  return problem('expectedVersion', 'VERSION_CONFLICT', message);
}

export function notFound(id: string): Problem {
  return problem('id', 'NOT_FOUND', `no trigger ${id}`);
}

/** Runs `work` in a transaction that a refusal rolls back; a taken name is a problem, not an error. */
export async function writing<T>(
  db: Database,
  name: string,
  work: (tx: Transaction) => Promise<Result<T>>,
): Promise<Result<T>> {
  try {
    return await inTransaction(db, work);
  } catch (error) {
    if (constraintOf(error) === 'triggers_name_is_taken_once') {
      return fail(problem('name', 'TAKEN', `the name ${JSON.stringify(name)} is taken in this project`));
    }
    throw translateDatabaseError(error);
  }
}
