/**
 * Turns of triggers with limits of their own, counted for all processes together. A trigger with `max_per_minute` has
 * a pace: the moment from which its next attempt may start (GCRA, the leaky bucket of ATM networks). One with
 * `max_concurrency` has a turn for each attempt in flight, which expires with the attempt's deadline: a process that
 * dies keeps nothing for longer than its attempts could have lasted.
 */
import { sql } from 'drizzle-orm';
import { idArray } from './arrays.ts';
import { type Database, type Executor, inTransaction, type Transaction } from './database.ts';

/** A delivery that asks for its turn. */
export interface Waiter {
  readonly invocationId: string;
  readonly triggerId: string;
}

/** How long a turn that was given may wait for its attempt to start, in seconds; it lasts this and the timeout. */
export const TURN_MARGIN_SECONDS = 10;
/** Attempts closer together than this, in seconds, may start together: waiting would cost more than it smooths. */
const TOLERANCE_SECONDS = 0.05;

/** Locks the paces of those triggers that have limits, in order, so that whoever counts then counts alone. */
export async function lockPaces(tx: Transaction, triggerIds: readonly string[]): Promise<void> {
  await tx.execute(sql`
    insert into herald.paces (trigger_id)
    select t.id from herald.triggers t
      where t.id = any(${idArray(triggerIds)}::uuid[])
        and (t.max_concurrency is not null or t.max_per_minute is not null)
      order by t.id
    on conflict (trigger_id) do update set trigger_id = excluded.trigger_id`);
}

/**
 * Takes turns for deliveries of triggers with limits, those whose job was given none in line; answers in order
 * whether each may start now. While a trigger has a line nobody passes it by.
 */
export async function takeTurns(db: Database, batch: readonly Waiter[]): Promise<readonly boolean[]> {
  return inTransaction(db, async (tx) => {
    await lockPaces(
      tx,
      batch.map(({ triggerId }) => triggerId),
    );
    const rows = await tx.execute<{ invocation_id: string }>(sql`
      with given as materialized (
        select g."invocationId" as invocation_id, g."triggerId" as trigger_id,
            row_number() over (partition by g."triggerId") as place
          from json_to_recordset(${JSON.stringify(batch)}::json) as g("invocationId" uuid, "triggerId" uuid)
      ),
      room as materialized (
        select
            t.id as trigger_id, t.timeout_ms, t.max_concurrency, m.moment, m.start, m.each,
            least(
              t.max_concurrency - (
                select count(*) from herald.turns u
                  where u.trigger_id = t.id and u.until > m.moment
                    and u.invocation_id not in (select g.invocation_id from given g)),
              floor((${TOLERANCE_SECONDS} - extract(epoch from m.start - m.moment)) / m.each) + 1
            ) as count
          from herald.triggers t
          left join herald.paces p on p.trigger_id = t.id
          cross join lateral (
            select clock_timestamp() as moment, greatest(p.next_at, clock_timestamp()) as start,
              60.0 / t.max_per_minute as each
          ) m
          where t.id in (select g.trigger_id from given g)
            and not exists (
              select from graphile_worker._private_jobs j where j.payload ->> 'waits' = t.id::text)
      ),
      going as materialized (
        select g.invocation_id, r.*
          from given g
          join room r on r.trigger_id = g.trigger_id
          -- Null where the limits were taken away meanwhile.
          where g.place <= r.count or r.count is null
      ),
      taken as (
        insert into herald.turns (invocation_id, trigger_id, until)
        select
            g.invocation_id, g.trigger_id,
            g.moment + g.timeout_ms * interval '1 millisecond' + ${TURN_MARGIN_SECONDS} * interval '1 second'
          from going g
          where g.max_concurrency is not null
        on conflict (invocation_id) do update set until = excluded.until
      ),
      paced as (
        update herald.paces p
          set next_at = c.start + c.taken * c.each * interval '1 second'
          from (select trigger_id, start, each, count(*) as taken from going where each is not null group by 1, 2, 3) c
          where p.trigger_id = c.trigger_id
      )
      select g.invocation_id from going g`);
    const going = new Set(rows.map((row) => row.invocation_id));
    return batch.map(({ invocationId }) => going.has(invocationId));
  });
}

/** Gives turns back whose attempts have ended, and clears away some that expired. */
export async function giveTurnsBack(db: Executor, batch: readonly Waiter[]): Promise<void> {
  const ids = idArray(batch.map(({ invocationId }) => invocationId));
  await db.execute(sql`
    delete from herald.turns u
      where u.invocation_id = any(${ids}::uuid[])
        or u.ctid = any(array(select e.ctid from herald.turns e where e.until < now() - interval '1 minute' limit 100))`);
}

/** Forgets the pace of a trigger whose limit has changed: the next attempt may start at once. */
export async function resetPace(tx: Transaction, triggerId: string): Promise<void> {
  await tx.execute(sql`update herald.paces set next_at = '-infinity' where trigger_id = ${triggerId}`);
}
