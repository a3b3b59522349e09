/** Herald as a process of its own, the way `npm start` runs it, ended by pid. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { until } from './until.ts';

export interface HeraldProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Everything printed so far. */
  readonly output: () => string;
  /** Waits for the banner. Throws, with the output, when the process ends before. */
  ready(): Promise<{ readonly url: string; readonly token: string }>;
  exited(): Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

const LAUNCHER = fileURLToPath(new URL('../../src/launch.mjs', import.meta.url));

/** `launcher`: that of another release. `maxFiles`: how many file descriptors it may have. */
export function spawnHerald(
  env: Readonly<Record<string, string>>,
  launcher = LAUNCHER,
  maxFiles?: number,
): HeraldProcess {
  const limit = maxFiles === undefined ? '' : `ulimit -n ${maxFiles}; `;
  const child = spawn('sh', ['-c', `${limit}exec "$0" "$1"`, process.execPath, launcher], {
    // Nothing of this process' environment but what finds programs: a developer's own settings must not decide.
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', LOG_LEVEL: 'warn', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
    });
  }
  const exit = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  let ended = false;
  void exit.then(() => {
    ended = true;
  });
  return {
    child,
    pid: child.pid ?? 0,
    output: () => printed,
    ready: () =>
      until(
        () => {
          const [, url] = /is ready after \S+ s at (\S+)/.exec(printed) ?? [];
          const [, token = ''] = /#token=(\S+)/.exec(printed) ?? [];
          if (url !== undefined && printed.includes('Roles')) return { url, token };
          if (ended) throw new Error(`Herald ended before it was ready:\n${printed}`);
          return null;
        },
        `Herald to be ready`,
        60_000,
      ),
    exited: () => exit,
    async [Symbol.asyncDispose]() {
      if (!ended) child.kill('SIGKILL');
      await exit;
    },
  };
}

/** Whether a process of that pid exists and is no zombie's shadow of ours. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
