/** What a scenario is, and what it hands back: figures that know their yardstick and their goal. */
import type { Lab } from './lab.ts';

export interface Scenario {
  /** As given on the command line. */
  readonly name: string;
  readonly title: string;
  run(bench: Bench): Promise<Result>;
}

export interface Bench {
  readonly lab: Lab;
  /** Small sizes: to see that everything runs, not what it measures. */
  readonly quick: boolean;
  /** How often what is compared is measured, in turns; the median counts. */
  readonly rounds: number;
  /** Tells people how far it is. */
  say(line: string): void;
}

export interface Result {
  /** Sizes, rates and concurrency, for the JSON file and the screen. */
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly figures: readonly Figure[];
  /** Every single measurement. */
  readonly details: unknown;
}

export interface Figure {
  readonly what: string;
  /** NaN where it could not be measured. */
  readonly value: number;
  readonly unit: string;
  readonly yardstick?: { readonly name: string; readonly value: number };
  readonly goal?: Goal;
}

/** A bound on the figure itself, or on its ratio to the yardstick. */
export interface Goal {
  readonly of: 'VALUE' | 'RATIO';
  readonly bound: 'AT_LEAST' | 'AT_MOST';
  readonly limit: number;
}

export const atLeast = (limit: number): Goal => ({ of: 'VALUE', bound: 'AT_LEAST', limit });
export const atMost = (limit: number): Goal => ({ of: 'VALUE', bound: 'AT_MOST', limit });
export const ratioAtLeast = (limit: number): Goal => ({ of: 'RATIO', bound: 'AT_LEAST', limit });
export const ratioAtMost = (limit: number): Goal => ({ of: 'RATIO', bound: 'AT_MOST', limit });

/** Null without a yardstick, NaN where the yardstick came to nothing: that is no infinite victory. */
export function ratioOf({ value, yardstick }: Figure): number | null {
  if (yardstick === undefined) return null;
  return yardstick.value > 0 ? value / yardstick.value : Number.NaN;
}

/** Null where the figure has no goal. */
export function isMet(figure: Figure): boolean | null {
  const { goal } = figure;
  if (goal === undefined) return null;
  const judged = goal.of === 'RATIO' ? (ratioOf(figure) ?? Number.NaN) : figure.value;
  return goal.bound === 'AT_LEAST' ? judged >= goal.limit : judged <= goal.limit;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
