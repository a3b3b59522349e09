/** An event's data as a command takes them. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type CommandCall, UsageError } from './command.ts';

/** How the manual shows them. */
export const DATA_WORD = '[<data>|@<file>|-]';
export const DATA_NOTE =
  'The data are JSON and arrive byte for byte; `@file` reads them from a file, `-` from standard input.';

/** JSON text; null where none was given. Errors: UsageError where there is nothing to read. */
export async function readData(
  word: string | undefined,
  { env, readInput }: CommandCall,
): Promise<string | null> {
  if (word === undefined) return null;
  if (word === '-') return readInput();
  if (!word.startsWith('@')) return word;
  // npm runs scripts in the package's directory, and keeps the caller's own here.
  const base = env.npm_lifecycle_event === 'herald' && env.INIT_CWD ? env.INIT_CWD : '.';
  const path = resolve(base, word.slice(1));
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
}
