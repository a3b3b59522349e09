/** The public keys of JWT_JWKS: a URL, fetched within bounds and kept for a while, or a file, read again each minute. */
import { readFile } from 'node:fs/promises';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from 'jose';

const FETCH_TIMEOUT_MS = 5000;
/** How long fetched keys are used without asking again. */
const KEEP_MS = 10 * 60_000;
/** Shortest time between two fetches because of a key we do not know: tokens with made-up ids must not cause a flood. */
const COOLDOWN_MS = 30_000;
/** A server that failed is left alone for as long, whatever tokens arrive. */
const RETRY_MS = 1000;
const FILE_KEEP_MS = 60_000;
/** A dozen keys are a few kilobytes. */
const MAX_BYTES = 256 * 1024;

export function createJwks(place: string): JWTVerifyGetKey {
  return /^https?:/.test(place) ? remote(new URL(place)) : local(place);
}

function remote(url: URL): JWTVerifyGetKey {
  let failedAt = Number.NEGATIVE_INFINITY;
  return createRemoteJWKSet(url, {
    timeoutDuration: FETCH_TIMEOUT_MS,
    cooldownDuration: COOLDOWN_MS,
    cacheMaxAge: KEEP_MS,
    [customFetch]: async (target, options) => {
      if (performance.now() - failedAt < RETRY_MS) throw new Error(`${url.origin} failed a moment ago`);
      try {
        return await fetchBounded(target, options);
      } catch (error) {
        failedAt = performance.now();
        throw error;
      }
    },
  });
}

/** Redirects are refused by jose's own options; the body is read to its bound, whatever its header says. */
async function fetchBounded(url: string, options: RequestInit): Promise<Response> {
  const response = await fetch(url, options);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error(`expected a JWKS of at most ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  const keys =
    response.status === 200 ? (JSON.parse(text) as { readonly keys?: unknown } | null)?.keys : null;
  if (!Array.isArray(keys)) throw new Error(`expected a JWKS, got status ${response.status}`);
  return new Response(text, { headers: { 'content-type': 'application/json' } });
}

function local(path: string): JWTVerifyGetKey {
  let keys: JWTVerifyGetKey | null = null;
  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | null = null;

  async function read(): Promise<void> {
    try {
      keys = createLocalJWKSet(JSON.parse(await readFile(path, 'utf8')) as JSONWebKeySet);
    } catch (error) {
      // The keys it held go on being used while it is being written.
      if (keys === null) throw error;
    } finally {
      readAt = performance.now();
      reading = null;
    }
  }

  return async (header, token) => {
    if (keys === null || performance.now() - readAt > FILE_KEEP_MS) {
      reading ??= read();
      await reading;
    }
    if (keys === null) throw new Error(`no keys in ${path}`);
    return keys(header, token);
  };
}
