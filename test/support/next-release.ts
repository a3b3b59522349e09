/** The release after this one: the same code, and one migration more. */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TAG = '9999_next_release';

interface Journal {
  readonly entries: { readonly idx: number; readonly version: string; readonly when: number }[];
}

export interface NextRelease extends AsyncDisposable {
  readonly launcher: string;
}

/** `migration`: its statements, one transaction. */
export async function makeNextRelease(migration: readonly string[]): Promise<NextRelease> {
  const directory = await mkdtemp(join(tmpdir(), 'herald-next-'));
  for (const name of ['src', 'drizzle', 'package.json']) {
    await cp(join(ROOT, name), join(directory, name), { recursive: true });
  }
  await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  await writeFile(join(directory, 'drizzle', `${TAG}.sql`), migration.join('\n--> statement-breakpoint\n'));
  const path = join(directory, 'drizzle/meta/_journal.json');
  const journal = JSON.parse(await readFile(path, 'utf8')) as Journal;
  const last = journal.entries.at(-1);
  if (last === undefined) throw new Error('there is no migration yet');
  const next = { ...last, idx: last.idx + 1, when: last.when + 1, tag: TAG };
  await writeFile(path, JSON.stringify({ ...journal, entries: [...journal.entries, next] }));
  return {
    launcher: join(directory, 'src/launch.mjs'),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}
