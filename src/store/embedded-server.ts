import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Binaries } from './embedded-binaries.ts';
import { readPid, signal } from './embedded-lock.ts';
import type { Place } from './embedded-place.ts';
import { childEnvironment } from './embedded-run.ts';

export interface ServerExit {
  readonly expected: boolean;
  readonly detail: string;
}

export interface ServerProcess {
  /** Never rejects. */
  readonly exited: Promise<ServerExit>;
  readonly stop: () => Promise<void>;
  /** From now on the server does not keep this process from ending. */
  readonly letParentExit: () => void;
}

export type Launch =
  | { readonly outcome: 'ready'; readonly server: ServerProcess }
  /** Another server holds the directory, perhaps only for a moment. */
  | { readonly outcome: 'locked'; readonly detail: string }
  | { readonly outcome: 'failed'; readonly detail: string };

/** Replaying a full write-ahead log (1 GB by default) after a crash takes minutes on a slow disk. */
const READY_TIMEOUT_MS = 300_000;
/** A fast shutdown takes 15 to 40 ms, plus the writing of at most `shared_buffers`. */
const STOP_TIMEOUT_MS = 30_000;
/** After kill -9 of the postmaster the backends hold our pipe until they notice. */
const LAST_WORDS_TIMEOUT_MS = 2_000;

/**
 * Stands between us and the server, with our pipe as its standard input. When that closes, because stop() was called or
 * because this process is gone, even by kill -9, it asks for a fast shutdown: SIGINT. To that alone a server that has only
 * just begun would be deaf, as shells start background programs so; SIGTERM before it ends such a one.
 * Signals meant for the whole group are left to Herald, which drains first.
 */
const WATCHDOG = `
trap '' INT TERM HUP
exec 3<&0
(trap - TERM HUP; exec "$@" </dev/null 3<&-) & server=$!
(read -r _ <&3; kill -TERM $server; kill -INT $server) >/dev/null 2>&1 & watch=$!
wait $server; code=$?
kill -KILL $watch 2>/dev/null; wait $watch
exit $code`;

export interface LaunchOptions {
  readonly binaries: Binaries;
  readonly place: Place;
  readonly args: readonly string[];
  readonly log: (line: string) => void;
  /** Called as soon as the server holds the directory's lock; should it throw, the server is stopped. */
  readonly onLocked: () => void;
}

export async function launchServer(options: LaunchOptions): Promise<Launch> {
  const { binaries, place, args, log, onLocked } = options;
  const command = [join(binaries.binDir, 'postgres'), ...args];
  const child = spawn('/bin/sh', ['-c', WATCHDOG, 'herald-postgres', ...command], {
    ...place.user,
    cwd: place.clusterDir,
    env: childEnvironment(),
    detached: true, // a session of its own: Ctrl-C is for Herald
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const output = readOutput(child.stderr, log);
  const server = supervise(child, place, output.lastWords);
  const timeout = new AbortController();
  try {
    const first = await Promise.race([
      output.locked.then(onLocked).then(() => output.ready),
      server.exited,
      delay(READY_TIMEOUT_MS, 'timeout' as const, { signal: timeout.signal }),
    ]);
    if (first === 'ready') return { outcome: 'ready', server };
    if (first !== 'timeout')
      return { outcome: output.isRefused() ? 'locked' : 'failed', detail: first.detail };
    await server.stop();
    return { outcome: 'failed', detail: `not ready after ${READY_TIMEOUT_MS / 1000} s` };
  } catch (error) {
    await server.stop();
    throw error;
  } finally {
    timeout.abort();
  }
}

function readOutput(stderr: Readable, log: (line: string) => void) {
  let last = '';
  let fatal = ''; // while starting only: later ones are about single connections
  let refused = false;
  let isReady = false;
  const locked = Promise.withResolvers<void>();
  const ready = Promise.withResolvers<'ready'>();
  createInterface({ input: stderr }).on('line', (line) => {
    last = line.replace(/^.*?\b[A-Z]+: +/, '');
    if (!isReady && /\b(FATAL|PANIC): /.test(line)) fatal = last;
    if (/lock file ".*" already exists|pre-existing shared memory block/.test(line)) refused = true;
    if (line.includes('starting PostgreSQL')) locked.resolve();
    if (line.includes('database system is ready to accept connections')) {
      fatal = '';
      isReady = true;
      ready.resolve('ready');
    }
    log(line);
  });
  return {
    locked: locked.promise,
    ready: ready.promise,
    lastWords: () => fatal || last,
    isRefused: () => refused,
  };
}

function supervise(
  child: ChildProcess & { stdin: Writable },
  place: Place,
  lastWords: () => string,
): ServerProcess {
  let stopping = false;
  const exited = new Promise<ServerExit>((resolve) => {
    const end = (how: string) =>
      resolve({ expected: stopping, detail: [how, lastWords()].filter(Boolean).join(': ') });
    child.once('error', (error) => end(error.message));
    child.once('exit', (code, signal) => {
      child.stdin.destroy(); // for a server whose watchdog was killed
      const timer = setTimeout(() => end(describeExit(code, signal)), LAST_WORDS_TIMEOUT_MS);
      child.once('close', () => {
        clearTimeout(timer);
        end(describeExit(code, signal));
      });
    });
  });
  child.stdin.on('error', () => {}); // the pipe breaks when the server goes first: `exited` tells
  return {
    exited,
    async stop() {
      if (!stopping) {
        stopping = true;
        child.ref();
        child.stdin.end();
      }
      const stuck = setTimeout(() => killServer(place), STOP_TIMEOUT_MS);
      await exited;
      clearTimeout(stuck);
    },
    letParentExit() {
      child.unref();
      for (const stream of child.stdio) if (stream instanceof Socket) stream.unref();
    },
  };
}

/** An immediate shutdown: nothing acknowledged is lost, the next start recovers it. */
function killServer(place: Place): void {
  const pid = readPid(join(place.clusterDir, 'postmaster.pid'));
  if (pid !== undefined) signal(pid, 'SIGQUIT');
}

/** A shell reports the signal that ended its child as 128 plus its number. */
function describeExit(code: number | null, endedBy: NodeJS.Signals | null): string {
  if (endedBy) return `its watchdog was ended by ${endedBy}`;
  const ended = Object.entries(constants.signals).find(([, number]) => code === 128 + number);
  if (ended) return `ended by ${ended[0]}`;
  return `exited with code ${code}`;
}
