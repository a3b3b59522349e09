/** The figures as one table of plain text. */
import { type Figure, isMet, type Result, ratioOf } from './scenario.ts';

const HEAD = ['scenario', 'figure', 'measured', 'yardstick', 'ratio', 'goal', 'met?'] as const;

export function printTable(results: readonly { readonly name: string; readonly result: Result }[]): string {
  const rows = results.flatMap(({ name, result }) => result.figures.map((figure) => cells(name, figure)));
  const widths = HEAD.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [line(HEAD), rule, ...rows.map(line)].join('\n');
}

function cells(name: string, figure: Figure): readonly string[] {
  const { yardstick, goal, unit } = figure;
  const ratio = ratioOf(figure);
  const met = isMet(figure);
  return [
    name,
    figure.what,
    `${amount(figure.value)} ${unit}`,
    yardstick === undefined ? '' : `${amount(yardstick.value)} ${yardstick.name}`,
    ratio === null ? '' : amount(ratio),
    goal === undefined
      ? ''
      : `${goal.bound === 'AT_LEAST' ? '>=' : '<='} ${goal.limit}${goal.of === 'RATIO' ? ' x' : ` ${unit}`}`,
    met === null ? '' : met ? 'yes' : 'NO',
  ];
}

/** Three digits that count, and no more than two behind the point. */
export function amount(value: number): string {
  if (!Number.isFinite(value)) return 'none';
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toFixed(value >= 10 ? 1 : 2)));
}
