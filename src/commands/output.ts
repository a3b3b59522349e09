/** How results are shown: for people on a terminal, as JSON lines for programs. */
import { styleText } from 'node:util';
import type { CommandCall, CommandOption } from './command.ts';
import { choiceOf } from './options.ts';

export type Style = 'green' | 'red' | 'yellow' | 'cyan' | 'blue' | 'bold' | 'dim';

export interface Output {
  readonly format: 'TEXT' | 'JSON';
  /** One thing: as a line of JSON, or as the text that `describe` makes of it. */
  show(value: object, describe: () => string): Promise<void>;
  /** Several things, a line of JSON each, or the text that `describe` makes of all. */
  showAll(values: readonly object[], describe: () => string): Promise<void>;
  /** Said to people only; on standard error. */
  remark(text: string): void;
}

export const OUTPUT_OPTIONS = {
  output: {
    type: 'string',
    short: 'o',
    value: 'text|json',
    meaning: 'text is the default on a terminal, lines of JSON elsewhere',
  },
} as const satisfies Record<string, CommandOption>;

export function createOutput({ options, isTerminal, print, notice }: CommandCall): Output {
  const format = choiceOf(options, 'output', ['TEXT', 'JSON']) ?? (isTerminal ? 'TEXT' : 'JSON');
  return {
    format,
    show: (value, describe) => print(format === 'JSON' ? jsonLine(value) : `${describe()}\n`),
    showAll: (values, describe) =>
      print(format === 'JSON' ? values.map(jsonLine).join('') : `${describe()}\n`),
    remark: (text) => notice(`${text}\n`),
  };
}

const jsonLine = (value: object): string => `${JSON.stringify(value)}\n`;

/** Colours where standard output is a terminal that has them; NO_COLOR and FORCE_COLOR decide otherwise. */
export function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

/** Text of others, made harmless: a terminal obeys control characters, and a reader what runs backwards. */
export function plain(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}

/** The beginning of a text, on one line. */
export function shortened(text: string, length: number): string {
  const line = plain(text.length > 2 * length ? text.slice(0, 2 * length) : text);
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}

/** Columns of text, as wide as their widest cell. Cells come without colours; `styles` says how a cell is painted. */
export function columns(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  styleOf: (row: number, column: number) => Style | null,
): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const lineOf = (cells: readonly string[], row: number): string =>
    cells
      .map((cell, column) => {
        const style = row < 0 ? 'dim' : styleOf(row, column);
        const painted = style === null || cell === '' ? cell : paint(style, cell);
        const isLast = column === cells.length - 1;
        return isLast ? painted : painted + ' '.repeat((widths[column] ?? 0) - cell.length);
      })
      .join('  ')
      .trimEnd();
  return [header, ...rows].map((cells, index) => lineOf(cells, index - 1)).join('\n');
}
