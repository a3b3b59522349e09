/** What Herald and its commands open alike: the database, the keys; and how all that was opened is closed again. */
import { join } from 'node:path';
import type { Config } from './config.ts';
import { readEncryptionKeys } from './data-dir.ts';
import type { Log } from './log.ts';
import { type DatabaseAddress, parseDatabaseUrl } from './store/database.ts';
import { startEmbedded } from './store/embedded.ts';
import { createSecretBox, type SecretBox } from './store/secrets.ts';

/** What to close, in the order it was opened. */
export type Opened = { readonly what: string; readonly close: () => Promise<unknown> | unknown }[];

/** The keys of the configuration, or those of the data directory. */
export async function openSecrets({ encryptionKeys, dataDir }: Config): Promise<SecretBox> {
  const [first, ...others] = encryptionKeys;
  return createSecretBox(first === undefined ? await readEncryptionKeys(dataDir) : [first, ...others]);
}

export interface OpenedPostgres {
  readonly address: DatabaseAddress;
  readonly at: string;
  readonly broken: Promise<string>;
}

export async function openPostgres(config: Config, log: Log, opened: Opened): Promise<OpenedPostgres> {
  if (config.databaseUrl !== null) {
    // Without the password, which stands before the @.
    const at = config.databaseUrl.replace(/^.*?:\/\/(?:[^/]*@)?/, '').replace(/\?.*$/, '');
    return { address: parseDatabaseUrl(config.databaseUrl), at, broken: new Promise(() => {}) };
  }
  const server = await startEmbedded({
    dataDir: config.dataDir,
    log: (line) => log('debug', `postgres: ${line}`),
  });
  opened.push({ what: 'embedded Postgres', close: () => server.stop() });
  const broken = server.exited.then(({ expected, detail }) =>
    expected ? new Promise<string>(() => {}) : `the embedded Postgres ended by itself: ${detail}`,
  );
  const { host, user, database } = server.connection;
  const at = `${join(server.dataDir, 'postgres')}  (psql -h ${host} -U ${user} ${database})`;
  return { address: server.connection, at, broken };
}

/** Closes in reverse order; one that fails does not keep the others open. */
export async function closeAll(opened: Opened, log: Log): Promise<void> {
  for (const { what, close } of opened.splice(0).reverse()) {
    try {
      await close();
    } catch (error) {
      log('warn', `closing failed: ${what}`, { error: String(error) });
    }
  }
}
