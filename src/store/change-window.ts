/** The latest changes that were read, by number: what subscribers move through. */
import { contains, decodeCursor, type Position } from '../domain/position.ts';
import type { DatedChange } from './change-log.ts';

/** Some changes in commit order, and where the log was read to with them. */
export interface Batch {
  readonly changes: readonly DatedChange[];
  readonly position: Position;
}

export interface ChangeWindow {
  /** Where the log has been read to; null before `begin`. */
  position(): Position | null;
  /** Number of the batch that comes next. */
  end(): number;
  /** Forgets everything and goes on at `position`, leaving every subscriber behind. */
  begin(position: Position): void;
  add(batch: Batch): void;
  /** The batch of that number; null where it is still to come, 'GONE' where it is not there any more. */
  batch(index: number): Batch | null | 'GONE';
  /** The first batch that may hold what is not in `position`; null where something older may be missing in it. */
  find(position: Position): number | null;
  /** When the latest change was made, in epoch milliseconds. */
  latest(): number;
  /** Nobody reads any more. */
  forget(): void;
}

/** Changes kept, a few hundred bytes each. */
const MAX_CHANGES = 10_000;
/** Changes of a batch, where it is not one transaction: a subscriber holds what it selected of one. */
const BATCH_CHANGES = 200;

export function createChangeWindow(): ChangeWindow {
  let batches: Batch[] = [];
  let first = 0;
  let changes = 0;
  /** Where the log had been read to before the first batch. */
  let start: Position | null = null;
  let position: Position | null = null;
  let latest = 0;

  function clear(): void {
    // One number is left out: a batch that nobody gets, so that whoever was at the end knows it is behind.
    first += batches.length + 1;
    batches = [];
    changes = 0;
    start = null;
    position = null;
  }

  return {
    position: () => position,
    end: () => first + batches.length,
    begin(at) {
      if (position !== null) clear();
      start = at;
      position = at;
    },
    add(batch) {
      position = batch.position;
      if (batch.changes.length === 0 && batches.length === 0) {
        start = batch.position;
        return;
      }
      if (batch.changes.length === 0) return;
      batches.push(...divided(batch));
      changes += batch.changes.length;
      // A transaction that was open for long comes late and is dated early.
      latest = Math.max(latest, batch.changes.at(-1)?.at.getTime() ?? latest);
      while (changes > MAX_CHANGES && batches.length > 1) {
        const [oldest] = batches.splice(0, 1);
        first++;
        changes -= oldest?.changes.length ?? 0;
        start = oldest?.position ?? start;
      }
    },
    batch(index) {
      if (index < first) return 'GONE';
      return batches[index - first] ?? null;
    },
    find(at) {
      // One that is ahead comes from a process that has read further, or from nowhere: the log can tell.
      const behind = position !== null && at.end <= position.end;
      return behind && start !== null && contains(at, start) ? first : null;
    },
    latest: () => latest,
    forget() {
      if (position !== null) clear();
    },
  };
}

/** The same in batches of a size, none of which ends within a transaction. */
function divided({ changes, position }: Batch): readonly Batch[] {
  const parts: Batch[] = [];
  let from = 0;
  for (let to = 1; to < changes.length; to++) {
    const { commit } = changes[to - 1] ?? {};
    if (to - from < BATCH_CHANGES || commit === undefined || commit === changes[to]?.commit) continue;
    parts.push({ changes: changes.slice(from, to), position: decodeCursor(commit.cursor) ?? position });
    from = to;
  }
  return [...parts, { changes: changes.slice(from), position }];
}
