/** The processes that the bench starts: each is asked questions, and ended by its pid whatever happens. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Usage } from './probe.ts';

export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** Answered by `answerWith` in the process. Rejects when the process ends before it answers. */
  ask<Answer>(question: unknown): Promise<Answer>;
  usage(): Promise<Usage>;
  /** The same after a full collection of garbage, `heldMb` included. */
  held(): Promise<Usage>;
  /** What it printed, up to 64 KiB. */
  output(): string;
  /** Resolves when it has printed what `find` finds; rejects when it ends before, or takes too long. */
  printed<T>(find: (output: string) => T | null): Promise<T>;
  /** SIGTERM, and SIGKILL where that takes longer than 20 s. */
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.on('exit', killAll);

/** Ends everything at once. */
export function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

const PROBE = new URL('probe.ts', import.meta.url).href;
const STOP_TIMEOUT_MS = 20_000;
const START_TIMEOUT_MS = 60_000;
const MAX_OUTPUT = 64 * 1024;

export interface ChildOptions {
  readonly args?: readonly string[];
  /** The whole environment but PATH and HOME: a developer's own settings must not decide. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a file, named from this folder, as a Node process. */
export function startChild(file: string, { args = [], env = {} }: ChildOptions = {}): Child {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    execArgv: ['--import', PROBE],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced', // figures may be NaN
  });
  running.add(child);
  const answers = new Map<number, PromiseWithResolvers<unknown>>();
  let lastId = 0;
  let printed = '';
  let ended: Error | null = null;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      printed = (printed + chunk.toString()).slice(-MAX_OUTPUT);
    });
  }
  child.on('message', (message) => {
    const { id, value } = message as { id: number; value: unknown };
    answers.get(id)?.resolve(value);
    answers.delete(id);
  });
  child.on('error', () => {}); // a question to a process that is just ending; its exit says the rest
  const exited = once(child, 'exit').then(([code, signal]) => {
    running.delete(child);
    ended = new Error(`${file} ${args.join(' ')} ended (${code ?? signal}):\n${printed.slice(-2000)}`);
    for (const answer of answers.values()) answer.reject(ended);
    answers.clear();
  });

  function ask<Answer>(question: unknown): Promise<Answer> {
    if (ended !== null) return Promise.reject(ended);
    const answer = Promise.withResolvers<unknown>();
    answers.set(++lastId, answer);
    child.send({ id: lastId, question });
    return answer.promise as Promise<Answer>;
  }

  async function stop(): Promise<void> {
    if (ended === null) child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  }

  return {
    pid: child.pid ?? 0,
    ask,
    usage: () => ask<Usage>('usage'),
    held: () => ask<Usage>('held'),
    output: () => printed,
    async printed(find) {
      const deadline = performance.now() + START_TIMEOUT_MS;
      for (;;) {
        const found = find(printed);
        if (found !== null) return found;
        if (ended !== null) throw ended;
        if (performance.now() > deadline) throw new Error(`${file} is not ready:\n${printed}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
