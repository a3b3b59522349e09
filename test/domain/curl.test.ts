import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { curlOf } from '../../src/domain/curl.ts';

/** What a shell hands to curl: its arguments, then what it would read from its standard input. */
async function readByShell(command: string): Promise<readonly string[]> {
  const shell = spawn('sh', ['-s'], { stdio: ['pipe', 'pipe', 'inherit'] });
  shell.stdin.end(`curl() { printf '%s\\0' "$@"; case "$*" in *@-*) cat;; esac; }\n${command}\n`);
  return (await text(shell.stdout)).split('\0');
}

test('a shell hands curl the request as it is, whatever stands in it', async () => {
  const body = `{"a":"it's $(x) \`y\` \\n \\\\ \\u0000"}`;
  const arguments_ = await readByShell(
    curlOf({
      url: 'https://example.com/$(x)?q={a,b}&r=[1-3]',
      headers: [
        { name: 'content-length', value: '7' },
        { name: 'x-name', value: "O'Neil `id` $HOME" },
        { name: 'x-empty', value: '' },
      ],
      body,
    }),
  );
  expect(arguments_).toEqual([
    // Globbing is off, or the URL would be six.
    ...['-g', '-i', 'https://example.com/$(x)?q={a,b}&r=[1-3]'],
    ...['-H', "x-name: O'Neil `id` $HOME", '-H', 'x-empty;', '-H', 'accept:'],
    ...['--data-raw', body, ''],
  ]);
});

test('a body that is too long for an argument comes by standard input', async () => {
  const body = JSON.stringify("%s'".repeat(80_000));
  const url = 'https://example.com/';
  const headers = [{ name: 'accept', value: 'text/plain' }];
  expect(await readByShell(curlOf({ url, headers, body }))).toEqual([
    ...['-g', '-i', url, '-H', 'accept: text/plain', '--data-binary', '@-'],
    body,
  ]);
});

test('of a body that is not known any more it sends none', () => {
  const command = curlOf({ url: 'https://example.com/', headers: [], body: null });
  expect(command).not.toContain('--data');
  expect(command).toContain('-X POST');
});
