/** What every scenario stands on: one durable Postgres, one receiver in its own process, figures in rows. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type EmbeddedConnection, startEmbedded } from '../../src/store/embedded.ts';
import { migrate } from '../../src/store/migrate.ts';

export interface Lab extends AsyncDisposable {
  readonly database: EmbeddedConnection;
  readonly receiverUrl: string;
  /** How many webhooks the receiver has counted. */
  received(): Promise<number>;
  /** Latencies in ms since the last call, ascending. */
  latencies(): Promise<readonly number[]>;
}

export async function openLab(): Promise<Lab> {
  const directory = await mkdtemp(join(tmpdir(), 'herald-bench-'));
  const server = await startEmbedded({ dataDir: directory, settings: { max_connections: '300' } });
  await migrate(server.connection);
  const receiver = startProcess('receiver.ts', []);
  const [{ url }] = (await once(receiver, 'message')) as [{ url: string }];
  const ask = async (path: string) =>
    (await (await fetch(new URL(path, url))).json()) as { count: number; latencies?: number[] };
  return {
    database: server.connection,
    receiverUrl: url,
    received: async () => (await ask('/count')).count,
    latencies: async () => ((await ask('/latencies')).latencies ?? []).sort((a, b) => a - b),
    async [Symbol.asyncDispose]() {
      receiver.disconnect();
      await once(receiver, 'exit');
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Starts a file of this folder as a process that ends with us. */
export function startProcess(file: string, args: readonly string[]): ChildProcess {
  return fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

/** The value below which the fraction `p` of `sorted` lies. */
export function percentile(sorted: readonly number[], p: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN;
}
