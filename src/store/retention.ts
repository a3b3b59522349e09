/** Takes away what nobody needs any more, so that no table grows without bound. */
import { sql } from 'drizzle-orm';
import { firstUuidOf } from '../domain/uuid.ts';
import { pruneApiKeys } from './api-keys.ts';
import { idArray } from './arrays.ts';
import { AUDIT_KEPT_DAYS, pruneAudit } from './audit.ts';
import { pruneBulkOperations } from './bulk-operations.ts';
import { type Database, inTransaction } from './database.ts';
import { pruneStats } from './stats-fold.ts';

/** How long the change log is kept: subscribers that were away for longer read the state anew. */
export const CHANGES_KEPT_MINUTES = 60;
/** Statements of one round, so that a round ends. */
const MAX_STATEMENTS = 200;
/** Rows a statement removes: fractions of a second, so that deliveries hardly notice. */
const BATCH = 1000;

/** Removes what is too old, in short statements, until nothing is left of it. `days` is how long events are kept. */
export async function prune(db: Database, days: number): Promise<void> {
  const removals = [
    pruneChanges,
    pruneKeys,
    pruneStats,
    pruneApiKeys,
    pruneBulkOperations,
    (on: Database) => pruneAudit(on, oldestKept(AUDIT_KEPT_DAYS)),
    (on: Database) => pruneEvents(on, days),
    (on: Database) => pruneTriggers(on, days),
  ];
  for (const remove of removals) {
    for (let statement = 0; statement < MAX_STATEMENTS; statement++) {
      if ((await remove(db)) < BATCH) break;
    }
  }
}

/**
 * Removes what had committed an hour ago from the change log. When a row was written does not say that: its transaction
 * may have committed just now. So a mark is kept of where the log stood each minute; the oldest one tells readers how
 * far back the log is complete, in the statement that removes the rows. Returns how many were removed.
 */
async function pruneChanges(db: Database): Promise<number> {
  const [row] = await db.execute<{ count: number }>(sql`
    with marked as (
      insert into herald.change_marks (at)
      select now() where not exists (
        select from herald.change_marks m where m.at > now() - interval '50 seconds')
    ),
    -- Marks ahead of the server come from another one, by way of a backup; so do rows.
    foreign_marks as (
      delete from herald.change_marks m
        where pg_snapshot_xmax(m.snapshot::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot())
    ),
    horizon as materialized (
      select m.at, m.snapshot::pg_snapshot as snapshot from herald.change_marks m
        where m.at <= now() - make_interval(mins => ${CHANGES_KEPT_MINUTES})
          and pg_snapshot_xmax(m.snapshot::pg_snapshot) <= pg_snapshot_xmax(pg_current_snapshot())
        order by m.at desc
        limit 1
    ),
    old_marks as (
      delete from herald.change_marks m using horizon h where m.at < h.at
    ),
    old_changes as (
      delete from herald.changes c
        where c.id = any(array(
            select o.id from herald.changes o, horizon h
              where o.xid < pg_snapshot_xmax(h.snapshot) and pg_visible_in_snapshot(o.xid, h.snapshot)
              order by o.xid, o.id
              limit ${BATCH}))
          or c.xid >= pg_snapshot_xmax(pg_current_snapshot())
        returning 1
    )
    select count(*)::int as count from old_changes`);
  return row?.count ?? 0;
}

/** Removes outlived idempotency keys. Returns how many. */
async function pruneKeys(db: Database): Promise<number> {
  const [row] = await db.execute<{ count: number }>(sql`
    with old_keys as (
      delete from herald.idempotency_keys k
        where (k.project, k.key) in (
          select project, key from herald.idempotency_keys
            where created_at < now() - interval '24 hours'
            order by created_at
            limit ${BATCH}
        )
        returning 1
    )
    select count(*)::int as count from old_keys`);
  return row?.count ?? 0;
}

/**
 * Removes events older than `days` that are finished, with their invocations and attempts. Returns how many. Ids are
 * UUIDv7, so "older" is a range of the primary key. First they are locked, then looked at again: somebody may have
 * asked for another attempt in between (`lockInvocation`).
 */
async function pruneEvents(db: Database, days: number): Promise<number> {
  const isOver = sql`not exists (
    select from herald.invocations i
      where i.event_id = e.id
        and (i.status not in ('SUCCEEDED', 'FAILED', 'CANCELLED')
          or i.finished_at > now() - make_interval(days => ${days})))`;
  return inTransaction(db, async (tx) => {
    const locked = await tx.execute<{ id: string }>(sql`
      select e.id from herald.events e
        where e.id < ${oldestKept(days)}::uuid and ${isOver}
        order by e.id
        limit ${BATCH}
        for update skip locked`);
    if (locked.length === 0) return 0;
    const [row] = await tx.execute<{ count: number }>(sql`
      with old as materialized (
        select e.id from herald.events e
          where e.id = any(${idArray(locked.map(({ id }) => id))}::uuid[]) and ${isOver}
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
  });
}

/**
 * Removes triggers deleted longer than `days` ago of which no invocation is left, with their keys and all that was
 * counted of them. Returns how many.
 */
async function pruneTriggers(db: Database, days: number): Promise<number> {
  const [row] = await db.execute<{ count: number }>(sql`
    with gone as materialized (
      select t.id from herald.triggers t
        where t.deleted_at < now() - make_interval(days => ${days})
          and not exists (select from herald.invocations i where i.trigger_id = t.id)
          -- What became of the last ones is counted first.
          and not exists (select from herald.tallies l where l.trigger_id = t.id)
        order by t.id
        limit ${BATCH}
        for update skip locked
    ),
    no_keys as (delete from herald.signing_keys k using gone g where k.trigger_id = g.id),
    no_counts as (delete from herald.trigger_counts c using gone g where c.trigger_id = g.id),
    no_pace as (delete from herald.paces p using gone g where p.trigger_id = g.id),
    no_stats as (delete from herald.stats s using gone g where s.scope = 'trigger/' || g.id),
    removed as (delete from herald.triggers t using gone g where t.id = g.id returning 1)
    select count(*)::int as count from removed`);
  return row?.count ?? 0;
}

function oldestKept(days: number): string {
  return firstUuidOf(Date.now() - days * 86_400_000);
}
