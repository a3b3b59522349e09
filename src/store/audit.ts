/** The audit log: written in the transaction of the change, listed, bounded. */
import { and, eq, inArray, type SQL, sql } from 'drizzle-orm';
import type { AuditAction, AuditSubject } from '../domain/audit.ts';
import type { Actor } from '../domain/caller.ts';
import type { Database, Executor, Transaction } from './database.ts';
import { type DateRange, within } from './events.ts';
import { type CappedCount, countRows, type Page, type PageArgs, readPage, type Sort } from './pages.ts';
import { auditLog } from './schema.ts';

export type AuditRow = typeof auditLog.$inferSelect;

/** How long entries are kept: a year, so that last year's question can be answered. */
export const AUDIT_KEPT_DAYS = 365;
/** Entries a statement removes. */
const BATCH = 1000;

/** Writes down that `actor` did it. Whoever changes something calls this in the same transaction. */
export async function recordAudit(tx: Transaction, actor: Actor, subject: AuditSubject): Promise<void> {
  await tx.insert(auditLog).values({
    actorId: actor.id,
    actorName: actor.name,
    action: subject.action,
    project: subject.project,
    subjectId: subject.id,
    subjectName: subject.name,
    changes: subject.changes ?? [],
  });
}

export interface AuditFilter {
  readonly project?: string | null | undefined;
  /** Those the caller may see; null for all. */
  readonly projects?: readonly string[] | null | undefined;
  readonly action?: readonly AuditAction[] | null | undefined;
  readonly actorId?: string | null | undefined;
  readonly subjectId?: string | null | undefined;
  readonly at?: DateRange | null | undefined;
}

const NEWEST_FIRST: Sort = { name: 'AT', key: null, direction: 'DESC' };

export async function listAudit(db: Executor, filter: AuditFilter, args: PageArgs): Promise<Page<AuditRow>> {
  return readPage(db, auditLog, args, NEWEST_FIRST, condition(filter));
}

export async function countAudit(db: Executor, filter: AuditFilter): Promise<CappedCount> {
  return countRows(db, auditLog, condition(filter));
}

/** Removes entries made before the UUIDv7 `oldest`, a batch of them. Returns how many. */
export async function pruneAudit(db: Database, oldest: string): Promise<number> {
  const [row] = await db.execute<{ count: number }>(sql`
    with removed as (
      delete from herald.audit_log a
        where a.id in (
          select id from herald.audit_log where id < ${oldest}::uuid order by id limit ${BATCH}
        )
        returning 1
    )
    select count(*)::int as count from removed`);
  return row?.count ?? 0;
}

function condition(filter: AuditFilter): SQL | undefined {
  const { project, projects, action, actorId, subjectId, at } = filter;
  return and(
    project == null ? undefined : eq(auditLog.project, project),
    projects == null ? undefined : inArray(auditLog.project, [...projects]),
    action == null ? undefined : inArray(auditLog.action, [...action]),
    actorId == null ? undefined : eq(auditLog.actorId, actorId),
    subjectId == null ? undefined : eq(auditLog.subjectId, subjectId),
    ...within(auditLog.at, at),
  );
}
