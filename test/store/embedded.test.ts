import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { StartupError } from '../../src/domain/errors.ts';
import { type EmbeddedPostgres, startEmbedded } from '../../src/store/embedded.ts';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const isRoot = process.getuid?.() === 0;
const FAST = { fsync: 'off', max_connections: '20', shared_buffers: '16MB' };

/** Made once, as that takes ten times as long as a start; every test leaves it stopped and whole. */
let shared: string;
/** Each test's own empty directory. */
let home: string;
const servers = new Set<EmbeddedPostgres>();
const children = new Set<ChildProcess>();

beforeAll(async () => {
  shared = makeHome();
  const server = await start();
  await query(server, (sql) => sql`create table words (word text)`);
  await server.stop();
});

afterAll(() => rmSync(shared, { recursive: true, force: true }));

beforeEach(() => {
  home = makeHome();
});

afterEach(async () => {
  for (const child of children) await kill(child);
  children.clear();
  await Promise.all([...servers].map((server) => server.stop()));
  servers.clear();
  await until(() => postmasterOf(shared) === undefined);
  rmSync(home, { recursive: true, force: true });
});

describe('starting and stopping', () => {
  test('a cold start makes the database herald behind a private unix socket', async () => {
    const lines: string[] = [];
    const server = await start({ dataDir: home, log: (line) => lines.push(line) });

    expect(server.serverVersion).toMatch(/^\d+\.\d+/);
    expect(server.dataDir).toBe(home);
    const host = join(home, 'run');
    expect(server.connection).toEqual({ host, port: 5432, user: 'postgres', database: 'herald' });
    const found = await query(
      server,
      (sql) => sql`
        select current_database() as name, current_setting('listen_addresses') as tcp,
          current_setting('unix_socket_permissions') as socket, current_setting('TimeZone') as zone`,
    );
    expect(found).toEqual([{ name: 'herald', tcp: '', socket: '0700', zone: 'UTC' }]);
    expect(readFileSync(join(home, 'herald.pid'), 'utf8')).toBe(`${process.pid}\n`);
    expect(lines.join('\n')).toContain('ready to accept connections');
  });

  test('stop ends it, says so, and may be called again', async () => {
    const server = await start();
    const postmaster = postmasterOf(shared);
    await Promise.all([server.stop(), server.stop()]);
    await server.stop();

    expect(await server.exited).toMatchObject({ expected: true });
    expect(isAlive(postmaster)).toBe(false);
    expect(existsSync(join(shared, 'herald.pid'))).toBe(false);
  });

  test('what is acknowledged is on the disk, unless asked otherwise', async () => {
    const server = await start({ settings: {} });
    const found = await query(
      server,
      (sql) => sql`select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit`,
    );
    expect(found).toEqual([{ fsync: 'on', commit: 'on' }]);
  });

  test('a path too long for a socket gets one in the directory for temporary files', async () => {
    const server = await start({ dataDir: join(home, 'x'.repeat(90), '.herald') });
    const { host } = server.connection;
    expect(host.length).toBeLessThan(80);
    expect(await query(server, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
    await server.stop();
    expect(existsSync(host)).toBe(false);
  });

  test('an initdb that was interrupted is done again', async () => {
    const unfinished = join(home, 'postgres.init-999999999');
    mkdirSync(unfinished);
    writeFileSync(join(unfinished, 'PG_VERSION'), '18\n');
    await start({ dataDir: home });
    expect(existsSync(unfinished)).toBe(false);
    expect(existsSync(join(home, 'postgres', 'PG_VERSION'))).toBe(true);
  });
});

describe('data survive', () => {
  test('a restart', async () => {
    const first = await start();
    await remember(first, 'restart');
    await first.stop();
    expect(await recalls(await start(), 'restart')).toBe(true);
  });

  test('kill -9 of the server, which is reported', async () => {
    const first = await start();
    await remember(first, 'killed server');
    process.kill(runningPostmaster(), 'SIGKILL');
    const exit = await first.exited;
    expect(exit.expected).toBe(false);
    expect(exit.detail).toContain('SIGKILL');
    expect(await recalls(await start(), 'killed server')).toBe(true);
  });

  test('kill -9 of the process that started it, and the server does not outlive that', async () => {
    const child = await startInChild('killed process');
    const postmaster = runningPostmaster();
    await kill(child);
    await until(() => !isAlive(postmaster));
    expect(postmasterOf(shared)).toBe(undefined); // it ended in good order
    expect(await recalls(await start(), 'killed process')).toBe(true);
  });

  test('a start that meets the server of a killed process still shutting down', async () => {
    await kill(await startInChild('shutting down'));
    expect(await recalls(await start(), 'shutting down')).toBe(true);
  });

  const testOnLinux = process.platform === 'linux' ? test : () => {};
  testOnLinux('kill -9 of the process and of the watchdog', async () => {
    const child = await startInChild('orphan');
    const orphan = runningPostmaster();
    child.kill('SIGSTOP'); // or it would see to the server as soon as the watchdog is gone
    for (const pid of watchdogsOf(orphan)) process.kill(pid, 'SIGKILL');
    await kill(child);
    expect(isAlive(orphan)).toBe(true);
    expect(await recalls(await start(), 'orphan')).toBe(true);
    expect(runningPostmaster()).not.toBe(orphan);
  });
});

test('a process that is done ends although its server still runs, and takes it along', async () => {
  const child = await startInChild('end');
  const postmaster = runningPostmaster();
  child.stdin?.end();
  await until(() => child.exitCode !== null);
  expect(child.exitCode).toBe(0);
  await until(() => !isAlive(postmaster));
});

describe('one sentence says that', () => {
  test('the directory is in use by another Herald, which goes on', async () => {
    const first = await start();
    const startedAt = performance.now();
    expect(await refusal()).toBe(
      `the data directory ${shared} is in use by another Herald (process ${process.pid}): stop that one, or set DATA_DIR to another directory`,
    );
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    await remember(first, 'in use');
    await first.stop();
    expect(await recalls(await start(), 'in use')).toBe(true);
  });

  test('the data are of another major version, and leaves them alone', async () => {
    const first = await start();
    await remember(first, 'other version');
    await first.stop();
    const cluster = join(shared, 'postgres');
    const own = readFileSync(join(cluster, 'PG_VERSION'), 'utf8');
    const names = readdirSync(cluster).sort();
    try {
      writeFileSync(join(cluster, 'PG_VERSION'), '12\n');
      expect(await refusal()).toBe(
        `${cluster} was made by PostgreSQL 12 and this is ${first.serverVersion}: set PG_BIN_DIR to the programs of PostgreSQL 12, or choose another data directory`,
      );
      expect(readdirSync(cluster).sort()).toEqual(names);
    } finally {
      writeFileSync(join(cluster, 'PG_VERSION'), own);
    }
    expect(await recalls(await start(), 'other version')).toBe(true);
  });

  test('something else lies where the data should be, and leaves it there', async () => {
    mkdirSync(join(home, 'postgres'));
    writeFileSync(join(home, 'postgres', 'letter.txt'), 'dear all');
    expect(await refusal({ dataDir: home })).toContain('is not empty and holds no PostgreSQL data');
    expect(readdirSync(join(home, 'postgres'))).toEqual(['letter.txt']);
  });

  test('the server refuses a setting', async () => {
    const settings = { ...FAST, shared_buffers: 'plenty' };
    expect(await refusal({ settings })).toMatch(/did not start on .*shared_buffers.*plenty/);
  });

  // Root may write everywhere.
  if (!isRoot) {
    test('the directory is not writable', async () => {
      chmodSync(home, 0o555);
      expect(await refusal({ dataDir: home })).toContain(`the data directory ${home} is not writable`);
      expect(await refusal({ dataDir: join(home, 'new') })).toContain('cannot make the data directory');
    });
  }

  test('PG_BIN_DIR holds no server', async () => {
    vi.stubEnv('PG_BIN_DIR', join(home, 'nothing'));
    try {
      expect(await refusal()).toContain('PG_BIN_DIR must hold postgres and initdb');
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe('stale pid files do not matter', () => {
  test.each([
    ['of processes that are gone', 999_999_999],
    ['whose numbers other processes have got since', process.pid],
  ])('%s', async (_, pid) => {
    const lock = `${pid}\n${join(shared, 'postgres')}\n1700000000\n5432\n${join(shared, 'run')}\n\n`;
    writeFileSync(join(shared, 'postgres', 'postmaster.pid'), lock);
    writeFileSync(join(shared, 'run', '.s.PGSQL.5432.lock'), lock);
    writeFileSync(join(shared, 'herald.pid'), `${pid}\n`);
    const server = await start();
    expect(await query(server, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
  });
});

// Only root has to look for another user, and for places that this one can reach.
const describeForRoot = isRoot ? describe : () => {};
describeForRoot('root', () => {
  test('may name an empty directory that is closed to others, as mktemp makes it', async () => {
    chmodSync(home, 0o700);
    expect((await start({ dataDir: home })).dataDir).toBe(home);
  });

  test('keeps its data in /var/lib/herald where the server cannot reach them, and finds them again', async () => {
    const dataDir = join(home, '.herald');
    chmodSync(home, 0o700);
    const first = await start({ dataDir });
    try {
      expect(first.dataDir).toMatch(/^\/var\/lib\/herald\/embedded-test-.*-[0-9a-f]{12}$/);
      expect(readFileSync(join(dataDir, 'postgres-is-at'), 'utf8')).toBe(`${first.dataDir}\n`);
      await first.stop();
      chmodSync(home, 0o755); // the data stay where they are
      const second = await start({ dataDir });
      expect(second.dataDir).toBe(first.dataDir);
      await second.stop();
    } finally {
      await first.stop();
      rmSync(first.dataDir, { recursive: true });
    }
  });
});

type Options = Partial<Parameters<typeof startEmbedded>[0]>;

async function start(options: Options = {}): Promise<EmbeddedPostgres> {
  const server = await startEmbedded({ dataDir: shared, settings: FAST, ...options });
  servers.add(server);
  return server;
}

/** The sentence with which a start is refused. */
async function refusal(options: Options = {}): Promise<string> {
  const reason = await start(options).then(
    () => new Error('expected the start to be refused'),
    (error: unknown) => error,
  );
  if (!(reason instanceof StartupError)) throw reason;
  expect(reason.message).not.toContain('\n');
  return reason.message;
}

/** Another process that starts the server, remembers the word, and ends by itself when its standard input does. */
async function startInChild(word: string): Promise<ChildProcess> {
  const program = `
    import { startEmbedded } from ${JSON.stringify(new URL('../../src/store/embedded.ts', import.meta.url).href)};
    import postgres from 'postgres';
    const server = await startEmbedded(${JSON.stringify({ dataDir: shared, settings: FAST })});
    const sql = postgres({ ...server.connection, max: 1 });
    await sql\`insert into words values (\${${JSON.stringify(word)}})\`;
    await sql.end();
    process.stdin.resume();
    process.stdout.write('started');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.add(child);
  let said = '';
  child.stdout.on('data', (text) => {
    said += text;
  });
  await until(() => said === 'started' || child.exitCode !== null);
  expect(said).toBe('started');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await until(() => child.exitCode !== null || child.signalCode !== null);
}

async function query(
  server: EmbeddedPostgres,
  statement: (sql: postgres.Sql) => postgres.PendingQuery<postgres.Row[]>,
): Promise<postgres.Row[]> {
  const sql = postgres({ ...server.connection, max: 1 });
  try {
    return [...(await statement(sql))];
  } finally {
    await sql.end();
  }
}

async function remember(server: EmbeddedPostgres, word: string): Promise<void> {
  await query(server, (sql) => sql`insert into words values (${word})`);
}

async function recalls(server: EmbeddedPostgres, word: string): Promise<boolean> {
  const found = await query(server, (sql) => sql`select word from words where word = ${word}`);
  return found.length === 1;
}

function postmasterOf(dataDir: string): number | undefined {
  const file = join(dataDir, 'postgres', 'postmaster.pid');
  return existsSync(file) ? Number.parseInt(readFileSync(file, 'utf8'), 10) : undefined;
}

function runningPostmaster(): number {
  const pid = postmasterOf(shared);
  if (pid === undefined) throw new Error(`expected a running server on ${shared}`);
  return pid;
}

/** The shell above the server, and its own child that reads our pipe. */
function watchdogsOf(postmaster: number): number[] {
  const shell = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${postmaster}/status`, 'utf8'))?.[1]);
  const below = readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8').trim().split(' ').map(Number);
  return [shell, ...below.filter((pid) => pid !== postmaster)];
}

function isAlive(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(pid, 0);
  } catch {
    return false;
  }
}

function makeHome(): string {
  const made = mkdtempSync(join(tmpdir(), 'embedded-test-'));
  chmodSync(made, 0o755); // root's server runs as another user
  return made;
}

async function until(fact: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!fact()) {
    if (performance.now() > deadline) throw new Error(`expected within 10 s: ${fact}`);
    await delay(10);
  }
}
