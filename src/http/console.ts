/** Serves the web console: one page for all its addresses, and the files that page asks for. It holds no secret. */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { readConsoleBundle } from './console-bundle.ts';

export interface Console {
  /** Answers GET and HEAD of a path for which `isConsolePath` says yes. Errors: whatever bundling throws. */
  handle(req: IncomingMessage, res: ServerResponse, path: string): Promise<void>;
}

/** The screens' addresses; their pages are all the same, the browser's part decides what to show. */
const SCREENS = /^\/(?:|(?:triggers|events|invocations|live|settings)(?:\/.*)?)$/;
const FILES = '/console/';

export function isConsolePath(path: string): boolean {
  return SCREENS.test(path) || path.startsWith(FILES);
}

interface File {
  readonly plain: Buffer;
  readonly compressed: Buffer;
  readonly etag: string;
  readonly type: string;
}

export function createConsole(): Console {
  let reading: Promise<ReadonlyMap<string, File>> | null = null;
  return {
    async handle(req, res, path) {
      if (req.method !== 'GET' && req.method !== 'HEAD') {
        return void res.writeHead(405, { allow: 'GET, HEAD' }).end();
      }
      reading ??= readConsoleBundle().then(prepare);
      let files: ReadonlyMap<string, File>;
      try {
        files = await reading;
      } catch (error) {
        reading = null;
        throw error;
      }
      const name = path.startsWith(FILES) ? path.slice(FILES.length) : 'index.html';
      const file = files.get(name);
      if (file === undefined) return void res.writeHead(404, { 'content-type': 'text/plain' }).end();
      send(file, name, req, res);
    },
  };
}

/**
 * Nothing but what this server serves, no inline script, no frame. Styles that the editor makes are constructed
 * sheets, which a policy of 'self' allows.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

function send(file: File, name: string, req: IncomingMessage, res: ServerResponse): void {
  const headers = {
    etag: file.etag,
    vary: 'accept-encoding',
    // The files' names change with their content; the page is asked for again each time.
    'cache-control': name === 'index.html' ? 'no-cache' : 'public, max-age=31536000, immutable',
    'content-security-policy': POLICY,
  };
  if (req.headers['if-none-match']?.includes(file.etag)) return void res.writeHead(304, headers).end();
  const takesGzip = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:,|$))/.test(
    String(req.headers['accept-encoding'] ?? ''),
  );
  const body = takesGzip ? file.compressed : file.plain;
  res.writeHead(200, {
    ...headers,
    'content-type': file.type,
    'content-length': body.length,
    ...(takesGzip && { 'content-encoding': 'gzip' }),
  });
  res.end(req.method === 'HEAD' ? undefined : body);
}

async function prepare(bundle: ReadonlyMap<string, string>): Promise<ReadonlyMap<string, File>> {
  const files = [...bundle].map(async ([name, text]) => {
    const plain = Buffer.from(text);
    const file: File = {
      plain,
      compressed: await promisify(gzip)(plain),
      etag: `"${createHash('sha256').update(plain).digest('base64url')}"`,
      type: typeOf(name),
    };
    return [name, file] as const;
  });
  return new Map(await Promise.all(files));
}

function typeOf(name: string): string {
  if (name.endsWith('.js')) return 'text/javascript; charset=utf-8';
  return name.endsWith('.css') ? 'text/css; charset=utf-8' : 'text/html; charset=utf-8';
}
