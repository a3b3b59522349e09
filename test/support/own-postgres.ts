/** A Postgres of the test's own, durable as in production, to be ended in every way there is. */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedPostgres, startEmbedded } from '../../src/store/embedded.ts';
import type { TestDatabase } from './database.ts';

/** FAST: sessions are ended, everything is written. IMMEDIATE: recovery follows. KILL: as after a power cut. */
export type Ending = 'FAST' | 'IMMEDIATE' | 'KILL';

export interface OwnPostgres extends AsyncDisposable {
  /** Stays the same over restarts. */
  readonly database: TestDatabase;
  end(how: Ending): Promise<void>;
  start(): Promise<void>;
}

export async function startOwnPostgres(
  settings: Readonly<Record<string, string>> = {},
): Promise<OwnPostgres> {
  const directory = await mkdtemp(join(tmpdir(), 'herald-own-'));
  // As root the server runs as another user, who must be able to reach its directory.
  await chmod(directory, 0o755);
  const launch = () => startEmbedded({ dataDir: join(directory, 'data'), settings });
  let server: EmbeddedPostgres = await launch();
  const { connection } = server;
  const { host, port, user, database } = connection;
  const url = `postgres://${user}@localhost/${database}?host=${encodeURIComponent(host)}&port=${port}`;

  async function end(how: Ending): Promise<void> {
    if (how === 'FAST') return server.stop();
    const pid = await readFile(join(server.dataDir, 'postgres', 'postmaster.pid'), 'utf8');
    process.kill(Number(pid.split('\n')[0]), how === 'KILL' ? 'SIGKILL' : 'SIGQUIT');
    await server.exited;
  }

  return {
    database: { ...connection, url },
    end,
    async start() {
      server = await launch();
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
