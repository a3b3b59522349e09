/**
 * herald.changes, read: one row a transaction, one line a change, written by the statement that makes the change.
 * A line names only what the change itself decides (`herald.invocation_change`, `herald.event_change`,
 * `recordTriggerChange`); what it is about never changes and is looked up once for all subscribers (change-entries.ts).
 */
import { sql } from 'drizzle-orm';
import {
  contains,
  decodeCursor,
  encodeCursor,
  type Position,
  parsePosition,
  withTransaction,
} from '../domain/position.ts';
import { type Change, readSubjects, type TriggerChange, toChange } from './change-entries.ts';
import type { Database, Executor, Transaction } from './database.ts';
import { runPrepared } from './prepared.ts';

/** A transaction that changed something. */
export interface Commit {
  readonly xid: bigint;
  /** Cursor of who has read everything before it, in commit order. */
  readonly before: string;
  /** Cursor of who has read it too. */
  readonly cursor: string;
}

export type DatedChange = Change & { readonly at: Date; readonly commit: Commit };

/** What became visible since a position. */
export type ReadChanges =
  | {
      readonly kind: 'READ';
      /** What has been read now: the next read goes on from here. */
      readonly position: Position;
      /** In commit order. */
      readonly changes: readonly DatedChange[];
      /** How many rows of the log that was. */
      readonly rows: number;
      /** Whether there is more to read already. */
      readonly more: boolean;
    }
  /** The log does not reach back that far, or one transaction is too large: read the state anew, go on from `now`. */
  | { readonly kind: 'MISSED'; readonly now: Position };

/** Rows of one transaction that are read at most: a program may queue thousands of events in one, call by call. */
const MAX_ROWS = 5000;
/** Rows that one statement reads for who looks through the log. */
const VISITED_ROWS = 200;

/** Where the log ends now. */
export async function readPosition(db: Executor): Promise<Position> {
  const [row] = await db.execute<{ snapshot: string }>(sql`select pg_current_snapshot()::text as snapshot`);
  return positionOf(row?.snapshot);
}

/**
 * What became visible since `position`, `rows` rows of the log at most.
 * Transactions that were open at `position` are looked up one by one, so that one which stays open costs nothing.
 */
export async function readChanges(db: Database, position: Position, rows: number): Promise<ReadChanges> {
  const found = await runPrepared<LogRow>(db, READ, [
    `{${position.open.join(',')}}`,
    String(position.end),
    rows + 1,
  ]);
  const now = positionOf(found[0]?.snapshot);
  const horizon = positionOf(found[0]?.horizon);
  // A position ahead of us is of another history of the database, e.g. from before a restore.
  if (!contains(position, horizon) || position.end > now.end) return { kind: 'MISSED', now };
  const read = found.flatMap(({ xid, id, at, entries }): readonly ChangeRow[] =>
    xid === null ? [] : [{ xid, id, at, entries }],
  );
  const cut = read.length > rows ? read.at(-1)?.xid : undefined;
  const whole = read.filter(({ xid }) => xid !== cut);
  if (cut !== undefined && whole.length === 0) {
    // Step by step: behind a transaction of a few rows there may be thousands of others.
    return rows < MAX_ROWS
      ? readChanges(db, position, Math.min(rows * 10, MAX_ROWS))
      : { kind: 'MISSED', now };
  }
  const { entries, end } = inCommitOrder(position, now, whole);
  return {
    kind: 'READ',
    position: cut === undefined ? now : end,
    changes: await readEntries(db, entries),
    rows: whole.length,
    more: cut !== undefined,
  };
}

/** Calls `visit` for every change since `cursor`, in order. False where the log does not reach back that far. */
export async function visitChangesSince(
  db: Database,
  cursor: string,
  visit: (change: DatedChange) => void,
): Promise<boolean> {
  let position = decodeCursor(cursor);
  for (let more = true; more && position !== null; ) {
    const read = await readChanges(db, position, VISITED_ROWS);
    if (read.kind === 'MISSED') return false;
    read.changes.forEach(visit);
    ({ position, more } = read);
  }
  return position !== null;
}

const READ = `
  select s.snapshot, s.horizon, c.xid, c.id, c.at, c.entries
    from (
      select pg_current_snapshot()::text as snapshot,
          (select m.snapshot from herald.change_marks m order by m.at limit 1) as horizon
    ) s
    left join lateral (
      select * from (
        (select c.xid, c.id, c.at, c.entries from herald.changes c
          where c.xid = any($1::xid8[])
          order by c.xid, c.id
          limit $3)
        union all
        (select c.xid, c.id, c.at, c.entries from herald.changes c
          where c.xid >= $2::xid8 and c.xid < pg_snapshot_xmax(pg_current_snapshot())
          order by c.xid, c.id
          limit $3)
      ) both_kinds
      order by xid, id
      limit $3
    ) c on true
    order by c.xid, c.id`;

type LogRow = { readonly snapshot: string; readonly horizon: string } & (
  | ChangeRow
  // The one row that says that nothing changed.
  | { readonly xid: null; readonly id: null; readonly at: null; readonly entries: null }
);

interface ChangeRow {
  readonly xid: string;
  readonly id: string;
  readonly at: string;
  readonly entries: string;
}

function positionOf(snapshot: string | undefined): Position {
  const position = parsePosition(snapshot ?? '');
  if (position === null) throw new Error(`the database answered ${snapshot} for a snapshot`);
  return position;
}

interface Entry {
  readonly at: Date;
  readonly commit: Commit;
  readonly words: readonly string[];
}

/**
 * Row numbers are drawn while the rows that a change is about are locked, so they order transactions that met, which
 * transaction ids do not: a transaction that waited for another one may be the older of the two.
 */
function inCommitOrder(since: Position, now: Position, rows: readonly ChangeRow[]) {
  const transactions = [...Map.groupBy(rows, ({ xid }) => xid).values()]
    .map((own) => ({ xid: BigInt(own[0]?.xid ?? 0), last: BigInt(own.at(-1)?.id ?? 0), rows: own }))
    .sort((a, b) => (a.last < b.last ? -1 : 1));
  const unread = new Set([...now.open, ...transactions.map(({ xid }) => xid)]);
  const entries: Entry[] = [];
  let end = since;
  let before = encodeCursor(since);
  for (const { xid, rows: own } of transactions) {
    unread.delete(xid);
    end = withTransaction(end, xid, [...unread]);
    const commit = { xid, before, cursor: encodeCursor(end) };
    before = commit.cursor;
    for (const row of own) {
      const at = new Date(row.at);
      for (const line of row.entries.split('\n')) {
        if (line !== '') entries.push({ at, commit, words: line.split(' ') });
      }
    }
  }
  return { entries, end };
}

async function readEntries(db: Database, entries: readonly Entry[]): Promise<readonly DatedChange[]> {
  const subjects = await readSubjects(db, [...new Set(entries.map(({ words }) => words[1] ?? ''))]);
  return entries.flatMap(({ at, commit, words }) => {
    const change = toChange(words, subjects);
    return change === null ? [] : [{ ...change, at, commit }];
  });
}

/** Writes that a trigger changed, and announces it, in the transaction of the change. */
export async function recordTriggerChange(
  tx: Transaction,
  triggerId: string,
  change: TriggerChange,
): Promise<void> {
  await tx.execute(sql`
    with recorded as (
      insert into herald.changes (entries) values (${`T ${triggerId} ${change}\n`})
    )
    select herald.announce()`);
}
