/** What every scenario stands on: one durable Postgres, one receiver, one generator of load, Redis where there is one. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type postgres from 'postgres';
import { openClient } from '../../src/store/database.ts';
import { type EmbeddedConnection, startEmbedded } from '../../src/store/embedded.ts';
import { migrate } from '../../src/store/migrate.ts';
import { type Child, startChild } from './processes.ts';
import type { LaneCount, ReceiverQuestion } from './receiver.ts';
import { findRedis } from './redis.ts';

export interface Lab extends AsyncDisposable {
  readonly serverVersion: string;
  /** Settings of the server that decide what the figures mean. */
  readonly settings: Readonly<Record<string, string>>;
  readonly receiver: Receiver;
  /** Asks `LoadQuestion`s. */
  readonly load: Child;
  /** For whatever must be a file. */
  readonly directory: string;
  /** Null where there is none. */
  readonly redisUrl: string | null;
  /** A database of its own, migrated; or a copy of one that nobody is connected to. Dropped when disposed of. */
  createDatabase(copyOf?: LabDatabase): Promise<LabDatabase>;
  /** Every statement that the server logs from now on (`log_statement`). */
  hearStatements(hear: (line: string) => void): void;
}

export interface LabDatabase extends AsyncDisposable {
  readonly address: EmbeddedConnection;
  readonly url: string;
  /** Runs what `work` asks on a connection of its own, which ends with it. */
  use<T>(work: (sql: postgres.Sql) => Promise<T>): Promise<T>;
}

export interface Receiver {
  readonly url: string;
  counts(): Promise<Readonly<Record<string, number>>>;
  take(): Promise<Readonly<Record<string, LaneCount>>>;
  hang(lanes: readonly string[]): Promise<void>;
}

/** Errors: where the server does not start; what was started before is ended. */
export async function openLab(): Promise<Lab> {
  await using opened = new AsyncDisposableStack();
  const directory = await makeDirectory(opened);
  // A directory of its own: in one that is root's, root's server would put its data elsewhere, and leave them there.
  const dataDir = await makeDirectory(opened);
  let hear: (line: string) => void = () => {};
  const server = await startEmbedded({
    dataDir,
    settings: { max_connections: '400' },
    log: (line) => hear(line),
  });
  opened.defer(() => server.stop());
  const { connection } = server;
  await migrate(connection);
  const receiverProcess = opened.use(startChild('receiver.ts'));
  const ask = <Answer>(question: ReceiverQuestion) => receiverProcess.ask<Answer>(question);
  const load = opened.use(startChild('load.ts'));
  const redis = await findRedis(directory);
  if (redis !== null) opened.use(redis);

  let databases = 0;
  async function createDatabase(copyOf?: LabDatabase): Promise<LabDatabase> {
    const address = { ...connection, database: `bench_${++databases}` };
    const template = copyOf?.address.database ?? connection.database;
    // Copied as files: the log does not grow by it, and it ends with a checkpoint.
    await administer(`create database ${address.database} template ${template} strategy file_copy`);
    return {
      address,
      url: `postgres://${address.user}@localhost/${address.database}?host=${encodeURIComponent(address.host)}&port=${address.port}`,
      use: (work) => withClient(address, work),
      [Symbol.asyncDispose]: () => administer(`drop database ${address.database} with (force)`),
    };
  }
  const administer = (statement: string): Promise<void> =>
    withClient({ ...connection, database: 'postgres' }, async (sql) => {
      await sql.unsafe(statement);
    });

  const rest = opened.move();
  return {
    serverVersion: server.serverVersion,
    settings: await withClient(connection, readSettings),
    receiver: {
      url: await ask<string>({ kind: 'URL' }),
      counts: () => ask({ kind: 'COUNTS' }),
      take: () => ask({ kind: 'TAKE' }),
      hang: (lanes) => ask({ kind: 'HANG', lanes }),
    },
    load,
    directory,
    redisUrl: redis?.url ?? null,
    createDatabase,
    hearStatements: (listener) => {
      hear = listener;
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** Removed when the stack is disposed of. */
async function makeDirectory(opened: AsyncDisposableStack): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'herald-bench-'));
  opened.defer(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function withClient<T>(
  address: EmbeddedConnection,
  work: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const settings = { statement_timeout: '0' };
  const sql = openClient(address, { name: 'bench', max: 1, settings, permanent: true });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

const SETTINGS = ['fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size'];

async function readSettings(sql: postgres.Sql): Promise<Readonly<Record<string, string>>> {
  const rows = await sql<{ name: string; value: string }[]>`
    select name, current_setting(name) as value from unnest(string_to_array(${SETTINGS.join(',')}, ',')) name`;
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}
