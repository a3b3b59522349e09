/** "Did you mean": the word that differs least from the one that was written. */

/** More edits than this, or than a third of the word, and it was meant to be another word. */
const MAX_EDITS = 3;

/** ` (did you mean x?)`, or nothing where no word is near. */
export function suggestion(written: string, words: readonly string[]): string {
  const most = Math.min(MAX_EDITS, Math.ceil(written.length / 3));
  const [nearest] = words
    .map((word) => ({
      word,
      edits: word.startsWith(written) && written !== '' ? 1 : distance(written, word),
    }))
    .filter(({ edits }) => edits <= most)
    .sort((one, other) => one.edits - other.edits);
  return nearest === undefined ? '' : ` (did you mean ${nearest.word}?)`;
}

/** Characters to insert, drop, replace or swap with their neighbour (optimal string alignment). */
function distance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1];
      const swapped = from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      row[j] = Math.min(
        at(last, j) + 1,
        at(row, j - 1) + 1,
        at(last, j - 1) + (same ? 0 : 1),
        swapped ? at(beforeLast, j - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    beforeLast = last;
    last = row;
  }
  return at(last, to.length);
}

const at = (row: readonly number[], index: number): number => row[index] ?? Number.POSITIVE_INFINITY;
