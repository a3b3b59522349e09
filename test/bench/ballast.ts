/** Events that are merely there: a million due in days, a million finished long ago. */
import { fillHerald, isHeraldDone, startHerald } from './herald.ts';
import type { Lab, LabDatabase } from './lab.ts';

/** So many events due between 10 and 40 days from now, through the door that all events take. */
export async function addFuture(database: LabDatabase, type: string, events: number): Promise<void> {
  await fillHerald(database, { type, events, delay: '86400 * (10 + 30 * random())' });
}

const CLONES_A_STATEMENT = 25_000;

/**
 * So many finished events of the last 20 days, each with its invocation and attempt: clones of one that was really
 * delivered, so that every column holds what it would. Needs a trigger of `type`. The database must have no finished
 * event of it yet.
 */
export async function addFinished(
  lab: Lab,
  database: LabDatabase,
  type: string,
  events: number,
): Promise<void> {
  await deliverOne(lab, database, [type]);
  for (let done = 0; done < events; done += CLONES_A_STATEMENT) {
    const size = Math.min(CLONES_A_STATEMENT, events - done);
    await cloneFinished(database, { type, size, daysAgo: 20 * (1 - done / events), stepMs: 1 });
  }
}

/** Delivers one event of each type, to be cloned. */
export async function deliverOne(lab: Lab, database: LabDatabase, types: readonly string[]): Promise<void> {
  for (const type of types) await fillHerald(database, { type, events: 1 });
  await using worker = await startHerald(lab, database, 'worker');
  while (!(await isHeraldDone(database))) await new Promise((resolve) => setTimeout(resolve, 50));
  await worker.stop();
}

export interface Clones {
  readonly type: string;
  readonly size: number;
  /** When the first one was queued and finished. */
  readonly daysAgo: number;
  /** From one to the next. */
  readonly stepMs: number;
}

/** Clones the event of `type` that was delivered last. */
export async function cloneFinished(
  database: LabDatabase,
  { type, size, daysAgo, stepMs }: Clones,
): Promise<void> {
  await database.use((sql) => sql.unsafe(CLONE, [type, size, daysAgo, stepMs]));
}

/**
 * $1: type, $2: how many, $3: days ago, $4: ms between. Overrides ids and times and leaves every other column as it is in the original,
 * also those that this file has never heard of. Times are the id's, as they are for real ones.
 */
const CLONE = `
  with original as materialized (
    select e as event, i as invocation, a as attempt
      from herald.events e
      join herald.invocations i on i.event_id = e.id
      join herald.attempts a on a.invocation_id = i.id
      where e.type = $1 and i.status = 'SUCCEEDED'
      order by e.id desc
      limit 1
  ),
  copies as materialized (
    select uuidv7(ago) as event_id, uuidv7(ago) as invocation_id, now() + ago as moment
      from generate_series(1, $2::int) n
      cross join lateral (
        select -$3::float8 * interval '1 day' + n * $4::float8 * interval '1 ms' as ago
      ) t
  ),
  events as (
    insert into herald.events
    select r.* from copies c cross join original o
      cross join lateral jsonb_populate_record(o.event, jsonb_build_object(
        'id', c.event_id, 'received_at', c.moment, 'due_at', c.moment)) r
  ),
  invocations as (
    insert into herald.invocations
    select r.* from copies c cross join original o
      cross join lateral jsonb_populate_record(o.invocation, jsonb_build_object(
        'id', c.invocation_id, 'event_id', c.event_id, 'created_at', c.moment, 'updated_at', c.moment,
        'finished_at', c.moment)) r
  )
  insert into herald.attempts
  select r.* from copies c cross join original o
    cross join lateral jsonb_populate_record(o.attempt, jsonb_build_object(
      'invocation_id', c.invocation_id, 'id', gen_random_uuid(), 'started_at', c.moment, 'finished_at', c.moment)) r`;

export interface Bytes {
  readonly event: number;
  readonly invocation: number;
  readonly attempt: number;
  readonly job: number;
}

/** Bytes a row, its indexes and TOAST included. */
export async function readBytes(database: LabDatabase): Promise<Bytes> {
  return database.use(async (sql) => {
    const bytes = async (table: string): Promise<number> => {
      const [row] = await sql.unsafe<{ bytes: number }[]>(
        `select pg_total_relation_size('${table}')::float8 / greatest(count(*), 1) as bytes from ${table}`,
      );
      return row?.bytes ?? Number.NaN;
    };
    return {
      event: await bytes('herald.events'),
      invocation: await bytes('herald.invocations'),
      attempt: await bytes('herald.attempts'),
      job: await bytes('graphile_worker._private_jobs'),
    };
  });
}
