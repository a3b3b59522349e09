import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Command, NO_WORDS } from '../../src/commands/command.ts';
import { type CommandEntry, parseCommandLine } from '../../src/commands/parse.ts';
import { COMMANDS } from '../../src/commands/table.ts';
import { statusOf, subscribe } from '../http/callers.ts';
import { askGraphql } from '../support/app.ts';
import { createTestDatabase } from '../support/database.ts';
import { spawnHerald } from '../support/process.ts';
import { until } from '../support/until.ts';
import { herald, spawnToEnd } from './herald.ts';

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
    spawnToEnd(['--help']),
    spawnToEnd(['start', '-v']),
    spawnToEnd(['strat']),
  ]);
  expect(help).toMatchObject({ code: 0, out: expect.stringMatching(/rotate-admin-token[\s\S]*JWT_SECRET/) });
  for (const [name, { summary }] of Object.entries(COMMANDS)) {
    expect(help.out).toMatch(new RegExp(`^  ${name} +${RegExp.escape(summary)}$`, 'm'));
  }
  expect(version).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  expect(wrong).toMatchObject({
    code: 2,
    err: expect.stringMatching(
      /^expected one of start, .*rotate-admin-token.* \(did you mean start\?\)\nSee `help`\.\n$/,
    ),
  });
});

test.each(Object.entries(COMMANDS))(
  'the manual of %s names each of its options',
  async (name, { load, summary }) => {
    const { options, words } = await load();
    const { manualOf } = await import('../../src/commands/manual.ts');
    const text = manualOf(name, await load(), COMMANDS);
    expect(text).toContain(summary);
    expect(text).toContain(`${name} ${words.usage}`.trim());
    for (const [option, { value }] of Object.entries(options))
      expect(text).toContain(`--${option} ${value}`.trim());
  },
);

test('each command has a manual', async () => {
  const asked = await Promise.all([
    herald(['help', 'triggers', 'create']),
    herald(['triggers', 'create', '--help']),
    herald(['help', 'tial']),
  ]);
  expect(asked[0]).toMatchObject({ code: 0, out: expect.stringContaining('--retry-schedule') });
  expect(asked[1]).toEqual(asked[0]);
  expect(asked[2]).toMatchObject({ code: 2, err: expect.stringContaining('did you mean tail?') });
});

describe('a command line', () => {
  const command = (words: Command['words']): Command => ({
    options: {
      since: { type: 'string', value: '<time>', meaning: '' },
      json: { type: 'boolean', value: '', meaning: '' },
    },
    words,
    notes: [],
    run: async () => 0,
  });
  const entry = (loaded: Command): CommandEntry => ({ summary: '', load: async () => loaded });
  const [start, tail, make] = [
    command(NO_WORDS),
    command({ usage: '[<a> [<b>]]', least: 0, most: 2 }),
    command({ usage: '<name>', least: 1, most: 1 }),
  ];
  const commands = { start: entry(start), tail: entry(tail), 'start make': entry(make) };
  const parse = (...args: string[]) => parseCommandLine(args, commands, 'start');
  const run = (name: string, command: Command, options: object, ...words: string[]) => ({
    kind: 'RUN',
    name,
    command,
    call: { options, words },
  });
  const mistake = (message: string) => ({ kind: 'MISTAKE', message: expect.stringContaining(message) });

  test.each<[string[], unknown]>([
    [[], run('start', start, {})],
    [['--json'], run('start', start, { json: true })],
    [['tail', 'a', '--since', '1h', 'b'], run('tail', tail, { since: '1h' }, 'a', 'b')],
    [['start', 'make', 'x', '--json'], run('start make', make, { json: true }, 'x')],
    [['tail', '--help'], { kind: 'HELP', name: 'tail' }],
    [['start', 'make', '-h'], { kind: 'HELP', name: 'start make' }],
    [['--help'], { kind: 'HELP', name: null }],
    [['help'], { kind: 'HELP', name: null }],
    [['help', 'start', 'make'], { kind: 'HELP', name: 'start make' }],
    [['-v'], { kind: 'VERSION' }],
    [['start', 'maek'], mistake('start: expected one of make, got "maek" (did you mean make?)')],
    [['tail', 'a', 'b', 'c'], mistake('tail: expected [<a> [<b>]], got "c"')],
    [['start', 'make'], mistake('start make: expected <name>')],
    [['tail', '--nope'], mistake('tail: unknown option --nope')],
    [['tail', '--snice', '1'], mistake('unknown option --snice (did you mean --since?)')],
    [['tail', '--since'], mistake("'--since <value>' argument missing")],
    [['__proto__'], mistake('expected one of start, tail, got "__proto__"')],
    [['toString'], mistake('"toString"')],
    [['start', '__proto__'], mistake('"__proto__"')],
  ])('%j', async (args, expected) => {
    expect(await parse(...args)).toMatchObject(expected as object);
  });
});
