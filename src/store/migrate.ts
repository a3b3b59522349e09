/** Brings the database to this release's shape: graphile-worker's tables first, because our functions call them. */
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { migrate as migrateTables } from 'drizzle-orm/postgres-js/migrator';
import { Logger, runMigrations } from 'graphile-worker';
import { StartupError } from '../domain/errors.ts';
import { type DatabaseAddress, openDatabase, openWorkerPool } from './database.ts';

/** Oldest server that works: `unnest … with ordinality` and friends are older, but 14 is out of support. */
const OLDEST_SERVER = 15;
/** Any number will do, as long as every release takes the same one. */
const MIGRATION_LOCK = 4_373_251;

const MIGRATIONS = fileURLToPath(new URL('../../drizzle', import.meta.url));

/**
 * Migrates, one process at a time (drizzle's migrator takes no lock of its own).
 * Errors: StartupError where the server is older than PostgreSQL 15.
 */
export async function migrate(address: DatabaseAddress): Promise<void> {
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
    await db.execute(sql`select pg_advisory_lock(${MIGRATION_LOCK})`);
    await migrateQueue(address);
    await migrateTables(db, { migrationsFolder: MIGRATIONS, migrationsSchema: 'herald' });
  } finally {
    // Ends the session and with it the lock.
    await db.$client.end();
  }
}

async function migrateQueue(address: DatabaseAddress): Promise<void> {
  const pool = openWorkerPool(address, {
    name: 'herald migrate',
    max: 1,
    settings: { statement_timeout: '0' },
  });
  try {
    await runMigrations({ pgPool: pool, logger: new Logger(() => () => {}) });
  } finally {
    await pool.end();
  }
}
