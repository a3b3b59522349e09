/** Brings the database to this release's shape: graphile-worker's tables first, because our functions call them. */
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { migrate as migrateTables } from 'drizzle-orm/postgres-js/migrator';
import { Logger, runMigrations } from 'graphile-worker';
import { StartupError } from '../domain/errors.ts';
import { type Database, type DatabaseAddress, openDatabase, openWorkerPool } from './database.ts';
import { sqlState } from './database-errors.ts';

/** Oldest server that works: `unnest … with ordinality` and friends are older, but 14 is out of support. */
const OLDEST_SERVER = 15;
/** Any number will do, as long as every release takes the same one. */
const MIGRATION_LOCK = 4_373_251;

/** Between two tries, in ms: whoever waited behind the first one gets through. */
const PAUSE_MS = 2000;
/** So many tries, and one waits longer than the others. */
const PATIENT_EVERY = 5;
/** A table was not to be had; or everybody waited for one another, and we were to let go. */
const TAKEN = new Set(['55P03', '40P01']);

const MIGRATIONS = fileURLToPath(new URL('../../drizzle', import.meta.url));

export interface MigrateOptions {
  /** Called once, where a table is not to be had at once. */
  readonly onWait?: () => void;
  /** Ends the waiting, with its AbortError. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Migrates, one process at a time, while others go on working. A migration waits for whoever has a table that it needs,
 * and whoever wants it next waits behind the migration: so it gives up after a moment, and comes again.
 * Errors: StartupError where the server is older than PostgreSQL 15.
 */
export async function migrate(
  address: DatabaseAddress,
  { onWait = () => {}, signal }: MigrateOptions = {},
): Promise<void> {
  for (let tries = 1; !(await tryToMigrate(address, tries % PATIENT_EVERY === 0)); tries++) {
    if (tries === 1) onWait();
    await pause(PAUSE_MS, undefined, { signal });
  }
}

/** False where a table was not to be had. */
async function tryToMigrate(address: DatabaseAddress, isPatient: boolean): Promise<boolean> {
  const db = openDatabase(address, {
    name: 'herald migrate',
    max: 1,
    permanent: true,
    settings: { statement_timeout: '0' },
  });
  try {
    const [server] = await db.execute(sql`select current_setting('server_version') as version`);
    const version = String(server?.version);
    if (Number.parseInt(version, 10) < OLDEST_SERVER) {
      throw new StartupError(`Herald needs PostgreSQL ${OLDEST_SERVER} or newer, this server is ${version}.`);
    }
    // drizzle's migrator takes no lock of its own.
    await db.execute(sql`select pg_advisory_lock(${MIGRATION_LOCK})`);
    const lockTimeout = await limitWaiting(db, isPatient);
    await migrateQueue(address, lockTimeout);
    await migrateTables(db, { migrationsFolder: MIGRATIONS, migrationsSchema: 'herald' });
    return true;
  } catch (error) {
    if (TAKEN.has(sqlState(error) ?? '')) return false;
    throw error;
  } finally {
    // Ends the session and with it the lock.
    await db.$client.end();
  }
}

/**
 * Limits how long the session waits for a table, and says to how much, in ms. Below `deadlock_timeout` Postgres ends
 * nobody's statement for ours, whoever waits for whom. Above it, it does, and also an autovacuum that stands in the way.
 */
async function limitWaiting(db: Database, isPatient: boolean): Promise<string> {
  const [row] = await db.execute(sql`
    select set_config('lock_timeout', (case when ${isPatient} then setting::int + 200 else setting::int / 2 end)::text, false)
        as timeout
      from pg_settings where name = 'deadlock_timeout'`);
  return String(row?.timeout);
}

async function migrateQueue(address: DatabaseAddress, lockTimeout: string): Promise<void> {
  const pool = openWorkerPool(address, {
    name: 'herald migrate',
    max: 1,
    settings: { statement_timeout: '0', lock_timeout: lockTimeout },
  });
  try {
    await runMigrations({ pgPool: pool, logger: new Logger(() => () => {}) });
  } finally {
    await pool.end();
  }
}
