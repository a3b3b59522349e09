/** Event types: those that were seen, and those that triggers wait for. */
import { sql } from 'drizzle-orm';
import { arrayOf } from './arrays.ts';
import type { Database } from './database.ts';

export interface EventTypeSummary {
  readonly type: string;
  /** Triggers that match it now. */
  readonly triggerCount: number;
  /** In the last 24 hours, to the hour at their beginning. */
  readonly eventCount: number;
  /** To the minute; null where none was seen within 30 days. */
  readonly lastSeenAt: Date | null;
}

export interface EventTypeFilter {
  /** Null for all. */
  readonly projects: readonly string[] | null;
  /** Only types that start with this. */
  readonly prefix: string;
}

const MAX_TYPES = 200;

/** Most frequent first, then by name. */
export async function listEventTypes(
  db: Database,
  { projects, prefix }: EventTypeFilter,
): Promise<readonly EventTypeSummary[]> {
  const list = projects && arrayOf(projects, (name) => name);
  const matches = (table: string) => {
    const name = sql.raw(table);
    return sql`starts_with(${name}.type, ${prefix})
      ${list === null ? sql`` : sql`and ${name}.project = any(${list}::text[])`}`;
  };
  const rows = await db.execute<{ type: string; triggers: number; events: number; seen: string | null }>(sql`
    with counted as (
      select h.type, sum(h.count) as events, null::timestamptz as seen, 0 as triggers
        from herald.event_type_hours h
        where h.hour > date_trunc('hour', now()) - interval '24 hours' and ${matches('h')}
        group by 1
      union all
      select x.type, sum(x.count), max(x.at), 0 from herald.event_tallies x where ${matches('x')} group by 1
      union all
      select y.type, 0, max(y.last_seen_at), 0 from herald.event_types y where ${matches('y')} group by 1
      union all
      select t.type, 0, null, count(*)
        from herald.triggers t
        where t.deleted_at is null and ${matches('t')}
        group by 1
    )
    select c.type, sum(c.triggers)::int as triggers, sum(c.events)::float8 as events, max(c.seen) as seen
      from counted c
      group by 1
      order by events desc, c.type
      limit ${MAX_TYPES}`);
  return rows.map(({ type, triggers, events, seen }) => ({
    type,
    triggerCount: triggers,
    eventCount: events,
    lastSeenAt: seen === null ? null : new Date(seen),
  }));
}
