/** Which browsers' pages may talk to us: the ones we served, and those the configuration names (security.md). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { isLoopbackHost } from '../domain/address.ts';

export interface OriginPolicy {
  /** Whether the request may be looked at: its Host is ours, its Origin ours or configured. */
  allows(req: IncomingMessage): boolean;
  /** Tells the browser so, for configured origins; answers a preflight and returns true if the request was one. */
  answerCors(req: IncomingMessage, res: ServerResponse): boolean;
}

/** How long a browser may remember a preflight's answer, in seconds. */
const PREFLIGHT_MAX_AGE_SECONDS = 600;

export interface OriginOptions {
  /** The HOST we listen on. */
  readonly boundTo: string;
  /** Further names that are ours; `*` for any. */
  readonly allowedHosts: readonly string[];
  readonly corsOrigins: readonly string[];
}

/**
 * The Host header must be ours: a page of another site whose name was made to point here (DNS rebinding) carries its
 * own name there. On loopback that is a name of loopback; elsewhere an IP address, which no name can pose as, or the
 * HOST itself; names that a proxy or DNS gives us must be told.
 */
export function createOriginPolicy({ boundTo, allowedHosts, corsOrigins }: OriginOptions): OriginPolicy {
  const named = new Set([boundTo, ...allowedHosts].map((host) => host.toLowerCase()));
  const onLoopback = isLoopbackHost(boundTo);

  function hostIsOurs(host: string | undefined): boolean {
    const name = host === undefined ? '' : hostName(host);
    if (name === '') return false;
    if (allowedHosts.includes('*') || named.has(name) || isLoopbackHost(name)) return true;
    return !onLoopback && isIP(name.replace(/^\[|\]$/g, '')) !== 0;
  }

  return {
    allows({ headers: { host, origin } }) {
      if (!hostIsOurs(host)) return false;
      if (origin === undefined || corsOrigins.includes(origin)) return true;
      return URL.parse(origin)?.host === host?.toLowerCase();
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

/** The name in a Host header, without its port; empty where it is not one. */
function hostName(host: string): string {
  const [, name = ''] = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i.exec(host) ?? [];
  return name.toLowerCase().replace(/\.$/, '');
}
