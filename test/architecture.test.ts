/** The house rules that a machine can check. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { SETTINGS } from '../src/config.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SRC = join(ROOT, 'src');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

/** What each room may import, and why the others are banned. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  // Pure: no clock, network or database, so that every rule can be tested as a value.
  domain: ['domain'],
  // Every SQL statement, and nothing that decides.
  store: ['store', 'domain'],
  // The only outbound HTTP; it knows nothing of what it sends.
  webhook: ['webhook', 'domain'],
  // Use cases: the only ones that combine.
  actions: ['actions', 'store', 'webhook', 'domain', 'log.ts', 'version.ts'],
  // Doors never import one another: what two of them need belongs below.
  worker: ['worker', 'actions', 'store', 'domain', 'deadline.ts', 'log.ts'],
  graphql: ['graphql', 'actions', 'store', 'domain', 'request-body.ts', 'version.ts'],
  http: ['http', 'actions', 'store', 'domain', 'log.ts', 'request-body.ts'],
  // Runs in browsers: what it knows of the rest it asks over the API. One thing is the same text in both.
  console: ['console', 'domain/curl.ts'],
  // Ends at main.ts; what a command needs of a running Herald it asks over HTTP. `reencrypt` opens the database itself.
  commands: ['commands', 'config.ts', 'data-dir.ts', 'domain', 'log.ts', 'reencrypt.ts', 'version.ts'],
};

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => /\.tsx?$/.test(file));
const sourceOf = (file: string): string => readFileSync(join(SRC, file), 'utf8');

function importsOf(file: string): readonly string[] {
  const from = [...sourceOf(file).matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map(([, path]) => path ?? '');
  return from.map((path) => relative(SRC, join(SRC, file, '..', path)));
}

test.each(Object.entries(MAY_IMPORT))('%s imports only %j', (room, allowed) => {
  const strangers = files
    .filter((file) => file.startsWith(`${room}/`))
    .flatMap((file) => importsOf(file).map((target) => [file, target] as const))
    .filter(([, target]) => !allowed.includes(target) && !allowed.includes(target.split('/')[0] ?? ''));
  expect(strangers).toEqual([]);
});

test('no import cycles', () => {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) throw new Error(`cycle: ${[...path, file].join(' → ')}`);
    if (done.has(file)) return;
    for (const target of importsOf(file).filter((one) => /\.tsx?$/.test(one))) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
});

test('only store speaks SQL', () => {
  const speakers = files.filter(
    (file) => !file.startsWith('store/') && /\bsql`|from 'drizzle-orm/.test(sourceOf(file)),
  );
  expect(speakers).toEqual([]);
});

test('domain is pure', () => {
  const impure = files
    .filter((file) => file.startsWith('domain/'))
    .filter((file) =>
      /Date\.now\(|new Date\(\)|Math\.random|process\.|performance\.|node:(?!net|crypto)/.test(
        sourceOf(file),
      ),
    );
  expect(impure).toEqual([]);
});

test('only main.ts ends the process', () => {
  expect(files.filter((file) => /process\.exit\b/.test(sourceOf(file)))).toEqual(['main.ts']);
});

test('no vague names', () => {
  expect(
    files.filter((file) => /(?:^|\/)(?:helpers?|utils?|common|misc|managers?)(?:\.ts|\/)/.test(file)),
  ).toEqual([]);
});

test('the README has every setting with its default', () => {
  const missing = SETTINGS.filter(
    ({ name, byDefault }) =>
      !README.includes(`| \`${name}\` | ${byDefault === '' ? '' : `\`${byDefault}\``}`),
  );
  expect(missing.map(({ name }) => name)).toEqual([]);
});

test('the README names only npm scripts and files that exist', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const named = [...README.matchAll(/npm run ([\w:-]+)/g)].map(([, name]) => name ?? '');
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
  const paths = [...README.matchAll(/`((?:src|test|drizzle)\/[\w./-]*\w)`/g)].map(([, path]) => path ?? '');
  const known = new Set(
    readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).filter(
      (path) => !path.startsWith('node_modules'),
    ),
  );
  expect(paths.filter((path) => !known.has(path))).toEqual([]);
});
