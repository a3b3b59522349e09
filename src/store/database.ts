/** Opens the database and keeps the type of what is a transaction apart from the type of what is not. */
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { drizzle, type PostgresJsDatabase, type PostgresJsTransaction } from 'drizzle-orm/postgres-js';
import pg from 'pg';
import postgres from 'postgres';
import { repeatingConflicts } from './database-errors.ts';
import { createPool, type Pool } from './pool.ts';
import { QueueClient, QueuePool } from './queue-pool.ts';
import { KEEP_ALIVE_MS, watchedSocket } from './sockets.ts';

/** Where Postgres is: a URL, or the directory of the embedded server's unix socket. */
export type DatabaseAddress =
  | { readonly url: string }
  | {
      readonly host: string;
      readonly port: number;
      readonly user: string;
      readonly database: string;
      readonly password?: string;
    };

/** A pool of connections. Statements on it commit one by one. */
export type Database = PostgresJsDatabase<Record<string, never>> & { readonly $client: Pool };
/** An open transaction: what is written with it commits or rolls back together. */
export type Transaction = PostgresJsTransaction<Record<string, never>, Record<string, never>>;
/** For reads, which may run in either. */
export type Executor = Database | Transaction;

export interface PoolOptions {
  /** Shown in pg_stat_activity. */
  readonly name: string;
  /** Most connections. */
  readonly max: number;
  /** Session settings, e.g. `{ enable_seqscan: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Keeps connections for ever: for one that holds a session lock. By default they are renewed every half an hour. */
  readonly permanent?: true;
  /** Called when a connection of a worker pool breaks: what was under way on it may have happened or not. */
  readonly onBroken?: () => void;
}

/**
 * For connections that work in batches: always by index and one row at a time, in a plan made once. Statistics of
 * tables that grow and shrink fast are stale, and the planner would scan them for a batch (a factor of two); a plan made
 * while they were empty would join them whole for ever after: a fetch then joined all of the queue, 80,000 jobs, with
 * what it fetched. By bitmap a fetch read what half a minute had deleted since the last vacuum, 11 ms instead of 0.05.
 * A row read costs more than anything in these plans, so each is looked up by its id; costs that high would compile,
 * and start processes that help.
 */
export const BATCH_SETTINGS = {
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  enable_material: 'off',
  enable_bitmapscan: 'off',
  cpu_tuple_cost: '100',
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  plan_cache_mode: 'force_generic_plan',
} as const;

/** A statement that runs longer is cancelled, in ms: no query of ours takes seconds, so it is stuck behind a lock. */
const STATEMENT_TIMEOUT_MS = 25_000;
/** A server that has not even cancelled a statement by this many ms after its time is not there any more. */
const SILENCE_MARGIN_MS = 3000;
const CONNECT_TIMEOUT_SECONDS = 10;
const LIFETIME_SECONDS = 30 * 60;

/**
 * The address in a DATABASE_URL. libpq's way to name a unix socket, `postgres://me@/app?host=/run/postgresql`, is taken
 * apart here: postgres.js does not know it.
 */
export function parseDatabaseUrl(text: string): DatabaseAddress {
  // The host between @ and / may be missing, which URL refuses.
  const url = URL.parse(text) ?? URL.parse(text.replace(/^(\w+:\/\/(?:[^/@]*@)?)(?=\/)/, '$1localhost'));
  const host = url?.searchParams.get('host');
  if (url === null || host == null) return { url: text };
  const password = decode(url.password);
  return {
    host,
    port: Number(url.searchParams.get('port') ?? (url.port || 5432)),
    user: decode(url.username) || url.searchParams.get('user') || 'postgres',
    database: decode(url.pathname.slice(1)) || 'postgres',
    ...(password !== '' && { password }),
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function openDatabase(address: DatabaseAddress, options: PoolOptions): Database {
  const dial = dialer(silenceLimit(options));
  const client = createPool({
    max: options.max,
    lifetimeMs: options.permanent ? Number.POSITIVE_INFINITY : LIFETIME_SECONDS * 1000,
    open: ({ onclose, isClosed }, delayMs) =>
      postgresClient(address, {
        ...settingsOf({ ...options, max: 1, permanent: true }),
        onclose,
        async socket(target: Target) {
          if (delayMs() > 0) await pause(delayMs());
          // postgres.js would dial again for what it still has to send.
          return isClosed() ? new Promise<Socket>(() => {}) : dial(target);
        },
      }),
  });
  return drizzle({ client: client as unknown as postgres.Sql }) as unknown as Database;
}

/**
 * A bare postgres.js client, for single statements and LISTEN: it mends its connection by itself, which does not go well
 * with transactions and large results (see pool-connection.ts).
 */
export function openClient(address: DatabaseAddress, options: PoolOptions): postgres.Sql {
  return postgresClient(address, { ...settingsOf(options), socket: dialer(silenceLimit(options)) });
}

function settingsOf(options: PoolOptions) {
  return {
    max: options.max,
    keep_alive: KEEP_ALIVE_MS / 1000,
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    // Plans are chosen once per connection; without this, a plan made on empty tables outlives them.
    max_lifetime: options.permanent ? null : LIFETIME_SECONDS,
    // By default postgres.js waits up to 20 s between tries; a database that is back must be used within seconds.
    backoff: (retries: number) => Math.min(0.1 * 2 ** retries, 1),
    // It would read the array types of every new connection and leave the promise alone: a restart of the server at
    // that moment is an unhandled rejection, which ends the process.
    fetch_types: false,
    onnotice: () => {},
    connection: {
      application_name: options.name,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      ...options.settings,
    },
  };
}

function postgresClient(
  address: DatabaseAddress,
  settings: ReturnType<typeof settingsOf> &
    Pick<postgres.Options<Record<string, never>>, 'onclose'> &
    DialSettings,
): postgres.Sql {
  return 'url' in address ? postgres(address.url, settings) : postgres({ ...address, ...settings });
}

/** An option of postgres.js that its types do not know. */
interface DialSettings {
  readonly socket: (target: Target) => Socket | Promise<Socket>;
}

/** The pool graphile-worker works with; it speaks `pg`. */
export function openWorkerPool(address: DatabaseAddress, options: PoolOptions): pg.Pool {
  const where = 'url' in address ? { connectionString: address.url } : address;
  const settings = Object.entries(options.settings ?? {}).map(([name, value]) => `-c ${name}=${value}`);
  const pool = new QueuePool({
    ...where,
    Client: QueueClient,
    max: options.max,
    application_name: options.name,
    types: UNREAD_TIMES,
    ...(settings.length > 0 && { options: settings.join(' ') }),
    statement_timeout: statementTimeout(options),
    connectionTimeoutMillis: CONNECT_TIMEOUT_SECONDS * 1000,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    stream: () => watchedSocket(silenceLimit(options)),
  });
  // A connection that breaks while nobody uses it must not end the process; whoever uses it gets the error anyway.
  const broken = options.onBroken ?? (() => {});
  pool.on('error', broken);
  pool.on('connect', (client) => client.on('error', broken));
  return pool;
}

/** Nobody reads the four times of a job; parsing them took a thirtieth of a worker's time. */
const UNREAD_TIMES: pg.CustomTypesConfig = {
  getTypeParser: (type: number, format?: 'text' | 'binary') =>
    type === pg.types.builtins.TIMESTAMPTZ && format !== 'binary'
      ? (text: string) => text
      : pg.types.getTypeParser(type, format),
};

function statementTimeout({ settings }: PoolOptions): number {
  return Number(settings?.statement_timeout ?? STATEMENT_TIMEOUT_MS);
}

/** How long the server may leave a statement unanswered, in ms. */
function silenceLimit(options: PoolOptions): number {
  const timeoutMs = statementTimeout(options);
  return timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs + SILENCE_MARGIN_MS;
}

/** What postgres.js says about where to connect: a unix socket, or hosts to try one after the other. */
interface Target {
  readonly path: string | false;
  readonly host: readonly string[];
  readonly port: readonly number[];
}

function dialer(limitMs: number): (target: Target) => Socket {
  let dialled = 0;
  return ({ path, host, port }) => {
    const socket = watchedSocket(limitMs);
    if (path) return socket.connect(path);
    const n = dialled++ % port.length;
    const at = { host: host[n] ?? 'localhost', port: port[n] ?? 5432 };
    // postgres.js reads these to name the server to TLS.
    return Object.assign(socket.setNoDelay(true).connect(at), at);
  };
}

/** Runs `work` in one transaction; runs it again where it lost against a concurrent one. */
export function inTransaction<T>(db: Database, work: (tx: Transaction) => Promise<T>): Promise<T> {
  return repeatingConflicts(() => db.transaction((tx) => work(tx as Transaction)));
}

/** Runs `work` so that the transaction goes on where it fails. */
export function withinSavepoint<T>(tx: Transaction, work: (tx: Transaction) => Promise<T>): Promise<T> {
  return tx.transaction((inner) => work(inner as Transaction));
}

/** From now on the transaction fails where it would wait longer, in ms, for somebody's lock. Errors, then: 55P03. */
export async function limitWaitForLocks(tx: Transaction, ms: number): Promise<void> {
  await tx.execute(sql`select set_config('lock_timeout', ${String(ms)}, true)`);
}

/** Resolves when the database answers. */
export async function ping(db: Database): Promise<void> {
  await db.execute(sql`select 1`);
}
