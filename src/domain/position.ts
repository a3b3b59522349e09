/**
 * Positions in the change log. A position is a set of transactions, written the way Postgres writes a snapshot
 * (`xmin:xmax:xip,…`): all below `end` but those in `open`. A number could not say which transactions a reader has
 * seen, because they commit in another order than they begin.
 */

export interface Position {
  /** Transactions from here on are not in it. */
  readonly end: bigint;
  /** Transactions below `end` that are not in it either, ascending. */
  readonly open: readonly bigint[];
}

/** As `pg_snapshot` is written; null where `text` is none. */
export function parsePosition(text: string): Position | null {
  const parts = /^(\d{1,19}):(\d{1,19}):((?:\d{1,19}(?:,\d{1,19})*)?)$/.exec(text);
  if (parts === null) return null;
  const [, , end = '', open = ''] = parts;
  const position = { end: BigInt(end), open: open === '' ? [] : open.split(',').map(BigInt) };
  const ascending = position.open.every((xid, index) => xid > (position.open[index - 1] ?? -1n));
  return ascending && (position.open.at(-1) ?? -1n) < position.end ? position : null;
}

export function formatPosition({ end, open }: Position): string {
  return `${open[0] ?? end}:${end}:${open.join(',')}`;
}

export function includes({ end, open }: Position, xid: bigint): boolean {
  return xid < end && !open.includes(xid);
}

/** Whether every transaction in `part` is in `whole`. */
export function contains(whole: Position, part: Position): boolean {
  // All that `whole` lacks, `part` must lack too. Between the two ends, `part` would have to lack every single one.
  for (let xid = whole.end; xid < part.end; xid++) if (!part.open.includes(xid)) return false;
  return whole.open.every((xid) => !includes(part, xid));
}

/**
 * `position` and the transaction `xid`. `unread` are transactions that have changes which are not to be in it, whether
 * they have committed or not: those between the old end and the new one must stay out.
 */
export function withTransaction(position: Position, xid: bigint, unread: readonly bigint[]): Position {
  if (xid < position.end) return { end: position.end, open: position.open.filter((one) => one !== xid) };
  const skipped = unread.filter((one) => one >= position.end && one < xid);
  return { end: xid + 1n, open: [...position.open, ...skipped.sort((a, b) => (a < b ? -1 : 1))] };
}

/** Cursors are opaque, so that nobody takes them apart. */
export function encodeCursor(position: Position): string {
  return Buffer.from(formatPosition(position)).toString('base64url');
}

/** Longest cursor looked at, in characters: thousands of open transactions. */
const MAX_CURSOR_LENGTH = 100_000;

export function decodeCursor(cursor: string): Position | null {
  if (cursor.length > MAX_CURSOR_LENGTH) return null;
  return parsePosition(Buffer.from(cursor, 'base64url').toString('latin1'));
}
