import { accessSync, constants, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { StartupError } from '../domain/errors.ts';
import { type Binaries, findBinaries } from './embedded-binaries.ts';
import { ensureCluster } from './embedded-cluster.ts';
import { claim, waitUntilVacant } from './embedded-lock.ts';
import { choosePlace, type Place, PORT, socketDirectory } from './embedded-place.ts';
import { launchServer, type ServerExit, type ServerProcess } from './embedded-server.ts';

/** Where to connect. `host` is the directory of a unix socket, which only its owner and root can enter. */
export interface EmbeddedConnection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

export interface EmbeddedPostgres {
  readonly connection: EmbeddedConnection;
  /** As the server says it: `18.4`. */
  readonly serverVersion: string;
  /** Where the data really are: root may not be able to use the directory that was asked for. */
  readonly dataDir: string;
  /** Resolves, and never rejects, when the server has exited; `expected` says whether stop() was called. */
  readonly exited: Promise<ServerExit>;
  /** Fast shutdown; open connections are ended. Idempotent. */
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** For example `/srv/shop/.herald`; the server's own files go to `postgres` in it. */
  readonly dataDir: string;
  /** Server settings on top of {@link SETTINGS}. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Takes the server's own log, line by line. */
  readonly log?: (line: string) => void;
}

const USER = 'postgres';
const DATABASE = 'herald';
/** How long a server that is just shutting down may take to give the directory free. */
const VACANCY_TIMEOUT_MS = 10_000;
const LOCK_RETRY_MS = 50;

/**
 * `fsync` and `synchronous_commit` are the promise that a queued event is kept: never off in production.
 * No `wal_compression`: the bundled server has only pglz, which costs more processor time than it saves writes.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  fsync: 'on',
  synchronous_commit: 'on',
  max_connections: '100',
  shared_buffers: '128MB',
  jit: 'off', // the statements are short: compiling them takes longer than running them
  timezone: 'UTC',
  log_timezone: 'UTC',
  // We read the log to see when it is ready: to stderr and in English, whatever `alter system` says.
  log_destination: 'stderr',
  logging_collector: 'off',
  lc_messages: 'C',
  log_checkpoints: 'off', // every five minutes, to nobody's use
  log_error_verbosity: 'terse', // the detail of an error is the failing row, with its data
  log_min_error_statement: 'panic', // and the statement may hold them too
  log_line_prefix: '[%p] ', // the reader of the lines adds its own time
};

/**
 * Starts Postgres on `dataDir`, making the cluster and the database `herald` where they are missing. The server ends
 * with this process, however that ends. Throws StartupError with the one sentence that says what to do.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  if (process.platform === 'win32')
    throw new StartupError(
      'the embedded PostgreSQL does not support Windows: set DATABASE_URL to any PostgreSQL 15 or newer',
    );
  const place = await choosePlace(options.dataDir);
  const deadline = Date.now() + VACANCY_TIMEOUT_MS;
  await waitUntilVacant(place, deadline);
  assertWritable(place);
  const binaries = await findBinaries(place);
  const settings = { ...SETTINGS, ...options.settings };
  await ensureCluster(place, binaries, settings.fsync !== 'off');
  return serve({ place, binaries, settings, deadline, log: options.log ?? (() => {}) });
}

interface Setup {
  readonly place: Place;
  readonly binaries: Binaries;
  readonly settings: Readonly<Record<string, string>>;
  readonly deadline: number;
  readonly log: (line: string) => void;
}

async function serve(setup: Setup): Promise<EmbeddedPostgres> {
  const { place, binaries } = setup;
  const socket = socketDirectory(place);
  const connection = { host: socket.directory, port: PORT, user: USER, database: DATABASE };
  let release = () => {};
  const cleanUp = () => {
    release();
    if (socket.temporary) rmSync(socket.directory, { recursive: true, force: true });
  };
  let server: ServerProcess | undefined;
  try {
    server = await launchWhenVacant(setup, socket.directory, () => {
      release = claim(place);
    });
    await ensureDatabase(connection);
  } catch (error) {
    await server?.stop();
    cleanUp();
    throw error;
  }
  server.letParentExit();
  const exited = server.exited.then((exit) => {
    cleanUp();
    return exit;
  });
  const { stop } = server;
  return {
    connection,
    serverVersion: binaries.version,
    dataDir: place.dataDir,
    exited,
    async stop() {
      await stop();
      await exited;
    },
  };
}

/** A server that was killed leaves locks that last a moment longer than itself, so those are worth another try. */
async function launchWhenVacant(
  setup: Setup,
  socketDir: string,
  onLocked: () => void,
): Promise<ServerProcess> {
  const { place, binaries, settings, deadline, log } = setup;
  const args = ['-D', place.clusterDir, '-p', String(PORT), '-k', socketDir];
  for (const [name, value] of Object.entries(settings)) args.push('-c', `${name}=${value}`);
  for (;;) {
    await waitUntilVacant(place, deadline);
    const launch = await launchServer({ binaries, place, args, log, onLocked });
    if (launch.outcome === 'ready') return launch.server;
    if (launch.outcome === 'failed' || Date.now() > deadline)
      throw new StartupError(`PostgreSQL did not start on ${place.clusterDir}: ${launch.detail}`);
    await delay(LOCK_RETRY_MS);
  }
}

async function ensureDatabase(connection: EmbeddedConnection): Promise<void> {
  const sql = postgres({
    ...connection,
    database: 'postgres',
    max: 1,
    fetch_types: false,
    connect_timeout: 10,
  });
  try {
    const found = await sql`select from pg_database where datname = ${connection.database}`;
    if (found.count === 0) await sql`create database ${sql(connection.database)}`;
  } catch (cause) {
    throw new StartupError(
      `the embedded PostgreSQL has started but does not serve: ${(cause as Error).message}`,
      { cause },
    );
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function assertWritable({ dataDir }: Place): void {
  try {
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new StartupError(
      `the data directory ${dataDir} is not writable: change its permissions, choose another one, or set DATABASE_URL`,
      { cause },
    );
  }
}
