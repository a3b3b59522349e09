/** What a command of the command line is. */
import type { ParseArgsOptionDescriptor } from 'node:util';

export interface Command {
  /** Options it takes. */
  readonly options: Readonly<Record<string, CommandOption>>;
  /** Words it takes beside its options. */
  readonly words: {
    /** As the manual shows them, e.g. `<type> [<data>]`. */
    readonly usage: string;
    readonly least: number;
    readonly most: number;
  };
  /** What the manual says below the options. */
  readonly notes: readonly string[];
  /** Resolves when it is done. Errors: UsageError; StartupError, whose message is for people. */
  readonly run: (call: CommandCall) => Promise<ExitCode>;
}

/** An option for `node:util`'s parseArgs, and for the manual. */
export interface CommandOption extends ParseArgsOptionDescriptor {
  /** What stands for its value in the manual, e.g. `<seconds>`; empty for a switch. */
  readonly value: string;
  readonly meaning: string;
}

export const NO_WORDS: Command['words'] = { usage: '', least: 0, most: 0 };

/** 1: it was understood and did not succeed; 2: it was not understood; 130: a signal came before the end. */
export type ExitCode = 0 | 1 | 2 | 130;

export interface CommandCall {
  /** Values of the options that were given. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** To standard output: what was asked for. Resolves when there is room for more. */
  readonly print: (text: string) => Promise<void>;
  /** To standard error: what a program that reads the output should not meet. */
  readonly notice: (text: string) => void;
  readonly readInput: () => Promise<string>;
  /** Whether people read the output. */
  readonly isTerminal: boolean;
  /**
   * Aborted by Ctrl-C and its like, and when nobody reads the output any more. They end a command that never asks for
   * it; one that does ends by itself.
   */
  readonly stopSignal: () => AbortSignal;
}

/** A command line that asks for something impossible. `message` says what was expected. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
