/** What the planner believes of the queue's table. */
import { sql } from 'drizzle-orm';
import type { Database } from './database.ts';

/**
 * Takes the table's statistics anew where they are far from the truth, and says whether they were. The queue is empty
 * most of the time, and an autovacuum that comes by then notes it; graphile-worker's `add_jobs` joins the table with
 * what it is given, and so, until the next one comes by a minute after a flood, would read all of it for each call.
 */
export async function refreshQueueStatistics(db: Database): Promise<boolean> {
  const [row] = await db.execute<{ stale: boolean }>(sql`
    select pg_stat_get_live_tuples(c.oid) > greatest(4 * c.reltuples, 1000) as stale
      from pg_class c
      where c.oid = 'graphile_worker._private_jobs'::regclass`);
  if (row?.stale !== true) return false;
  await db.execute(sql`analyze graphile_worker._private_jobs`);
  return true;
}
