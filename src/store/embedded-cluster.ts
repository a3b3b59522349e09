import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { StartupError } from '../domain/errors.ts';
import type { Binaries } from './embedded-binaries.ts';
import { isAlive } from './embedded-lock.ts';
import { makePrivateDirectory, type Place } from './embedded-place.ts';
import { run } from './embedded-run.ts';

/** The built-in locale sorts by code point whatever the system has installed, so indexes survive its updates. */
const BUILTIN_LOCALE = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'];
const BUILTIN_LOCALE_MAJOR_MIN = 17;
const UNFINISHED_PREFIX = 'postgres.init-';

/** Makes the cluster when there is none; throws StartupError when there is one of another major version. */
export async function ensureCluster(place: Place, binaries: Binaries, durable: boolean): Promise<void> {
  const version = join(place.clusterDir, 'PG_VERSION');
  try {
    if (existsSync(version)) assertSameMajor(place, binaries, readFileSync(version, 'utf8').trim());
    else await makeCluster(place, binaries, durable);
  } catch (cause) {
    if (cause instanceof StartupError) throw cause;
    throw new StartupError(`cannot make a database in ${place.clusterDir}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function assertSameMajor(place: Place, binaries: Binaries, found: string): void {
  if (found === String(binaries.major)) return;
  throw new StartupError(
    `${place.clusterDir} was made by PostgreSQL ${found} and this is ${binaries.version}: set PG_BIN_DIR to the programs of PostgreSQL ${found}, or choose another data directory`,
  );
}

/** Beside its place, then renamed: interrupted at any moment, it leaves nothing that the next start would take for data. */
async function makeCluster(place: Place, binaries: Binaries, durable: boolean): Promise<void> {
  if (existsSync(place.clusterDir) && readdirSync(place.clusterDir).length > 0)
    throw new StartupError(
      `${place.clusterDir} is not empty and holds no PostgreSQL data: move it away, or choose another data directory`,
    );
  removeUnfinished(place);
  const unfinished = join(place.dataDir, `${UNFINISHED_PREFIX}${process.pid}`);
  const initdb = (...args: string[]) => initialise(place, binaries, ['-D', unfinished, ...args]);
  const locale = binaries.major >= BUILTIN_LOCALE_MAJOR_MIN ? BUILTIN_LOCALE : ['--locale=C.UTF-8'];
  try {
    makePrivateDirectory(unfinished, place.user);
    await initdb('-U', 'postgres', '-E', 'UTF8', '-A', 'trust', '--no-sync', '--no-instructions', ...locale);
    // 130 ms, once: a power cut must not take the files under the events that were acknowledged.
    if (durable) await initdb('--sync-only');
    renameSync(unfinished, place.clusterDir);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    // Another Herald may have been quicker: who of the two may use it, the server's lock decides.
    if (!existsSync(join(place.clusterDir, 'PG_VERSION'))) throw error;
  }
  if (durable) syncDirectory(place.dataDir);
}

/** What a Herald that was killed at it left behind. */
function removeUnfinished({ dataDir }: Place): void {
  for (const name of readdirSync(dataDir)) {
    if (!name.startsWith(UNFINISHED_PREFIX)) continue;
    const pid = Number(name.slice(UNFINISHED_PREFIX.length));
    // In a container our number may have been its number too.
    if (pid === process.pid || !isAlive(pid)) rmSync(join(dataDir, name), { recursive: true, force: true });
  }
}

async function initialise({ user }: Place, { binDir }: Binaries, args: readonly string[]): Promise<void> {
  const { code, stderr } = await run(join(binDir, 'initdb'), args, user);
  if (code !== 0) throw new Error(stderr.trim().replace(/\s*\n\s*/g, '; ') || 'initdb was killed');
}

function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
