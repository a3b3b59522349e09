/** What bulk operations do to a chunk of rows. */
import { type SQL, sql } from 'drizzle-orm';
import type { BulkOperationKind } from '../domain/bulk-operation.ts';
import { MAX_ATTEMPTS } from '../domain/invocation.ts';
import { idArray } from './arrays.ts';
import type { Transaction } from './database.ts';
import { cancel, FINAL_LIST, readByIndex, renew } from './invocation-moves.ts';

/** Some rows of an operation. */
export interface Chunk {
  readonly ids: readonly string[];
  /** How many there may be. */
  readonly size: number;
  /** Milliseconds between two retries, or replays. */
  readonly perRowMs: number;
  /** The only triggers that are to fire; null for all that match. */
  readonly triggerIds: readonly string[] | null;
}

/** What a change did to some rows; those that are neither were not to be changed. */
export interface Changed {
  /** How many rows it is done with. */
  readonly done: number;
  /** How many it has yet to do something to. */
  readonly left: number;
  /** Whether it did anything. */
  readonly moved: boolean;
  /** The last row it is done with, where what is done still matches; absent where what is left is found again. */
  readonly doneTo?: string;
}

/** What is done with a chunk's rows. */
export const BULK_CHANGES: Readonly<
  Record<BulkOperationKind, (tx: Transaction, chunk: Chunk) => Promise<Changed>>
> = {
  RETRY_INVOCATIONS: retryFailed,
  CANCEL_EVENTS: cancelAll,
  REPLAY_EVENTS: replayAll,
};

/** The same as `retryInvocation` for each, and locked in the same order. */
async function retryFailed(tx: Transaction, { ids, perRowMs }: Chunk): Promise<Changed> {
  await readByIndex(tx);
  const given = sql`any(${sql.param(idArray(ids))}::uuid[])`;
  await lockParents(
    tx,
    sql`herald.triggers`,
    sql`select i.trigger_id from herald.invocations i where i.id = ${given}`,
  );
  await lockParents(
    tx,
    sql`herald.events`,
    sql`select i.event_id from herald.invocations i where i.id = ${given}`,
  );
  const done = await renew(
    tx,
    sql`
      select
          f.*, clock_timestamp() + (row_number() over (order by f.id) - 1) * ${perRowMs}::float8
            * interval '1 millisecond' as at
        from (
          select i.id, i.status, i.next_attempt_at, i.attempt_count + 1 as allowed
            from herald.invocations i
            join herald.triggers t on t.id = i.trigger_id
            join herald.events e on e.id = i.event_id
            where i.id = ${given} and i.status = 'FAILED' and i.attempt_count < ${MAX_ATTEMPTS}
              and t.status <> 'PAUSED' and t.deleted_at is null and e.data is not null
            order by i.id
            for update of i
        ) f`,
  );
  return { done, left: 0, moved: true };
}

async function lockParents(tx: Transaction, table: SQL, ids: SQL): Promise<void> {
  await tx.execute(sql`select from ${table} p where p.id in (${ids}) order by p.id for share`);
}

/**
 * The same as `cancelEvent` for each, but for invocations whose rows others have: an attempt is just being recorded.
 * They come again, and so do those beyond `size`, as an event may have any number of them.
 */
async function cancelAll(tx: Transaction, { ids, size }: Chunk): Promise<Changed> {
  await readByIndex(tx);
  const unfinished = sql`
    i.event_id = any(${sql.param(idArray(ids))}::uuid[]) and i.status not in (${FINAL_LIST})`;
  const cancelled = await cancel(
    tx,
    sql`
      select i.id, i.status, i.next_attempt_at from herald.invocations i
        where ${unfinished}
        limit ${size}
        for update skip locked`,
  );
  const [row] = await tx.execute<{ left: number }>(sql`
    select count(distinct i.event_id)::int as left from herald.invocations i where ${unfinished}`);
  const left = row?.left ?? 0;
  return { done: ids.length - left, left, moved: cancelled > 0 };
}

/** Characters of data that one chunk copies, beyond its first event's: what `queueEvents` takes in one statement. */
const MAX_CHARACTERS = 4 * 1024 * 1024;
/** Invocations that one chunk makes, beyond its first event's: a fraction of a second. */
const MAX_INVOCATIONS = 2000;

/**
 * Queues copies through the one door (`herald.queue_events`), due one after the other: of events that have a trigger
 * now, and whose data are still there. Errors: 22023 where one of them would not be taken any more.
 */
async function replayAll(tx: Transaction, { ids, perRowMs, triggerIds }: Chunk): Promise<Changed> {
  await readByIndex(tx);
  const only = triggerIds === null ? '' : idArray(triggerIds);
  await tx.execute(sql`select set_config('herald.only_triggers', ${only}, true)`);
  const before = (number: SQL) =>
    sql`coalesce(sum(${number}) over (order by e.id rows between unbounded preceding and 1 preceding), 0)`;
  const [row] = await tx.execute<{ done: number; last: string | null }>(sql`
    with found as materialized (
      select
          e.id, row_number() over (order by e.id) as place, w.wanted,
          row_number() over (partition by w.wanted order by e.id) as turn,
          ${before(sql`e.data_size`)} as characters, ${before(sql`m.count`)} as invocations
        from herald.events e
        cross join lateral (
          select count(*) from herald.triggers m
            where m.project = e.project and m.type = e.type and m.deleted_at is null and m.status <> 'DISABLED'
              and (${only} = '' or m.id = any(nullif(${only}, '')::uuid[]))
        ) m
        cross join lateral (select e.data is not null and m.count > 0 as wanted) w
        where e.id = any(${sql.param(idArray(ids))}::uuid[])
    ),
    taken as materialized (
      select f.id, f.place, f.turn, f.wanted from found f
        where f.characters < ${MAX_CHARACTERS}::int and f.invocations < ${MAX_INVOCATIONS}::int
    ),
    copied as (
      select q.outcome
        from herald.queue_events((
          select coalesce(json_agg(json_build_object(
              'type', e.type, 'data', e.data, 'project', e.project, 'source', e.source, 'origin', 'REPLAY',
              'replayOf', e.id, 'traceparent', e.traceparent, 'tracestate', e.tracestate,
              'delay', (t.turn - 1) * ${perRowMs / 1000}::float8
            ) order by t.place), '[]')
            from taken t
            join herald.events e on e.id = t.id
            where t.wanted
        )) q
    )
    select (select count(*)::int from copied c where c.outcome = 'QUEUED') as done,
      (select t.id from taken t order by t.place desc limit 1) as last`);
  if (row === undefined) throw new Error('replaying returned no row');
  // Null where retention has removed them all meanwhile.
  const last = row.last ?? ids.at(-1) ?? '';
  return { done: row.done, left: ids.length - 1 - ids.indexOf(last), moved: true, doneTo: last };
}
