/** Herald's commands as people run them: processes of their own, ended by pid. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { until } from '../support/until.ts';

const LAUNCHER = fileURLToPath(new URL('../../src/launch.mjs', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunningCommand extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  /** Lines of JSON so far. */
  readonly lines: () => readonly Line[];
  readonly ended: Promise<Ended>;
}

// biome-ignore lint/suspicious/noExplicitAny: what comes out is looked into field by field.
export type Line = any;

type Environment = Readonly<Record<string, string>>;

export function spawnCommand(args: readonly string[], env: Environment = {}, input = ''): RunningCommand {
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
    out: () => printed.out,
    err: () => printed.err,
    lines: () => parseLines(printed.out.slice(0, printed.out.lastIndexOf('\n') + 1)),
    ended,
    async [Symbol.asyncDispose]() {
      if (!isOver) child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Runs a command to its end. */
export function herald(args: readonly string[], env: Environment = {}, input = ''): Promise<Ended> {
  return spawnCommand(args, env, input).ended;
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
