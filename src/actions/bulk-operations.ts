/** Starts and stops jobs over many rows. */
import type { AuditAction } from '../domain/audit.ts';
import {
  type BulkOperationKind,
  MAX_ROWS_PER_MINUTE,
  MAX_RUNNING_OPERATIONS,
} from '../domain/bulk-operation.ts';
import { type Actor, onlyProject } from '../domain/caller.ts';
import { fail, type Problem, problem, type Result, succeed } from '../domain/errors.ts';
import { recordAudit } from '../store/audit.ts';
import {
  askedOf,
  type BulkFilter,
  type BulkOperationRow,
  endBulkOperation,
  insertBulkOperation,
  lockBulkOperation,
  lockRunning,
  type NewBulkOperation,
} from '../store/bulk-operations.ts';
import type { Database, Transaction } from '../store/database.ts';
import type { BulkRunner } from './bulk-runner.ts';
import { writing } from './writing.ts';

export interface BulkWriter {
  readonly db: Database;
  readonly runner: BulkRunner;
  readonly actor: Actor;
}

export async function startBulkOperation(
  { db, runner, actor }: BulkWriter,
  asked: NewBulkOperation,
): Promise<Result<BulkOperationRow>> {
  const problems = [...checkFilter(asked), ...checkProject(asked), ...checkPace(asked.maxPerMinute)];
  if (problems.length > 0) return fail(...problems);
  const started = await writing(db, async (tx) => {
    if ((await lockRunning(tx, asked.projects)) >= MAX_RUNNING_OPERATIONS) {
      const message = `expected fewer than ${MAX_RUNNING_OPERATIONS} bulk operations at work; wait until one ends`;
      return fail(problem([], 'LIMIT_EXCEEDED', message));
    }
    const operation = await insertBulkOperation(tx, asked);
    await audit(tx, actor, 'BULK_OPERATION_STARTED', operation, changesOf(asked));
    return succeed(operation);
  });
  if (started.ok) runner.start(started.value.id);
  return started;
}

/** Stops it where it is; what is done stays done. Asked again, it answers the same. */
export async function cancelBulkOperation(
  { db, actor }: Omit<BulkWriter, 'runner'>,
  id: string,
): Promise<Result<BulkOperationRow>> {
  return writing(db, async (tx) => {
    const operation = await lockBulkOperation(tx, id);
    if (operation === null) return fail(problem('id', 'NOT_FOUND', `no bulk operation ${id}`));
    if (operation.status === 'CANCELLED') return succeed(operation);
    if (operation.status !== 'RUNNING') {
      const message = `expected a RUNNING operation, this one is ${operation.status}`;
      return fail(problem('id', 'WRONG_STATE', message));
    }
    await audit(tx, actor, 'BULK_OPERATION_CANCELLED', operation, []);
    return succeed(await endBulkOperation(tx, id, 'CANCELLED'));
  });
}

function audit(
  tx: Transaction,
  actor: Actor,
  action: AuditAction,
  operation: BulkOperationRow,
  changes: readonly string[],
): Promise<void> {
  const { id, kind: name, projects } = operation;
  const project = askedOf(operation).filter.project ?? onlyProject(projects);
  return recordAudit(tx, actor, { action, project, id, name, changes });
}

/** Names of what was asked for, for the audit log. */
function changesOf({ filter, maxPerMinute }: NewBulkOperation): readonly string[] {
  return maxPerMinute === null ? namesIn(filter) : [...namesIn(filter), 'maxPerMinute'];
}

/** Characters of a filter, as it is kept: a hundred types as long as they get fit in. */
const MAX_FILTER_LENGTH = 64 * 1024;

/** Everything at once is nobody's wish; where it is, an interval says so. */
function checkFilter(asked: BulkFilter): readonly Problem[] {
  if (asked.kind === 'RETRY_INVOCATIONS') {
    const { status } = asked.filter;
    if (status != null && !(status.length === 1 && status[0] === 'FAILED')) {
      return [problem(['filter', 'status'], 'INVALID', 'expected no status but FAILED, which is implied')];
    }
  }
  if (!namesIn(asked.filter).some((name) => name !== NO_CONDITION[asked.kind])) {
    const message = `expected at least one condition${asked.kind === 'RETRY_INVOCATIONS' ? ' beside the status' : ''}`;
    return [problem('filter', 'REQUIRED', message)];
  }
  const text = JSON.stringify(asked.filter);
  if (text.length > MAX_FILTER_LENGTH) {
    const message = `expected a filter of at most ${MAX_FILTER_LENGTH} characters, got ${text.length}`;
    return [problem('filter', 'TOO_LARGE', message)];
  }
  const hasNul = text.includes('\\u0000');
  return hasNul ? [problem('filter', 'INVALID', 'expected text without U+0000')] : [];
}

/** What does not say which rows are meant: it is implied anyway, or says what becomes of them. */
const NO_CONDITION: Readonly<Record<BulkOperationKind, string | null>> = {
  RETRY_INVOCATIONS: 'status',
  CANCEL_EVENTS: null,
  REPLAY_EVENTS: 'triggerIds',
};

/** Names of what a filter asks for; the projects that the caller may see are not asked for. */
function namesIn({ projects: _, ...filter }: BulkFilter['filter']): readonly string[] {
  return Object.entries(filter).flatMap(([name, value]) => (isCondition(value) ? [name] : []));
}

/** A range is one where it has a bound. */
function isCondition(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value !== 'object' || value === null) return value != null;
  return Object.values(value).some((bound) => bound != null);
}

/** Whoever may not see a project leaves no trace in its audit log either. */
function checkProject({ filter: { project }, projects }: NewBulkOperation): readonly Problem[] {
  if (project == null || projects === null || projects.includes(project)) return [];
  return [problem(['filter', 'project'], 'NOT_FOUND', `no project ${JSON.stringify(project)}`)];
}

function checkPace(maxPerMinute: number | null): readonly Problem[] {
  if (maxPerMinute === null || (maxPerMinute >= 1 && maxPerMinute <= MAX_ROWS_PER_MINUTE)) return [];
  const message = `expected maxPerMinute to be 1 to ${MAX_ROWS_PER_MINUTE}, got ${maxPerMinute}`;
  return [problem('maxPerMinute', 'INVALID', message)];
}
