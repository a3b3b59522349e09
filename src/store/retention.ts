/** Takes away what nobody needs any more, so that no table grows without bound. */
import { sql } from 'drizzle-orm';
import { pruneApiKeys } from './api-keys.ts';
import { AUDIT_KEPT_DAYS, pruneAudit } from './audit.ts';
import type { Database } from './database.ts';

/** How long the change log is kept: subscribers that were away for longer read the state anew. */
export const CHANGES_KEPT_MINUTES = 60;
/** Statements of one round, so that a round ends. */
const MAX_STATEMENTS = 200;
/** Rows a statement removes: fractions of a second, so that deliveries hardly notice. */
const BATCH = 1000;

/** Removes what is too old, in short statements, until nothing is left of it. `days` is how long events are kept. */
export async function prune(db: Database, days: number): Promise<void> {
  const removals = [
    pruneLogs,
    pruneApiKeys,
    (on: Database) => pruneAudit(on, oldestKept(AUDIT_KEPT_DAYS)),
    (on: Database) => pruneEvents(on, days),
  ];
  for (const remove of removals) {
    for (let statement = 0; statement < MAX_STATEMENTS; statement++) {
      if ((await remove(db)) < BATCH) break;
    }
  }
}

/** Removes old rows of the change log and outlived idempotency keys. Returns how many. */
async function pruneLogs(db: Database): Promise<number> {
  const [row] = await db.execute<{ count: number }>(sql`
    with old_changes as (
      delete from herald.changes c
        where c.id in (
          select id from herald.changes
            where at < now() - make_interval(mins => ${CHANGES_KEPT_MINUTES})
            order by at
            limit ${BATCH}
        )
        returning 1
    ),
    old_keys as (
      delete from herald.idempotency_keys k
        where (k.project, k.key) in (
          select project, key from herald.idempotency_keys
            where created_at < now() - interval '24 hours'
            order by created_at
            limit ${BATCH}
        )
        returning 1
    )
    select (select count(*)::int from old_changes) + (select count(*)::int from old_keys) as count`);
  return row?.count ?? 0;
}

/**
 * Removes events older than `days` that are finished, with their invocations and attempts. Returns how many. Ids are
 * UUIDv7, so "older" is a range of the primary key.
 */
async function pruneEvents(db: Database, days: number): Promise<number> {
  const [row] = await db.execute<{ count: number }>(sql`
    with old as materialized (
      select e.id from herald.events e
        where e.id < ${oldestKept(days)}::uuid
          and not exists (
            select from herald.invocations i
              where i.event_id = e.id
                and (i.status not in ('SUCCEEDED', 'FAILED', 'CANCELLED')
                  or i.finished_at > now() - make_interval(days => ${days})))
        order by e.id
        limit ${BATCH}
    ),
    fired as materialized (
      select i.id from herald.invocations i join old o on i.event_id = o.id
    ),
    no_attempts as (
      delete from herald.attempts a using fired f where a.invocation_id = f.id
    ),
    no_invocations as (
      delete from herald.invocations i using fired f where i.id = f.id
    ),
    removed as (
      delete from herald.events e using old o where e.id = o.id returning 1
    )
    select count(*)::int as count from removed`);
  return row?.count ?? 0;
}

/** The smallest UUIDv7 of the moment `days` ago. */
function oldestKept(days: number): string {
  const hex = (Date.now() - days * 86_400_000).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}
