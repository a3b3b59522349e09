/** What a command of the command line is. */
import type { ParseArgsOptionsConfig } from 'node:util';

export interface Command {
  /** One line of the manual. */
  readonly summary: string;
  /** Options it takes, for `node:util`'s parseArgs. */
  readonly options: ParseArgsOptionsConfig;
  /** Whether it takes words beside its options. */
  readonly takesWords: boolean;
  /** Resolves when it is done. Errors: StartupError, whose message is for people. */
  readonly run: (call: CommandCall) => Promise<void>;
}

export interface CommandCall {
  /** Values of the options that were given. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly print: (text: string) => void;
}
