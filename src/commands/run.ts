/** Runs a command line from its words to its exit code, wherever it is: all it meets of a process is handed to it. */
import { StartupError } from '../domain/errors.ts';
import { VERSION } from '../version.ts';
import { type CommandCall, type ExitCode, UsageError } from './command.ts';
import { manual, manualOf } from './manual.ts';
import { type CommandTable, parseCommandLine } from './parse.ts';

export type Surroundings = Omit<CommandCall, 'options' | 'words'>;

/** The reason of a stop signal where nobody reads the output any more. */
export const NO_READER = 'EPIPE';

/** `byDefault` is the command that runs where none is named. */
export async function runCommandLine(
  args: readonly string[],
  commands: CommandTable,
  byDefault: string,
  surroundings: Surroundings,
): Promise<ExitCode> {
  const { print, notice, stopSignal } = surroundings;
  const misunderstood = (message: string, name: string | null): ExitCode => {
    notice(`${message}\nSee \`help${name === null ? '' : ` ${name}`}\`.\n`);
    return 2;
  };
  const parsed = await parseCommandLine(args, commands, byDefault);
  switch (parsed.kind) {
    case 'HELP':
      await print(await manualFor(parsed.name, commands));
      return 0;
    case 'VERSION':
      await print(`${VERSION}\n`);
      return 0;
    case 'MISTAKE':
      return misunderstood(parsed.message, parsed.name);
    case 'RUN':
      try {
        return await parsed.command.run({ ...parsed.call, ...surroundings });
      } catch (error) {
        const { aborted, reason } = stopSignal();
        if (aborted) return reason === NO_READER ? 0 : 130;
        if (error instanceof UsageError) return misunderstood(error.message, parsed.name);
        notice(`${describeError(error)}\n`);
        return 1;
      }
  }
}

async function manualFor(name: string | null, commands: CommandTable): Promise<string> {
  const command = name === null ? undefined : await commands[name]?.load();
  return name === null || command === undefined ? manual(commands) : manualOf(name, command, commands);
}

/** In words where it is no fault of ours; otherwise with the place that it comes from. */
export function describeError(error: unknown): string {
  if (error instanceof StartupError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
