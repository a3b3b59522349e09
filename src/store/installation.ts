/** The one row about this installation: its CloudEvents source, and proof of its encryption key. */
import { sql } from 'drizzle-orm';
import { StartupError } from '../domain/errors.ts';
import type { Database } from './database.ts';
import { countSecretsByKey } from './reencryption.ts';
import { installation } from './schema.ts';
import type { SecretBox } from './secrets.ts';

/** Where the proof of the key stands. */
export const CHECK_PLACE = 'installation.singleton.encryption_check';
const CHECK_TEXT = Buffer.from('herald');

export interface Installation {
  /** CloudEvents `source` of events that name none. */
  readonly source: string;
}

/**
 * Reads the row, after writing `source` where the configuration gives one.
 * Errors: StartupError where the secrets in this database were encrypted with another key.
 */
export async function readInstallation(
  db: Database,
  secrets: SecretBox,
  source: string | null,
): Promise<Installation> {
  // The first process to come leaves its proof; later ones must be able to read it.
  await db
    .update(installation)
    .set({ encryptionCheck: secrets.seal(CHECK_PLACE, CHECK_TEXT) })
    .where(sql`${installation.encryptionCheck} is null`);
  if (source !== null) await db.update(installation).set({ source });
  const [row] = await db.select().from(installation);
  if (row === undefined)
    throw new StartupError('The table herald.installation is empty; restore it from a backup.');
  try {
    secrets.open(CHECK_PLACE, row.encryptionCheck ?? '');
  } catch (error) {
    throw new StartupError(
      'The secrets in this database were encrypted with another key: set ENCRYPTION_KEY to that key, ' +
        'or point DATA_DIR at the directory that holds it (file encryption-key).',
      { cause: error },
    );
  }
  await assertReadable(db, secrets);
  return { source: row.source };
}

/** A key that was dropped too early would show only when a delivery needs it. */
async function assertReadable(db: Database, secrets: SecretBox): Promise<void> {
  const missing = [...(await countSecretsByKey(db))].filter(([keyId]) => !secrets.reads.has(keyId));
  if (missing.length === 0) return;
  const named = missing.map(([keyId, count]) => `${count} with key ${keyId}`).join(', ');
  throw new StartupError(
    `Some secrets in this database were encrypted with a key that is not given any more (${named}): ` +
      'put that key behind the others in ENCRYPTION_KEY, separated by a comma, and run "npm run herald -- reencrypt" before you drop it.',
  );
}
