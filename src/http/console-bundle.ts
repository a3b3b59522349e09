/**
 * The console as browsers take it: TypeScript and its libraries bundled on first use, which takes a fraction of a second,
 * and kept under node_modules/.cache, named by what went in, so that the next start finds it made.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Files by name, e.g. `main-Bx1a.js`; `index.html` among them. */
export type Bundle = ReadonlyMap<string, string>;

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SOURCE = join(ROOT, 'src/console');
const CACHE = join(ROOT, 'node_modules/.cache/console');
/** What decides about the output beside the console's own files: what it imports, and how it is made. */
const ALSO = ['package-lock.json', 'src/domain/curl.ts', 'src/http/console-bundle.ts'];

/** Errors: whatever the bundler throws, e.g. where the platform has no build of it. */
export async function readConsoleBundle(): Promise<Bundle> {
  const sources = await readSources();
  const place = join(CACHE, digest([...sources].flat().join('\0')));
  const kept = await readFiles(place).catch(() => null);
  if (kept !== null) return kept;
  const bundle = await makeBundle(sources);
  // A directory that may not be written, or another process that was faster, is no reason not to serve.
  await keep(place, bundle).catch(() => {});
  return bundle;
}

async function readSources(): Promise<ReadonlyMap<string, string>> {
  const names = await readdir(SOURCE, { recursive: true, encoding: 'utf8' });
  const paths = [
    ...names.filter((name) => /\.(?:tsx?|css|html)$/.test(name)).map((name) => join('src/console', name)),
    ...ALSO,
  ].sort();
  const texts = await Promise.all(
    paths.map(async (path) => [path, await readFile(join(ROOT, path), 'utf8').catch(() => '')] as const),
  );
  return new Map(texts);
}

async function makeBundle(sources: ReadonlyMap<string, string>): Promise<Bundle> {
  // Only now: a process that never serves the console loads no bundler.
  const { rolldown } = await import('rolldown');
  const bundle = await rolldown({
    input: join(SOURCE, 'main.tsx'),
    cwd: ROOT,
    platform: 'browser',
    tsconfig: join(SOURCE, 'tsconfig.json'),
    transform: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    logLevel: 'silent',
  });
  const { output } = await bundle.generate({
    format: 'esm',
    minify: true,
    entryFileNames: '[name]-[hash].js',
    chunkFileNames: '[name]-[hash].js',
  });
  await bundle.close();
  const files = new Map(
    output.map((file) => [file.fileName, file.type === 'chunk' ? file.code : String(file.source)]),
  );
  const entry = output.find((file) => file.type === 'chunk' && file.isEntry)?.fileName ?? '';
  const style = [...sources].filter(([path]) => path.endsWith('.css')).map(([, text]) => text);
  const styleName = `style-${digest(style.join('\n')).slice(0, 8)}.css`;
  files.set(styleName, style.join('\n'));
  const page = sources.get(join('src/console', 'index.html')) ?? '';
  files.set('index.html', page.replace('{script}', entry).replace('{style}', styleName));
  return files;
}

async function readFiles(place: string): Promise<Bundle> {
  const names = await readdir(place);
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(place, name), 'utf8')] as const)),
  );
}

/** Under its name only once complete; what earlier versions left is removed. */
async function keep(place: string, bundle: Bundle): Promise<void> {
  const half = `${place}.${process.pid}`;
  await mkdir(half, { recursive: true });
  for (const [name, text] of bundle) await writeFile(join(half, name), text);
  await rename(half, place);
  const others = (await readdir(CACHE)).filter((name) => !name.startsWith(basename(place)));
  for (const name of others) await rm(join(CACHE, name), { recursive: true, force: true });
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
