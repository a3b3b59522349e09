/** A trigger as a row, for tests of what the database does with it. */
import type postgres from 'postgres';

interface TriggerRow {
  readonly id?: string;
  readonly name?: string;
  readonly type?: string;
  readonly retries?: number;
  /** How long it has had its status. */
  readonly days?: number;
}

/** Returns its id. */
export async function insertTrigger(
  sql: postgres.Sql,
  { id, name = 't', type = 'a', retries = 3, days = 0 }: TriggerRow = {},
): Promise<string> {
  const [row] = await sql`
    insert into herald.triggers (
      id, project, name, type, url, retries, timeout_ms, content_mode, spec_version, headers, status_changed_at)
    values (
      coalesce(${id ?? null}::uuid, herald.uuid_v7()), 'default', ${name}, ${type}, 'http://127.0.0.1:9/', ${retries}, 5000,
      'JSON', '1.0', '[]', now() - make_interval(days => ${days}))
    returning id`;
  return String(row?.id);
}
