/**
 * Triggers whose every attempt fails. Whoever folds tallies keeps in `trigger_counts`, in the row that it writes anyway,
 * when each trigger's failures began; so deliveries pay nothing for it, and it lags by the seconds between two folds.
 */
import { sql } from 'drizzle-orm';
import { idArray } from './arrays.ts';
import type { Executor, Transaction } from './database.ts';

/**
 * Days without any attempt, after which failing begins anew with the next one: a trigger that fires once a week and
 * misses twice has not failed for a week.
 */
const QUIET_DAYS = 2;
/** Triggers of one look at most. */
const MAX_FOUND = 100;

/**
 * What the rows `taken` of herald.tallies, with a column `succeeded_at` (the latest success among a trigger's rows), say
 * of a trigger. A row that counts both, of one transaction, counts as a success.
 */
export const ENDINGS = sql.raw(`
  max(x.succeeded_at), min(x.at) filter (where x.attempts_failed > 0 and (x.at <= x.succeeded_at) is not true),
  max(x.at) filter (where x.attempts_failed > 0)`);

/** How they change a row `c` of trigger_counts, as ON CONFLICT says it. Tallies may be folded in any order. */
export const ADD_ENDINGS = sql.raw(`
  succeeded_at = greatest(c.succeeded_at, excluded.succeeded_at),
  failing_since = least(
    case
      when (c.failing_since <= excluded.succeeded_at) is not true
        and (excluded.failing_since > c.failed_at + interval '${QUIET_DAYS} days') is not true
      then c.failing_since
    end,
    case when (excluded.failing_since <= c.succeeded_at) is not true then excluded.failing_since end),
  failed_at = greatest(c.failed_at, excluded.failed_at)`);

export interface FailingTrigger extends Record<string, unknown> {
  readonly id: string;
  /** When its failures began, as an RFC 3339 time; not before its status last changed. */
  readonly since: string;
}

/**
 * ACTIVE triggers with attempts that failed more than `hours` apart and none that succeeded since the first of them; of
 * them `id` alone, if that is given. A success counts too that is not folded yet, or was folded by a release that does
 * not keep `succeeded_at`: the statistics know of it, to the span.
 */
export async function findFailing(
  db: Executor,
  hours: number,
  id: string | null = null,
): Promise<readonly FailingTrigger[]> {
  return db.execute<FailingTrigger>(sql`
    select t.id, to_json(f.since at time zone 'UTC') #>> '{}' || 'Z' as since
      from herald.trigger_counts c
      join herald.triggers t on t.id = c.trigger_id
      cross join lateral (
        select greatest(c.failing_since, t.status_changed_at, max(s.start)) as since
          from herald.stats s
          where s.scope = 'trigger/' || t.id and s.attempts > s.attempts_failed and s.start > c.failing_since
      ) f
      where c.failed_at - c.failing_since > make_interval(hours => ${hours}::int)
        and c.failed_at > now() - make_interval(days => ${QUIET_DAYS}::int)
        and (${id}::uuid is null or t.id = ${id}::uuid)
        and t.status = 'ACTIVE' and t.deleted_at is null
        and c.failed_at - f.since > make_interval(hours => ${hours}::int)
        and not exists (
          select from herald.tallies l where l.trigger_id = t.id and l.attempts > l.attempts_failed)
      order by t.id
      limit ${MAX_FOUND}`);
}

/**
 * Since when every attempt of each trigger has failed, in the order of `ids`; null where the latest one that is counted
 * did not.
 */
export async function readFailingSince(
  db: Executor,
  ids: readonly string[],
): Promise<readonly (Date | null)[]> {
  const rows = await db.execute<{ id: string; since: string }>(sql`
    select t.id, greatest(c.failing_since, t.status_changed_at) as since
      from herald.trigger_counts c
      join herald.triggers t on t.id = c.trigger_id
      where t.id = any(${sql.param(idArray(ids))}::uuid[])
        and c.failed_at > t.status_changed_at and c.failing_since is not null`);
  const byId = new Map(rows.map(({ id, since }) => [id, new Date(since)]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** Failing begins anew with the next failure. The fold waits for the end of `tx`, so this comes last in it. */
export async function forgetFailures(tx: Transaction, triggerId: string): Promise<void> {
  await tx.execute(sql`
    update herald.trigger_counts set failing_since = null
      where trigger_id = ${triggerId} and failing_since is not null`);
}
