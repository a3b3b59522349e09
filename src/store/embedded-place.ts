import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { StartupError } from '../domain/errors.ts';
import { type OsUser, run } from './embedded-run.ts';

/** Where the data are and who runs the server. */
export interface Place {
  readonly dataDir: string;
  /** `postgres` in dataDir: the server's own files. */
  readonly clusterDir: string;
  /** Set when we are root, as PostgreSQL refuses to run as root. */
  readonly user: OsUser | undefined;
}

/** Where root keeps what the unprivileged user cannot reach at its own place: binaries and data. */
export const ROOT_STATE_DIR = '/var/lib/herald';
/** Names the socket file only: nothing listens on TCP, so every data directory can have the same. */
export const PORT = 5432;
export const SOCKET_NAME = `.s.PGSQL.${PORT}`;
/** sockaddr_un's sun_path, less the closing zero byte. */
const SOCKET_PATH_BYTES_MAX = process.platform === 'darwin' ? 103 : 107;

export async function choosePlace(requestedDir: string): Promise<Place> {
  const requested = resolve(requestedDir);
  if (process.getuid?.() !== 0) return prepare(requested, undefined);
  const elsewhere = readPointer(requested);
  if (elsewhere !== null && hasCluster(elsewhere) && !hasCluster(requested)) {
    return prepare(elsewhere, await chooseUser(elsewhere));
  }
  const user = await chooseUser(requested);
  openIfEmpty(requested);
  if (await canEnter(user, nearestExisting(requested))) return prepare(requested, user);
  if (!hasCluster(requested)) {
    const directory = elsewhere ?? newPlaceOf(requested);
    return prepare(directory, await chooseUser(directory));
  }
  throw new StartupError(
    `user ${user.uid}, who owns ${join(requested, 'postgres')}, cannot reach it: let others pass through (chmod o+x) every directory above it`,
  );
}

/** In the requested directory: where the data are that the server's user cannot reach there. It moves along with it. */
const POINTER = 'postgres-is-at';

function readPointer(requested: string): string | null {
  const path = join(requested, POINTER);
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : null;
}

function newPlaceOf(requested: string): string {
  const name = `${basename(dirname(requested)) || 'root'}-${randomBytes(6).toString('hex')}`;
  const directory = join(ROOT_STATE_DIR, name);
  mkdirSync(requested, { recursive: true });
  writeFileSync(join(requested, POINTER), `${directory}\n`);
  return directory;
}

/** A directory of the server's user that nobody else can enter, and short enough to hold a socket. */
export function socketDirectory(place: Place): { directory: string; temporary: boolean } {
  const inData = socketDirectoryInData(place);
  if (Buffer.byteLength(join(inData, SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX) {
    makePrivateDirectory(inData, place.user);
    return { directory: inData, temporary: false };
  }
  // TMPDIR may be closed to the server's user, or too long itself, as it is on macOS.
  const parent = place.user || tmpdir().length > 60 ? '/tmp' : tmpdir();
  const directory = mkdtempSync(join(parent, 'herald-'));
  if (place.user) lchownSync(directory, place.user.uid, place.user.gid);
  return { directory, temporary: true };
}

export function socketDirectoryInData({ dataDir }: Place): string {
  return join(dataDir, 'run');
}

/** Follows no link: the directory around it may belong to a user whom root does not trust. */
export function makePrivateDirectory(directory: string, user: OsUser | undefined): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (user) lchownSync(directory, user.uid, user.gid);
}

/** Makes the directory and the missing ones above it so that others can pass, whatever the umask. */
export function makePublicDirectory(directory: string): void {
  if (existsSync(directory)) return;
  makePublicDirectory(dirname(directory));
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o755);
}

function prepare(dataDir: string, user: OsUser | undefined): Place {
  try {
    if (user) makePublicDirectory(dataDir);
    else mkdirSync(dataDir, { recursive: true });
  } catch (cause) {
    throw new StartupError(
      `cannot make the data directory ${dataDir} (${(cause as NodeJS.ErrnoException).code}): choose another one, or set DATABASE_URL`,
      { cause },
    );
  }
  return { dataDir, clusterDir: join(dataDir, 'postgres'), user };
}

/** The owner of the data, who must not change; for new data whoever is made for it. */
async function chooseUser(dataDir: string): Promise<OsUser> {
  const ownerOfData = ownerOf(join(dataDir, 'postgres'));
  if (ownerOfData) return ownerOfData;
  const ownerOfDirectory = ownerOf(dataDir);
  // initdb refuses a user without a name, such as the owner of a volume mounted into a container.
  if (ownerOfDirectory && (await run('id', ['-un', String(ownerOfDirectory.uid)])).code === 0)
    return ownerOfDirectory;
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
    if (uid.code === 0 && gid.code === 0) return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  }
  throw new StartupError(
    'PostgreSQL refuses to run as root and this system has neither a user postgres nor nobody: start Herald as another user, or set DATABASE_URL',
  );
}

function ownerOf(path: string): OsUser | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found && found.uid !== 0 ? { uid: found.uid, gid: found.gid } : undefined;
}

function hasCluster(dataDir: string): boolean {
  return existsSync(join(dataDir, 'postgres', 'PG_VERSION'));
}

/** As `mktemp -d` makes one. What comes into it is closed to others itself, or no secret. */
function openIfEmpty(directory: string): void {
  const found = statSync(directory, { throwIfNoEntry: false });
  if (found?.isDirectory() && found.uid === 0 && readdirSync(directory).length === 0)
    chmodSync(directory, 0o711);
}

/** Asked of the system itself, as access lists and mount options decide too. */
async function canEnter(user: OsUser, directory: string): Promise<boolean> {
  return (await run('/bin/sh', ['-c', 'cd "$1"', 'sh', directory], user)).code === 0;
}

function nearestExisting(path: string): string {
  return existsSync(path) ? path : nearestExisting(dirname(path));
}
