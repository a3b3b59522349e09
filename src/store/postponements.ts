/** Jobs that are fetched and cannot run now, planned anew. */
import { sql } from 'drizzle-orm';
import type { Database } from './database.ts';

/** A job to come back later: the invocation stays as it is, only its turn moves. */
export interface Postponement {
  readonly invocationId: string;
  readonly delayMs: number;
  /** Whether it has yet to use the turn that it was given in its trigger's line, if it was. */
  readonly keepsTurn: boolean;
}

/**
 * Plans the jobs of deliveries that have no slot anew. The new job takes the key over, so the old one, which is still
 * locked, can end; what it counted is forgotten with it.
 */
export async function postponeJobs(db: Database, batch: readonly Postponement[]): Promise<void> {
  await db.execute(sql`
    with given as materialized (
      select * from json_to_recordset(${JSON.stringify(batch)}::json)
        as g("invocationId" uuid, "delayMs" double precision, "keepsTurn" boolean)
    ),
    planned as materialized (
      select i.id, clock_timestamp() + g."delayMs" * interval '1 millisecond' as run_at,
          greatest(i.max_attempts - i.attempt_count, 1) as jobs_left,
          -- Where it was lost with dead processes, it keeps that count (rescue.ts).
          coalesce(
            (
              select (j.payload::jsonb - case when g."keepsTurn" then '{begun}' else '{begun,turn}' end::text[])::json
                from graphile_worker._private_jobs j where j.key = i.id::text),
            json_build_object('invocation', i.id)) as payload
        from given g
        join herald.invocations i on i.id = g."invocationId"
        where i.finished_at is null
    ),
    added as (
      select count(*) from graphile_worker.add_jobs((
        select array_agg((
              'deliver', p.payload, null, p.run_at, p.jobs_left, p.id::text, null, null
            )::graphile_worker.job_spec)
          from planned p
      ))
    )
    select herald.announce((select min(p.run_at) from planned p)) from added`);
}
