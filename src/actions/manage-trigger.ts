/** Creates, changes, deletes, pauses and resumes triggers. */
import { randomBytes } from 'node:crypto';
import type { EgressPolicy } from '../domain/address.ts';
import { fail, type Problem, type ProblemCode, problem, type Result, succeed } from '../domain/errors.ts';
import { formatSecret, secretBytes } from '../domain/signature.ts';
import {
  checkName,
  checkSecret,
  checkTrigger,
  type PendingPolicy,
  type TriggerSettings,
  type TriggerStatus,
  type TriggerStatusReason,
} from '../domain/trigger.ts';
import {
  constraintOf,
  type Database,
  inTransaction,
  type Transaction,
  translateDatabaseError,
} from '../store/database.ts';
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
  insertSigningKey,
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
import { sealHeaders, unknownMasked } from './trigger-headers.ts';

export interface TriggerDeps {
  readonly db: Database;
  readonly secrets: SecretBox;
  readonly egress: EgressPolicy;
  /** Moves the invocations that a change leaves behind. */
  readonly moves: Moves;
}

export interface NewTrigger extends TriggerSettings {
  readonly project: string;
  /** `whsec_…`; null generates one. */
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

/** Bytes of a generated signing secret: 256 bits, as Standard Webhooks' reference implementations make. */
const GENERATED_SECRET_BYTES = 32;

export async function createTrigger(
  { db, secrets, egress }: Omit<TriggerDeps, 'moves'>,
  input: NewTrigger,
): Promise<Result<{ readonly trigger: TriggerRow; readonly signingSecret: string }>> {
  const problems = [
    ...checkName('project', input.project),
    ...checkTrigger(input),
    ...checkUrl(input.url, egress),
    ...(input.signingSecret === null ? [] : checkSecret(input.signingSecret)),
  ];
  if (problems.length > 0) return fail(...problems);
  const key =
    (input.signingSecret && secretBytes(input.signingSecret)) || randomBytes(GENERATED_SECRET_BYTES);
  return writing(db, input.name, async (tx) => {
    await ensureProject(tx, input.project);
    const id = await newId(tx);
    const { project, signingSecret: _, paused, headers, retrySchedule, ...settings } = input;
    const trigger = await insertTrigger(tx, {
      ...settings,
      id,
      project,
      url: new URL(input.url).href,
      retrySchedule: retrySchedule === null ? null : [...retrySchedule],
      headers: sealHeaders(secrets, id, headers, []),
      ...(paused ? PAUSED_BY_HAND : {}),
    });
    const keyId = await newId(tx);
    const sealed = secrets.seal(`signing_keys.${keyId}.secret`, key);
    await insertSigningKey(tx, { id: keyId, triggerId: id, algorithm: 'HMAC_SHA256', secret: sealed });
    return succeed({ trigger, signingSecret: formatSecret(key) });
  });
}

/** Pending invocations use the new settings from their next attempt on. */
export async function updateTrigger(
  { db, secrets, egress, moves }: TriggerDeps,
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
    // ACTIVE through updateTrigger also ends a pause, so what was held is let go.
    if (row.status !== before.status) await moveInvocations(tx, id);
    return succeed(row);
  });
  if (updated.ok) moves.start(id);
  return updated;
}

export async function deleteTrigger(
  { db, moves }: TriggerDeps,
  { id, expectedVersion, pending }: TriggerRemoval,
): Promise<Result<{ readonly id: string; readonly cancelledCount: number }>> {
  const deleted = await writing(db, '', async (tx) => {
    const before = await lockTrigger(tx, id);
    const refusal = refuse(before, id, expectedVersion);
    if (before === null || refusal !== null) return fail(refusal ?? notFound(id));
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
  { db, moves }: TriggerDeps,
  { id }: { readonly id: string },
): Promise<Result<TriggerRow>> {
  const paused = await writing(db, '', async (tx) => {
    const before = await lockTrigger(tx, id);
    if (before === null) return fail(notFound(id));
    if (before.status === 'DISABLED') {
      return fail(problem('id', 'WRONG_STATE', 'expected an ACTIVE trigger, this one is DISABLED'));
    }
    return succeed(before.status === 'PAUSED' ? before : await holdTrigger(tx, id, 'MANUAL'));
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
  { db, moves }: TriggerDeps,
  { id }: { readonly id: string },
): Promise<Result<{ readonly trigger: TriggerRow; readonly releasedCount: number }>> {
  const resumed = await writing(db, '', async (tx) => {
    const before = await lockTrigger(tx, id);
    if (before === null) return fail(notFound(id));
    if (before.status !== 'PAUSED') {
      return fail(problem('id', 'WRONG_STATE', `expected a PAUSED trigger, this one is ${before.status}`));
    }
    const trigger = await writeTrigger(tx, id, statusColumns('ACTIVE', null));
    const releasedCount = await countHeld(tx, id);
    await moveInvocations(tx, id);
    return succeed({ trigger, releasedCount });
  });
  if (resumed.ok) moves.start(id);
  return resumed;
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

function notFound(id: string): Problem {
  return problem('id', 'NOT_FOUND', `no trigger ${id}`);
}

/** Runs `work` in a transaction that a refusal rolls back; a taken name is a problem, not an error. */
async function writing<T>(
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
