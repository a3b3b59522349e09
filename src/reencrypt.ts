/** Opens the database, leaves every secret in it encrypted with the first key, and closes it. */
import { type Reencrypted, reencryptSecrets } from './actions/reencrypt-secrets.ts';
import type { Config } from './config.ts';
import type { Log } from './log.ts';
import { closeAll, type Opened, openPostgres, openSecrets } from './opening.ts';
import { openDatabase } from './store/database.ts';
import { readInstallation } from './store/installation.ts';
import { migrate } from './store/migrate.ts';

/** Errors: StartupError where the database cannot be opened, or a key is missing. */
export async function reencryptDatabase(config: Config, log: Log): Promise<Reencrypted> {
  const opened: Opened = [];
  try {
    const secrets = await openSecrets(config);
    const { address } = await openPostgres(config, log, opened);
    await migrate(address);
    const db = openDatabase(address, { name: 'herald reencrypt', max: 1 });
    opened.push({ what: 'database', close: () => db.$client.end({ timeout: 5 }) });
    await readInstallation(db, secrets, null);
    return await reencryptSecrets(db, secrets);
  } finally {
    await closeAll(opened, log);
  }
}
