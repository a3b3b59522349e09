/** Which browsers' pages may talk to us: the ones we served, and those the configuration names (security.md). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isLoopbackHost } from '../domain/address.ts';

export interface OriginPolicy {
  /** Whether the request may be looked at: its Host is ours, its Origin ours or configured. */
  allows(req: IncomingMessage): boolean;
  /** Tells the browser so, for configured origins; answers a preflight and returns true if the request was one. */
  answerCors(req: IncomingMessage, res: ServerResponse): boolean;
}

/** How long a browser may remember a preflight's answer, in seconds. */
const PREFLIGHT_MAX_AGE_SECONDS = 600;

/**
 * `boundTo` is the HOST we listen on. On loopback the Host header must name loopback: a page of another site whose
 * name was made to point at 127.0.0.1 (DNS rebinding) carries its own name there.
 */
export function createOriginPolicy(boundTo: string, corsOrigins: readonly string[]): OriginPolicy {
  const hostIsOurs = (host: string | undefined): boolean =>
    !isLoopbackHost(boundTo) || (host !== undefined && isLoopbackHost(hostName(host)));

  return {
    allows({ headers: { host, origin } }) {
      if (!hostIsOurs(host)) return false;
      if (origin === undefined || corsOrigins.includes(origin)) return true;
      return URL.canParse(origin) && new URL(origin).host === host;
    },
    answerCors(req, res) {
      const { origin } = req.headers;
      if (origin === undefined || !corsOrigins.includes(origin)) return false;
      // The JS SDK sends credentials, so the origin is echoed rather than `*`.
      res.setHeader('access-control-allow-origin', origin);
      res.setHeader('access-control-allow-credentials', 'true');
      res.setHeader('vary', 'origin');
      if (req.method !== 'OPTIONS') return false;
      res.writeHead(204, {
        'access-control-allow-methods': 'GET, POST, OPTIONS',
        'access-control-allow-headers':
          'authorization, content-type, idempotency-key, traceparent, tracestate',
        'access-control-max-age': String(PREFLIGHT_MAX_AGE_SECONDS),
      });
      res.end();
      return true;
    },
  };
}

function hostName(host: string): string {
  return URL.parse(`http://${host}`)?.hostname ?? '';
}
