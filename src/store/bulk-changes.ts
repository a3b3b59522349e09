/** What bulk operations do to a chunk of rows. */
import { type SQL, sql } from 'drizzle-orm';
import type { BulkOperationKind } from '../domain/bulk-operation.ts';
import { MAX_ATTEMPTS } from '../domain/invocation.ts';
import { idArray } from './arrays.ts';
import type { Transaction } from './database.ts';
import { cancel, FINAL_LIST, readByIndex, renew } from './invocation-moves.ts';

export interface ChunkSize {
  /** Rows at most. */
  readonly size: number;
  /** Retries are spread over so many ms. */
  readonly spanMs: number;
}

/** What a change did to some rows; those that are neither were not to be changed. */
export interface Changed {
  /** How many rows it is done with. */
  readonly done: number;
  /** How many it has yet to do something to. */
  readonly left: number;
  /** Whether it did anything. */
  readonly moved: boolean;
}

/** What is done with a chunk's rows. */
export const BULK_CHANGES: Readonly<
  Record<BulkOperationKind, (tx: Transaction, ids: readonly string[], size: ChunkSize) => Promise<Changed>>
> = {
  RETRY_INVOCATIONS: retryFailed,
  CANCEL_EVENTS: cancelAll,
};

/** The same as `retryInvocation` for each, and locked in the same order. */
async function retryFailed(tx: Transaction, ids: readonly string[], { spanMs }: ChunkSize): Promise<Changed> {
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
          f.*, clock_timestamp() + (row_number() over (order by f.id) - 1) * ${spanMs / ids.length}::float8
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
  return { done, left: 0, moved: done > 0 };
}

async function lockParents(tx: Transaction, table: SQL, ids: SQL): Promise<void> {
  await tx.execute(sql`select from ${table} p where p.id in (${ids}) order by p.id for share`);
}

/**
 * The same as `cancelEvent` for each, but for invocations whose rows others have: an attempt is just being recorded.
 * They come again, and so do those beyond `size`, as an event may have any number of them.
 */
async function cancelAll(tx: Transaction, ids: readonly string[], { size }: ChunkSize): Promise<Changed> {
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
