import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { StartupError } from '../domain/errors.ts';
import { type Place, SOCKET_NAME, socketDirectoryInData } from './embedded-place.ts';
import { run } from './embedded-run.ts';

const POLL_MS = 50;
/** The watchdog of a Herald that was killed has its server stopped in less. */
const ORPHAN_AFTER_MS = 2_000;

/**
 * Waits for a server that is shutting down, as its Herald is gone, and stops one that was left behind. Throws
 * StartupError at once when that Herald still lives, and at the deadline (milliseconds since 1970) when the server stays.
 */
export async function waitUntilVacant(place: Place, deadline: number): Promise<void> {
  const orphanAt = Date.now() + ORPHAN_AFTER_MS;
  for (;;) {
    const server = await runningServer(place);
    if (server === undefined) return;
    const herald = readPid(heraldPidFile(place));
    if (herald !== undefined && isAlive(herald))
      throw new StartupError(
        `the data directory ${place.dataDir} is in use by another Herald (process ${herald}): stop that one, or set DATA_DIR to another directory`,
      );
    if (Date.now() > deadline)
      throw new StartupError(
        `a PostgreSQL server (process ${server}) that no Herald looks after is running on ${place.clusterDir}: stop it, then start Herald again`,
      );
    // Herald and watchdog were both killed. Without a herald.pid someone started the server by hand: theirs to stop.
    if (herald !== undefined && Date.now() > orphanAt) signal(server, 'SIGINT');
    await delay(POLL_MS);
  }
}

/** Says that the server on `place` is ours; the returned function takes that back. */
export function claim(place: Place): () => void {
  const file = heraldPidFile(place);
  rmSync(file, { force: true }); // one that root left would refuse to be overwritten
  writeFileSync(file, `${process.pid}\n`, { flag: 'wx' }); // and never through a link
  return () => {
    if (readPid(file) === process.pid) rmSync(file, { force: true });
  };
}

function heraldPidFile({ dataDir }: Place): string {
  return join(dataDir, 'herald.pid');
}

/** The number on the first line; undefined when there is no such file or number. */
export function readPid(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

async function runningServer(place: Place): Promise<number | undefined> {
  const lock = join(place.clusterDir, 'postmaster.pid');
  const pid = readPid(lock);
  if (pid === undefined || !signal(pid, 0)) return undefined; // PostgreSQL itself clears what a dead one left
  if (isAlive(pid) && (await isPostgres(pid))) return pid;
  // The number has been given to another process since, or is a zombie's: PostgreSQL would take it for the old server.
  rmSync(lock, { force: true });
  rmSync(join(socketDirectoryInData(place), `${SOCKET_NAME}.lock`), { force: true });
  return undefined;
}

/** A zombie, which waits for its parent to take note, is not alive. */
export function isAlive(pid: number): boolean {
  if (!signal(pid, 0)) return false;
  try {
    return !/^\d+ \(.*\) Z /s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true; // no /proc here
  }
}

/** False when there is no such process. */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** In doubt yes: to take a running server for a stale file would be the worse mistake. */
async function isPostgres(pid: number): Promise<boolean> {
  if (process.platform !== 'linux') {
    const { code, stdout } = await run('ps', ['-p', String(pid), '-o', 'command=']);
    return code !== 0 || stdout.includes('postgres');
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('postgres');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}
