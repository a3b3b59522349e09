/** Herald's commands: in this process, or as people run them, in processes of their own, ended by pid. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { runCommandLine } from '../../src/commands/run.ts';
import { COMMANDS } from '../../src/commands/table.ts';
import { until } from '../support/until.ts';

const LAUNCHER = fileURLToPath(new URL('../../src/launch.mjs', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunningCommand extends AsyncDisposable {
  readonly out: () => string;
  readonly err: () => string;
  /** Lines of JSON so far. */
  readonly lines: () => readonly Line[];
  readonly ended: Promise<Ended>;
}

export interface CommandProcess extends RunningCommand {
  readonly child: ChildProcess;
}

// biome-ignore lint/suspicious/noExplicitAny: what comes out is looked into field by field.
export type Line = any;

type Environment = Readonly<Record<string, string>>;

/** For what only a process has: signals, streams that break, colours. */
export function spawnCommand(args: readonly string[], env: Environment = {}, input = ''): CommandProcess {
  const child = spawn(process.execPath, [LAUNCHER, ...args], {
    // Nothing of this process' environment but what finds programs: a developer's own settings must not decide.
    env: { PATH: process.env.PATH, HOME: process.env.HOME, DATA_DIR: '/nowhere', ...env },
  });
  const printed = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    printed.out += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    printed.err += chunk;
  });
  child.stdin.on('error', () => {}).end(input);
  let isOver = false;
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => {
      isOver = true;
      resolve({ code, ...printed });
    });
  });
  return {
    child,
    ...readersOf(printed),
    ended,
    async [Symbol.asyncDispose]() {
      if (!isOver) child.kill('SIGKILL');
      await ended;
    },
  };
}

/** The same without a process, which takes a hundredth of the time. */
export function startCommand(args: readonly string[], env: Environment = {}, input = ''): RunningCommand {
  const printed = { out: '', err: '' };
  const stopping = new AbortController();
  const ended = runCommandLine(args, COMMANDS, 'start', {
    env: { DATA_DIR: '/nowhere', ...env },
    print: async (text) => {
      printed.out += text;
    },
    notice: (text) => {
      printed.err += text;
    },
    readInput: async () => input,
    isTerminal: false,
    stopSignal: () => stopping.signal,
  }).then((code) => ({ code, ...printed }));
  return {
    ...readersOf(printed),
    ended,
    async [Symbol.asyncDispose]() {
      stopping.abort('SIGINT');
      await ended;
    },
  };
}

function readersOf(printed: { readonly out: string; readonly err: string }) {
  return {
    out: () => printed.out,
    err: () => printed.err,
    lines: () => parseLines(printed.out.slice(0, printed.out.lastIndexOf('\n') + 1)),
  };
}

/** Runs a command to its end. */
export function herald(args: readonly string[], env: Environment = {}, input = ''): Promise<Ended> {
  return startCommand(args, env, input).ended;
}

/** Runs a command to its end, in a process of its own. */
export function spawnToEnd(args: readonly string[], env: Environment = {}): Promise<Ended> {
  return spawnCommand(args, env).ended;
}

export function parseLines(out: string): readonly Line[] {
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

/** Waits for a line of JSON. */
export function untilLine(command: RunningCommand, is: (line: Line) => boolean, what: string): Promise<Line> {
  return until(() => command.lines().find(is), `${what} in\n${command.out()}${command.err()}`);
}
