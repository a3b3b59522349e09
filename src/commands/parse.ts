/** From the words of a command line to the command they ask for. */
import { parseArgs } from 'node:util';
import type { Command, CommandCall } from './command.ts';

export type Parsed =
  | { readonly kind: 'RUN'; readonly command: Command; readonly call: Pick<CommandCall, 'options' | 'words'> }
  | { readonly kind: 'HELP' }
  | { readonly kind: 'VERSION' }
  /** `message` says what was expected. */
  | { readonly kind: 'MISTAKE'; readonly message: string };

const OWN_OPTIONS = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const;

/** `byDefault` is the command that runs where none is named. */
export function parseCommandLine(
  args: readonly string[],
  commands: Readonly<Record<string, Command>>,
  byDefault: string,
): Parsed {
  const named = args[0] !== undefined && !args[0].startsWith('-');
  const name = named ? String(args[0]) : byDefault;
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    const message = `expected one of ${Object.keys(commands).join(', ')}, got ${JSON.stringify(name)}`;
    return { kind: 'MISTAKE', message };
  }
  try {
    const { values, positionals } = parseArgs({
      args: args.slice(named ? 1 : 0),
      options: { ...command.options, ...OWN_OPTIONS },
      allowPositionals: command.takesWords,
    });
    const { help, version, ...options } = values as Record<string, unknown>;
    if (help === true) return { kind: 'HELP' };
    if (version === true) return { kind: 'VERSION' };
    return { kind: 'RUN', command, call: { options, words: positionals } };
  } catch (error) {
    return { kind: 'MISTAKE', message: `${name}: ${error instanceof Error ? error.message : error}` };
  }
}
