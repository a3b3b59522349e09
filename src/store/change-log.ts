/**
 * herald.changes, read: one row a transaction, one line a change, written by the statement that makes the change.
 * A line names only what the change itself decides (`herald.invocation_change`, `herald.event_change`); what it is
 * about, its event, trigger, project and type, never changes and is looked up here, once for all subscribers.
 */
import { sql } from 'drizzle-orm';
import type { InvocationStatus } from '../domain/invocation.ts';
import { uuidArray } from './arrays.ts';
import type { Database } from './database.ts';

/** One change; ids are UUIDs, statuses exact at its moment. */
export type Change =
  | {
      readonly kind: 'EVENT_QUEUED';
      readonly event: string;
      readonly project: string;
      readonly type: string;
      /** How many triggers matched. */
      readonly invocations: number;
    }
  | {
      readonly kind: 'INVOCATION';
      readonly event: string;
      readonly invocation: string;
      readonly trigger: string;
      readonly project: string;
      readonly type: string;
      /** Null for a new invocation. */
      readonly from: InvocationStatus | null;
      readonly to: InvocationStatus;
      /** Number of the attempt that caused the change, if any. */
      readonly attempt: number | null;
    };

export type DatedChange = Change & { readonly at: Date };

/** Rows of herald.changes a read may return: beyond it subscribers are told to read the state anew. */
const READ_SIZE = 5000;

export interface ReadChanges {
  /** A Postgres snapshot: the next read returns what became visible since. */
  readonly position: string;
  /** In commit order. */
  readonly changes: readonly DatedChange[] | 'TOO_MANY';
}

/** What became visible since `position`; nothing, and the position to begin at, where that is null. */
export async function readChanges(db: Database, position: string | null): Promise<ReadChanges> {
  if (position === null) {
    const [row] = await db.execute<{ snapshot: string }>(sql`select pg_current_snapshot()::text as snapshot`);
    return { position: row?.snapshot ?? '', changes: [] };
  }
  const rows = await db.execute<ChangeRow>(sql`
    select pg_current_snapshot()::text as snapshot, c.at, c.entries
      from (select) as always
      left join lateral (
        select c.at, c.entries, c.xid, c.id
          from herald.changes c
          where c.xid >= pg_snapshot_xmin(${position}::pg_snapshot)
            and not pg_visible_in_snapshot(c.xid, ${position}::pg_snapshot)
          order by c.xid, c.id
          limit ${READ_SIZE + 1}
      ) c on true
      order by c.xid, c.id`);
  const next = rows[0]?.snapshot ?? position;
  if (rows.length > READ_SIZE) return { position: next, changes: 'TOO_MANY' };
  return { position: next, changes: await readEntries(db, rows) };
}

interface ChangeRow extends Record<string, unknown> {
  readonly snapshot: string;
  readonly at: string;
  /** Null on the one row that says that nothing changed. */
  readonly entries: string | null;
}

async function readEntries(db: Database, rows: readonly ChangeRow[]): Promise<readonly DatedChange[]> {
  const lines = rows.flatMap(({ at, entries }) =>
    (entries ?? '')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => ({ at: new Date(at), words: line.split(' ') })),
  );
  const subjects = await readSubjects(db, [...new Set(lines.map(({ words }) => words[1] ?? ''))]);
  return lines.flatMap(({ at, words }) => {
    const change = toChange(words, subjects);
    return change === null ? [] : [{ ...change, at }];
  });
}

/** Null where retention has removed what the change was about. */
function toChange(words: readonly string[], subjects: ReadonlyMap<string, Subject>): Change | null {
  const [kind, id = '', ...rest] = words;
  const subject = subjects.get(id);
  if (subject === undefined) return null;
  const { event, project, type, trigger } = subject;
  if (kind === 'E') {
    return { kind: 'EVENT_QUEUED', event, project, type, invocations: Number(rest[0]) };
  }
  const [from, to, attempt] = rest;
  return {
    ...{ kind: 'INVOCATION', event, invocation: id, trigger: trigger ?? '', project, type },
    from: from === '-' ? null : (from as InvocationStatus),
    to: to as InvocationStatus,
    attempt: attempt === '-' ? null : Number(attempt),
  };
}

interface Subject extends Record<string, unknown> {
  readonly event: string;
  /** Null where the subject is the event itself. */
  readonly trigger: string | null;
  readonly project: string;
  readonly type: string;
}

async function readSubjects(db: Database, ids: readonly string[]): Promise<ReadonlyMap<string, Subject>> {
  if (ids.length === 0) return new Map();
  const rows = await db.execute<Subject & { id: string }>(sql`
    select i.id, i.event_id as event, i.trigger_id as trigger, e.project, e.type
      from herald.invocations i
      join herald.events e on e.id = i.event_id
      where i.id = any(${uuidArray(ids)}::uuid[])
    union all
    select e.id, e.id, null, e.project, e.type
      from herald.events e
      where e.id = any(${uuidArray(ids)}::uuid[])`);
  return new Map(rows.map((row) => [row.id, row]));
}
