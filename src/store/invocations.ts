/** Invocations: loaded for delivery in batches, read by id, listed. */
import { and, eq, gte, inArray, lte, or, type SQL, sql } from 'drizzle-orm';
import type { AttemptErrorCode } from '../domain/attempt.ts';
import type { FailureReason, InvocationStatus } from '../domain/invocation.ts';
import type { TriggerStatus } from '../domain/trigger.ts';
import { idArray } from './arrays.ts';
import type { Database, Executor } from './database.ts';
import { repeatingConflicts } from './database-errors.ts';
import { type DateRange, within } from './events.ts';
import {
  type CappedCount,
  countRows,
  countRowsOf,
  type Page,
  type PageArgs,
  readPage,
  readPages,
  type Sort,
} from './pages.ts';
import { prepareFind, runPrepared } from './prepared.ts';
import { events, invocations } from './schema.ts';

export type InvocationRow = typeof invocations.$inferSelect;

/** All that a delivery needs beside its trigger's settings, which are cached by version. */
export interface Delivery {
  readonly id: string;
  readonly eventId: string;
  readonly triggerId: string;
  readonly state: InvocationRow['status'];
  readonly attemptCount: number;
  readonly maxAttempts: number;
  readonly manualAttempt: number | null;
  readonly attemptsBeforeReset: number;
  readonly type: string;
  readonly source: string;
  readonly data: string;
  /** Epoch milliseconds. */
  readonly dueAtMs: number;
  readonly project: string;
  readonly traceparent: string | null;
  readonly tracestate: string | null;
  readonly triggerVersion: number;
  readonly triggerStatus: TriggerStatus;
}

/**
 * Loads what concurrent deliveries need in one statement; answers in order, null where the invocation is gone.
 * Asked again where a migration and it waited for one another.
 */
export async function loadDeliveries(
  db: Database,
  ids: readonly string[],
): Promise<readonly (Delivery | null)[]> {
  const rows = await repeatingConflicts(async () =>
    runPrepared<Delivery>(db, LOAD_DELIVERIES, [idArray(ids)]),
  );
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => byId.get(id) ?? null);
}

const LOAD_DELIVERIES = `
  select
      i.id, i.event_id as "eventId", i.trigger_id as "triggerId", i.status as state,
      i.attempt_count as "attemptCount", i.max_attempts as "maxAttempts",
      i.manual_attempt as "manualAttempt", i.attempts_before_reset as "attemptsBeforeReset", e.type, e.source,
      -- An event whose data retention removed has no unfinished invocations; null keeps the body valid JSON.
      coalesce(e.data, 'null') as data,
      (extract(epoch from e.due_at) * 1000)::float8 as "dueAtMs", e.project, e.traceparent, e.tracestate,
      t.version as "triggerVersion", t.status as "triggerStatus"
    from herald.invocations i
    join herald.events e on e.id = i.event_id
    join herald.triggers t on t.id = i.trigger_id
    where i.id = any($1::uuid[])`;

/** Invocations by id, in any order; missing ones are absent. */
export const findInvocations = prepareFind(invocations);

export interface InvocationFilter {
  readonly project?: string | null | undefined;
  /** Those the caller may see; null for all. */
  readonly projects?: readonly string[] | null | undefined;
  readonly triggerId?: readonly string[] | null | undefined;
  readonly eventId?: string | null | undefined;
  readonly eventType?: readonly string[] | null | undefined;
  readonly status?: readonly InvocationStatus[] | null | undefined;
  readonly failureReason?: readonly FailureReason[] | null | undefined;
  readonly lastErrorCode?: readonly AttemptErrorCode[] | null | undefined;
  readonly lastStatusCode?:
    | { readonly min?: number | null | undefined; readonly max?: number | null | undefined }
    | null
    | undefined;
  readonly createdAt?: DateRange | null | undefined;
}

export interface InvocationOrder {
  readonly field: 'CREATED_AT' | 'UPDATED_AT' | 'NEXT_ATTEMPT_AT';
  readonly direction: 'ASC' | 'DESC';
}

export async function listInvocations(
  db: Executor,
  filter: InvocationFilter,
  order: InvocationOrder,
  args: PageArgs,
): Promise<Page<InvocationRow>> {
  return readPage(db, invocations, args, invocationSort(order), invocationCondition(filter));
}

/** What invocations are listed under. */
export type InvocationParent = 'EVENT' | 'TRIGGER';

/** A page of each parent's invocations, in the parents' order. */
export async function listInvocationsOf(
  db: Executor,
  parent: { readonly kind: InvocationParent; readonly ids: readonly string[] },
  filter: InvocationFilter,
  order: InvocationOrder,
  args: PageArgs,
): Promise<readonly Page<InvocationRow>[]> {
  const parents = { ids: parent.ids, foreignKey: foreignKeyTo(parent.kind) };
  return readPages(db, invocations, parents, args, invocationSort(order), invocationCondition(filter));
}

/** How many matching invocations each parent has, in the parents' order. */
export async function countInvocationsOf(
  db: Executor,
  parent: { readonly kind: InvocationParent; readonly ids: readonly string[] },
  filter: InvocationFilter,
): Promise<readonly CappedCount[]> {
  const parents = { ids: parent.ids, foreignKey: foreignKeyTo(parent.kind) };
  return countRowsOf(db, invocations, parents, invocationCondition(filter));
}

function foreignKeyTo(parent: InvocationParent) {
  return parent === 'EVENT' ? invocations.eventId : invocations.triggerId;
}

export async function countInvocations(db: Executor, filter: InvocationFilter): Promise<CappedCount> {
  return countRows(db, invocations, invocationCondition(filter));
}

function invocationSort({ field, direction }: InvocationOrder): Sort {
  switch (field) {
    case 'CREATED_AT':
      return { name: field, key: null, direction };
    case 'UPDATED_AT':
      return {
        name: field,
        key: { expression: sql`${invocations.updatedAt}`, type: 'timestamptz' },
        direction,
      };
    case 'NEXT_ATTEMPT_AT': {
      // Those without a next attempt come last when ascending.
      const expression = sql`coalesce(${invocations.nextAttemptAt}, 'infinity')`;
      return { name: field, key: { expression, type: 'timestamptz' }, direction };
    }
  }
}

export function invocationCondition(filter: InvocationFilter): SQL | undefined {
  const { lastStatusCode } = filter;
  return and(
    filter.triggerId == null ? undefined : inArray(invocations.triggerId, [...filter.triggerId]),
    filter.eventId == null ? undefined : eq(invocations.eventId, filter.eventId),
    filter.status == null ? undefined : or(...filter.status.map(hasStatus), sql`false`),
    filter.failureReason == null ? undefined : inArray(invocations.failureReason, [...filter.failureReason]),
    filter.lastErrorCode == null ? undefined : inArray(invocations.lastErrorCode, [...filter.lastErrorCode]),
    lastStatusCode?.min == null ? undefined : gte(invocations.lastStatusCode, smallint(lastStatusCode.min)),
    lastStatusCode?.max == null ? undefined : lte(invocations.lastStatusCode, smallint(lastStatusCode.max)),
    ...within(invocations.createdAt, filter.createdAt),
    ofEvent(filter),
  );
}

/** Status codes fit a smallint; a caller's bound beyond it means the same as the type's own end. */
function smallint(value: number): number {
  return Math.max(-32_768, Math.min(value, 32_767));
}

function ofEvent({ project, projects, eventType }: InvocationFilter): SQL | undefined {
  if (project == null && projects == null && eventType == null) return undefined;
  const condition = and(
    eq(events.id, invocations.eventId),
    project == null ? undefined : eq(events.project, project),
    projects == null ? undefined : inArray(events.project, [...projects]),
    eventType == null ? undefined : inArray(events.type, [...eventType]),
  );
  return sql`exists (select from ${events} where ${condition})`;
}

/** `statusOf` (domain/invocation.ts) as a condition. */
function hasStatus(status: InvocationStatus): SQL | undefined {
  switch (status) {
    case 'SCHEDULED':
      return and(eq(invocations.status, 'PENDING'), sql`${invocations.nextAttemptAt} > now()`);
    case 'QUEUED':
      return and(eq(invocations.status, 'PENDING'), sql`${invocations.nextAttemptAt} <= now()`);
    default:
      return eq(invocations.status, status);
  }
}

/** All invocations of one event. */
export async function findInvocationsOfEvent(
  db: Executor,
  eventId: string,
): Promise<readonly InvocationRow[]> {
  return db.select().from(invocations).where(eq(invocations.eventId, eventId)).orderBy(invocations.id);
}
