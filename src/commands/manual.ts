/** What `help` shows. */
import { SETTINGS } from '../config.ts';
import { VERSION } from '../version.ts';
import type { Command, CommandOption } from './command.ts';
import { type CommandTable, OWN_OPTIONS } from './parse.ts';

/** Widest left column, in characters. */
const LEFT = 26;

/** The manual of everything. */
export function manual(commands: CommandTable): string {
  const names = Object.entries(commands).map(([name, { summary }]) => line(name, summary));
  const settings = SETTINGS.map(({ name, byDefault, meaning }) =>
    line(name, `${meaning}${byDefault && ` [${byDefault}]`}`),
  );
  return [
    `Herald ${VERSION}`,
    `Commands (${launcher} help <command> tells more):\n${names.join('\n')}`,
    `Settings, from the environment:\n${settings.join('\n')}\n`,
  ].join('\n\n');
}

/** The manual of one command. */
export function manualOf(name: string, { options, words, notes }: Command, commands: CommandTable): string {
  const parts = Object.entries(commands).filter(([other]) => other.startsWith(`${name} `));
  const usage = [launcher, name, words.usage, '[options]'].filter((part) => part !== '').join(' ');
  const all = Object.entries<CommandOption>({ ...options, ...OWN_OPTIONS });
  return [
    `${commands[name]?.summary ?? ''}\n\n  ${usage}`,
    ...(parts.length === 0 ? [] : [parts.map(([other, { summary }]) => line(other, summary)).join('\n')]),
    `Options:\n${all.map(([option, about]) => line(written(option, about), about.meaning)).join('\n')}`,
    ...notes,
  ]
    .join('\n\n')
    .concat('\n');
}

const launcher = 'npm run herald --';

function written(name: string, { short, value }: CommandOption): string {
  return `${short === undefined ? '' : `-${short}, `}--${name}${value && ` ${value}`}`;
}

function line(left: string, right: string): string {
  return left.length < LEFT ? `  ${left.padEnd(LEFT)}${right}` : `  ${left}\n  ${' '.repeat(LEFT)}${right}`;
}
