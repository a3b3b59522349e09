/** Starts jobs over many rows. */
import { MAX_RETRIES_PER_MINUTE, MAX_RUNNING_OPERATIONS } from '../domain/bulk-operation.ts';
import { type Actor, onlyProject } from '../domain/caller.ts';
import { fail, type Problem, problem, type Result, succeed } from '../domain/errors.ts';
import { recordAudit } from '../store/audit.ts';
import {
  type BulkFilter,
  type BulkOperationRow,
  insertBulkOperation,
  lockRunning,
  type NewBulkOperation,
} from '../store/bulk-operations.ts';
import type { Database } from '../store/database.ts';
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
    const { id, kind: name } = operation;
    const project = asked.filter.project ?? onlyProject(asked.projects);
    const changes = conditionsOf(asked);
    await recordAudit(tx, actor, { action: 'BULK_OPERATION_STARTED', project, id, name, changes });
    return succeed(operation);
  });
  if (started.ok) runner.start(started.value.id);
  return started;
}

/** Names of what was asked for, for the audit log. */
function conditionsOf({
  filter: { projects: _, ...conditions },
  maxPerMinute,
}: NewBulkOperation): readonly string[] {
  const given = Object.entries({ ...conditions, maxPerMinute }).filter(([, value]) => isCondition(value));
  return given.map(([name]) => name);
}

/** Everything at once is nobody's wish; where it is, an interval says so. */
function checkFilter({ kind, filter }: BulkFilter): readonly Problem[] {
  const { projects: _, status, ...others } = filter;
  const retrying = kind === 'RETRY_INVOCATIONS';
  if (retrying && status != null && !(status.length === 1 && status[0] === 'FAILED')) {
    return [problem(['filter', 'status'], 'INVALID', 'expected no status but FAILED, which is implied')];
  }
  const conditions: readonly unknown[] = Object.values(retrying ? others : { ...others, status });
  if (!conditions.some(isCondition)) {
    const message = `expected at least one condition${retrying ? ' beside the status' : ''}`;
    return [problem('filter', 'REQUIRED', message)];
  }
  const hasNul = JSON.stringify(conditions).includes('\\u0000');
  return hasNul ? [problem('filter', 'INVALID', 'expected text without U+0000')] : [];
}

/** A range is one where it has a bound. */
function isCondition(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value != null;
  return Object.values(value).some((bound) => bound != null);
}

/** Whoever may not see a project leaves no trace in its audit log either. */
function checkProject({ filter: { project }, projects }: NewBulkOperation): readonly Problem[] {
  if (project == null || projects === null || projects.includes(project)) return [];
  return [problem(['filter', 'project'], 'NOT_FOUND', `no project ${JSON.stringify(project)}`)];
}

function checkPace(maxPerMinute: number | null): readonly Problem[] {
  if (maxPerMinute === null || (maxPerMinute >= 1 && maxPerMinute <= MAX_RETRIES_PER_MINUTE)) return [];
  const message = `expected maxPerMinute to be 1 to ${MAX_RETRIES_PER_MINUTE}, got ${maxPerMinute}`;
  return [problem('maxPerMinute', 'INVALID', message)];
}
