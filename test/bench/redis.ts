/** A Redis for the scenarios that compare with BullMQ: REDIS_URL, or a `redis-server` of our own, or none. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';

export interface FoundRedis extends AsyncDisposable {
  readonly url: string;
}

const READY_TIMEOUT_MS = 10_000;

/**
 * The server that the shell starts ends when its standard input does, so it ends with us, however that happens.
 * Append-only file, synced each second: what BullMQ's documentation asks for in production.
 */
const SCRIPT = 'redis-server "$@" <&- & pid=$!; read _; kill $pid; wait $pid';

/** Null where there is no REDIS_URL and no `redis-server` on the PATH. Errors: one that is there and does not start. */
export async function findRedis(directory: string): Promise<FoundRedis | null> {
  const given = process.env.REDIS_URL;
  if (given !== undefined && given !== '') return { url: given, async [Symbol.asyncDispose]() {} };
  if (!isOnPath('redis-server')) return null;
  const dir = join(directory, 'redis');
  await mkdir(dir);
  const port = await freePort();
  const settings = { port, dir, bind: '127.0.0.1', save: '', appendonly: 'yes', appendfsync: 'everysec' };
  const more = { 'maxmemory-policy': 'noeviction' };
  const args = Object.entries({ ...settings, ...more }).flatMap(([name, value]) => [
    `--${name}`,
    String(value),
  ]);
  const shell = spawn('sh', ['-c', SCRIPT, 'redis', ...args], { stdio: ['pipe', 'pipe', 'ignore'] });
  const exited = once(shell, 'exit');
  const ready = await new Promise<boolean>((resolve) => {
    let printed = '';
    shell.stdout.on('data', (chunk: Buffer) => {
      printed = (printed + chunk.toString()).slice(-4096);
      if (printed.includes('Ready to accept connections')) resolve(true);
    });
    setTimeout(() => resolve(false), READY_TIMEOUT_MS).unref();
  });
  async function stop(): Promise<void> {
    shell.stdin.end();
    await exited;
  }
  if (!ready) {
    await stop();
    throw new Error('redis-server was started and did not become ready');
  }
  return { url: `redis://127.0.0.1:${port}`, [Symbol.asyncDispose]: stop };
}

function isOnPath(program: string): boolean {
  const directories = (process.env.PATH ?? '').split(delimiter);
  return directories.some((directory) => existsSync(join(directory, program)));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
