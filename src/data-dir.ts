/** Secrets that Herald makes for itself at its first start and keeps beside the data, readable by its user only. */
import { randomBytes } from 'node:crypto';
import { chown, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StartupError } from './domain/errors.ts';
import { KEY_BYTES, parseKeys } from './store/secrets.ts';

/** Recognisable in a leak, as GitHub's and Stripe's are. */
const ADMIN_TOKEN_PREFIX = 'herald_admin_';
const ADMIN_TOKEN_BYTES = 32;

/** The admin token of this directory; made at the first start. */
export async function readAdminToken(dataDir: string): Promise<string> {
  return keep(dataDir, 'admin-token', newAdminToken);
}

/** What the file holds now: it may have been replaced since the start. */
export function currentAdminToken(dataDir: string): Promise<string> {
  return readFile(join(dataDir, 'admin-token'), 'utf8');
}

/** Replaces the admin token of this directory. Processes that use it notice within about a second. */
export async function rotateAdminToken(dataDir: string): Promise<string> {
  const token = newAdminToken();
  const path = join(dataDir, 'admin-token');
  const next = `${path}.${process.pid}.new`;
  try {
    const before = await stat(path).catch(() => null);
    if (before === null) throw new Error('there is none yet; is DATA_DIR the directory of a Herald?');
    await writeFile(next, `${token}\n`, { mode: 0o600, flag: 'wx' });
    // Root may do this for a Herald that runs as somebody else, who must be able to read it.
    if (process.getuid?.() === 0) await chown(next, before.uid, before.gid);
    // At once for every reader: none finds half a token.
    await rename(next, path);
    return token;
  } catch (error) {
    throw new StartupError(`Cannot replace ${path}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

function newAdminToken(): string {
  return ADMIN_TOKEN_PREFIX + randomBytes(ADMIN_TOKEN_BYTES).toString('base64url');
}

/** The encryption keys of this directory, the first writes; one is made at the first start. */
export async function readEncryptionKeys(dataDir: string): Promise<readonly [Buffer, ...Buffer[]]> {
  const text = await keep(dataDir, 'encryption-key', () => randomBytes(KEY_BYTES).toString('base64'));
  const [first, ...others] = parseKeys(text) ?? [];
  if (first === undefined) {
    throw new StartupError(
      `${join(dataDir, 'encryption-key')} should hold the base64 of ${KEY_BYTES} bytes; restore it from a backup.`,
    );
  }
  return [first, ...others];
}

async function keep(dataDir: string, name: string, make: () => string): Promise<string> {
  const path = join(dataDir, name);
  try {
    await mkdir(dataDir, { recursive: true });
    // `wx`: of two processes that start together, one writes and both read the same.
    await writeFile(path, `${make()}\n`, { mode: 0o600, flag: 'wx' }).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    });
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartupError(`Cannot keep ${name} in DATA_DIR=${dataDir}: ${reason}`, { cause: error });
  }
}
