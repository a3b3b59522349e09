/** From the words of a command line to the command they ask for. */
import { parseArgs } from 'node:util';
import type { Command, CommandCall } from './command.ts';
import { suggestion } from './suggest.ts';

/** A line of the table of commands. A command is loaded when it is called for: the others would slow down its start. */
export interface CommandEntry {
  /** One line of the manual. */
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** By name; a name of two words, such as `triggers create`, is a part of the first one's command. */
export type CommandTable = Readonly<Record<string, CommandEntry>>;

export type Parsed =
  | {
      readonly kind: 'RUN';
      readonly name: string;
      readonly command: Command;
      readonly call: Pick<CommandCall, 'options' | 'words'>;
    }
  /** The manual of one command; of all where there is no name. */
  | { readonly kind: 'HELP'; readonly name: string | null }
  | { readonly kind: 'VERSION' }
  /** `message` says what was expected. `name` is the command it is about, if it is known. */
  | { readonly kind: 'MISTAKE'; readonly name: string | null; readonly message: string };

export const OWN_OPTIONS = {
  help: { type: 'boolean', short: 'h', value: '', meaning: 'show this' },
  version: { type: 'boolean', short: 'v', value: '', meaning: 'show the version' },
} as const;

/** `byDefault` is the command that runs where none is named. */
export async function parseCommandLine(
  args: readonly string[],
  commands: CommandTable,
  byDefault: string,
): Promise<Parsed> {
  const [first] = args;
  if (first === 'help') return parseHelp(args.slice(1), commands);
  // Herald's own manual, where no command is named.
  if (first === '--help' || first === '-h') return { kind: 'HELP', name: null };
  const named = first !== undefined && !first.startsWith('-');
  const name = named ? longestName(args, commands) : byDefault;
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) return unknownCommand(name, commands);
  return parseOptions(name, await entry.load(), args.slice(named ? name.split(' ').length : 0), commands);
}

function parseHelp(words: readonly string[], commands: CommandTable): Parsed {
  if (words.length === 0) return { kind: 'HELP', name: null };
  const name = words.join(' ');
  return Object.hasOwn(commands, name) ? { kind: 'HELP', name } : unknownCommand(name, commands);
}

function longestName(args: readonly string[], commands: CommandTable): string {
  const two = args.slice(0, 2).join(' ');
  return args.length > 1 && Object.hasOwn(commands, two) ? two : String(args[0]);
}

function unknownCommand(name: string, commands: CommandTable): Parsed {
  const all = Object.keys(commands);
  const tops = all.filter((one) => !one.includes(' '));
  const message = `expected one of ${tops.join(', ')}, got ${JSON.stringify(name)}${suggestion(name, all)}`;
  return { kind: 'MISTAKE', name: null, message };
}

function parseOptions(
  name: string,
  command: Command,
  args: readonly string[],
  commands: CommandTable,
): Parsed {
  const known = { ...command.options, ...OWN_OPTIONS };
  const mistake = (message: string): Parsed => ({ kind: 'MISTAKE', name, message: `${name}: ${message}` });
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: known, allowPositionals: true });
    const { help, version, ...options } = values as Record<string, unknown>;
    if (help === true) return { kind: 'HELP', name };
    if (version === true) return { kind: 'VERSION' };
    const wrongWords = checkWords(name, command, positionals, commands);
    if (wrongWords !== null) return mistake(wrongWords);
    return { kind: 'RUN', name, command, call: { options, words: positionals } };
  } catch (error) {
    return mistake(explain(error, Object.keys(known)));
  }
}

function checkWords(
  name: string,
  { words: { usage, least, most } }: Command,
  words: readonly string[],
  commands: CommandTable,
): string | null {
  const surplus = words[most];
  if (surplus !== undefined) {
    const parts = Object.keys(commands).flatMap((one) =>
      one.startsWith(`${name} `) ? [one.slice(name.length + 1)] : [],
    );
    const expected = parts.length > 0 ? `one of ${parts.join(', ')}` : most === 0 ? 'no more words' : usage;
    return `expected ${expected}, got ${JSON.stringify(surplus)}${suggestion(surplus, parts)}`;
  }
  return words.length < least ? `expected ${usage}` : null;
}

/** parseArgs says what is wrong; what it does not say is what was meant. */
function explain(error: unknown, known: readonly string[]): string {
  if (!(error instanceof Error)) return String(error);
  const [, written] = /^Unknown option '(-[^']*)'/.exec(error.message) ?? [];
  if (written === undefined) return error.message;
  const options = known.map((option) => `--${option}`);
  return `unknown option ${written}${suggestion(written, options)}`;
}
