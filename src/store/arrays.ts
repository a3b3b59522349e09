/**
 * Postgres array literals: how a batch travels as one parameter a column, for `unnest`. Measured with 26 columns: 14 µs
 * a row against 33 µs through json_to_recordset, prepared both; and postgres.js would guess an array's type from its
 * first element, which fails for nulls and booleans.
 */

/** `column` of every item, as the literal of an array of any type whose text form is the value's own. */
export function arrayOf<Item>(
  items: readonly Item[],
  column: (item: Item) => string | number | boolean | null | undefined,
): string {
  let literal = '';
  for (const item of items) {
    const value = column(item);
    literal += `,${typeof value === 'string' ? quote(value) : (value ?? 'NULL')}`;
  }
  return `{${literal.slice(1)}}`;
}

/** A literal of ids, which need no quotes. */
export function idArray(ids: readonly string[]): string {
  return `{${ids.join(',')}}`;
}

/** A list of words of ours for the text of a statement: `'SUCCEEDED', 'FAILED'`. */
export function wordList(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(', ');
}

function quote(text: string): string {
  return `"${SPECIAL.test(text) ? text.replace(EACH_SPECIAL, '\\$&') : text}"`;
}

const SPECIAL = /["\\]/;
const EACH_SPECIAL = /["\\]/g;
