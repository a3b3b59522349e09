import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Command } from '../../src/commands/command.ts';
import { parseCommandLine } from '../../src/commands/parse.ts';
import { statusOf, subscribe } from '../http/callers.ts';
import { askGraphql } from '../support/app.ts';
import { createTestDatabase } from '../support/database.ts';
import { spawnHerald } from '../support/process.ts';
import { until } from '../support/until.ts';

const LAUNCHER = fileURLToPath(new URL('../../src/launch.mjs', import.meta.url));

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function herald(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env } };
    execFile(process.execPath, [LAUNCHER, ...args], options, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    );
  });
}

let dataDir: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'herald-commands-'));
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

describe('rotate-admin-token', () => {
  test('replaces the token under a running Herald: the old one stops, its subscriptions end, the new one works', async () => {
    const database = await createTestDatabase();
    await using running = spawnHerald({ DATABASE_URL: database.url, DATA_DIR: dataDir, ROLES: 'api' });
    const { url, token } = await running.ready();
    expect(await statusOf(url, token)).toBe(200);
    const watching = subscribe('WebSocket', url, token, 'subscription { invocationUpdated { kind } }');
    // Watching is under way once the connection has answered something.
    const probe = subscribe('WebSocket', url, token, '{ viewer { name } }');
    await until(() => probe.over(), 'an answer over WebSocket');

    const { code, out } = await herald(['rotate-admin-token'], { DATA_DIR: dataDir });
    expect(code).toBe(0);
    const next = out.split('\n')[0] ?? '';
    expect(next).toMatch(/^herald_admin_[\w-]{43}$/);
    expect(next).not.toBe(token);
    expect((await readFile(join(dataDir, 'admin-token'), 'utf8')).trim()).toBe(next);
    expect((await stat(join(dataDir, 'admin-token'))).mode & 0o777).toBe(0o600);

    await until(async () => (await statusOf(url, token)) === 401, 'the old one to stop', 3000);
    await until(() => watching.over(), 'its subscription to end', 3000);
    const { viewer } = await askGraphql<{ viewer: { name: string } }>(
      { url, token: next },
      '{ viewer { name } }',
    );
    expect(viewer.name).toBe('admin');
    expect(running.output()).toContain('the admin token was replaced');
    expect(running.output()).not.toContain(next);
  }, 60_000);

  test('says so where the token is set, or there is none', async () => {
    const set = await herald(['rotate-admin-token'], { DATA_DIR: dataDir, ADMIN_TOKEN: 'x'.repeat(20) });
    expect([set.code, set.err]).toEqual([
      1,
      expect.stringMatching(/^The admin token is set by ADMIN_TOKEN: .*\.\n$/),
    ]);
    const none = await herald(['rotate-admin-token'], { DATA_DIR: join(dataDir, 'nowhere') });
    expect([none.code, none.err]).toEqual([1, expect.stringMatching(/^Cannot replace .*is DATA_DIR/)]);
  });
});

test('the manual names every command and setting; what is not understood is exit code 2', async () => {
  const [help, version, wrong] = await Promise.all([
    herald(['--help']),
    herald(['start', '-v']),
    herald(['strat']),
  ]);
  expect(help).toMatchObject({ code: 0, out: expect.stringMatching(/rotate-admin-token[\s\S]*JWT_SECRET/) });
  expect(version).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  expect(wrong).toMatchObject({
    code: 2,
    err: expect.stringContaining('expected one of start, rotate-admin-token'),
  });
});

describe('a command line', () => {
  const command = (takesWords: boolean): Command => ({
    summary: '',
    options: { since: { type: 'string' }, json: { type: 'boolean' } },
    takesWords,
    run: async () => {},
  });
  const commands = { start: command(false), tail: command(true) };
  const parse = (...args: string[]) => parseCommandLine(args, commands, 'start');

  test.each<[string[], unknown]>([
    [[], { kind: 'RUN', command: commands.start, call: { options: {}, words: [] } }],
    [['--json'], { kind: 'RUN', command: commands.start, call: { options: { json: true }, words: [] } }],
    [
      ['tail', 'a', '--since', '1h', 'b'],
      { kind: 'RUN', command: commands.tail, call: { options: { since: '1h' }, words: ['a', 'b'] } },
    ],
    [['tail', '--help'], { kind: 'HELP' }],
    [['-v'], { kind: 'VERSION' }],
    [['start', 'word'], { kind: 'MISTAKE', message: expect.stringContaining('start: ') }],
    [['tail', '--nope'], { kind: 'MISTAKE', message: expect.stringContaining('--nope') }],
    [['__proto__'], { kind: 'MISTAKE', message: expect.any(String) }],
    [['toString'], { kind: 'MISTAKE', message: expect.any(String) }],
  ])('%j', (args, expected) => {
    expect(parse(...args)).toEqual(expected);
  });
});
