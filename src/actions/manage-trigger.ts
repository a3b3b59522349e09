/** Creates, changes and deletes triggers. */
import { isDeepStrictEqual } from 'node:util';
import type { EgressPolicy } from '../domain/address.ts';
import { fail, type Problem, type ProblemCode, problem, type Result, succeed } from '../domain/errors.ts';
import {
  checkName,
  checkSecret,
  checkTrigger,
  type PendingPolicy,
  type SignatureAlgorithm,
  type TriggerSettings,
  type TriggerStatus,
} from '../domain/trigger.ts';
import { forgetFailures } from '../store/failing-triggers.ts';
import {
  changeMaxAttempts,
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
import { addSigningKey } from './signing-keys.ts';
import { sealHeaders, unknownMasked } from './trigger-headers.ts';
import { audit, notFound, statusColumns, type TriggerWriter, writingName } from './write-trigger.ts';
import { writing } from './writing.ts';

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
  return writingName(db, input.name, async (tx) => {
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
  const updated = await writingName(db, settings.name ?? '', async (tx) => {
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
    if (row.status !== before.status || row.url !== before.url) await forgetFailures(tx, id);
    return succeed(row);
  });
  if (updated.ok) moves.start(id);
  return updated;
}

export async function deleteTrigger(
  { db, moves, actor }: TriggerWriter,
  { id, expectedVersion, pending }: TriggerRemoval,
): Promise<Result<{ readonly id: string; readonly cancelledCount: number }>> {
  const deleted = await writing(db, async (tx) => {
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

/** Names of what differs, whether it was asked for or followed. */
function changedSettings(before: TriggerRow, after: TriggerRow): readonly string[] {
  const kept = new Set(['version', 'updatedAt', 'statusChangedAt']);
  return Object.entries(after)
    .filter(([name, value]) => !kept.has(name) && !isDeepStrictEqual(value, Reflect.get(before, name)))
    .map(([name]) => name);
}

const PAUSED_BY_HAND = { status: 'PAUSED', statusReason: 'MANUAL' } as const;

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
