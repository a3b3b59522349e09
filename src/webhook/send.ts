import { lookup as dnsLookup } from 'node:dns';
import { createSecureContext, getCACertificates } from 'node:tls';
import type { EgressPolicy } from '../domain/address.ts';
import type { AttemptErrorCode, Outcome, WebhookRequest } from '../domain/attempt.ts';
import type { EgressProxy } from '../domain/proxy.ts';
import { Attempt } from './attempt.ts';
import { classifyError } from './classify.ts';
import type { Target } from './connect.ts';
import { bareHost, createResolve, judgeUrl, type Lookup } from './egress.ts';
import { Lanes } from './lanes.ts';

export interface SenderOptions {
  readonly policy: EgressPolicy;
  /** Connections to one origin at a time; more requests wait, and their deadlines run. Default 256. */
  readonly connectionsPerOrigin?: number;
  /** Default: the system's resolver. */
  readonly lookup?: Lookup;
  /** PEM certificates trusted beside the default authorities. */
  readonly ca?: readonly string[];
  /** What every connection is made through. Default: none. */
  readonly proxy?: EgressProxy | null;
}

export interface Sender {
  /** One attempt, HTTP/1.1, ended by `request.timeoutMs` at the latest. Never throws, never rejects. */
  send(request: WebhookRequest): Promise<Outcome>;
  /** Connections held right now: for metrics, and to see that none are left. */
  readonly stats: { readonly origins: number; readonly open: number; readonly idle: number };
  /** Resolves when the attempts under way have ended and every socket is closed. */
  close(): Promise<void>;
}

/** Everything that leaves this process towards receivers goes through here. Proxy variables are not read. */
export function createSender(options: SenderOptions): Sender {
  const {
    policy,
    connectionsPerOrigin = DEFAULT_CONNECTIONS_PER_ORIGIN,
    lookup = dnsLookup,
    ca = [],
    proxy = null,
  } = options;
  const secureContext = createSecureContext(
    ca.length === 0 ? {} : { ca: [...getCACertificates('default'), ...ca] },
  );
  const lanes = new Lanes(
    { policy, resolve: createResolve(policy, lookup), proxy, secureContext },
    connectionsPerOrigin,
  );
  const targets = new Map<string, Target>();

  /** Parsing a URL takes microseconds, and the policy stays: a verdict is good for as long as the sender. */
  function targetOf(url: string): Target | Failure {
    const known = targets.get(url);
    if (known !== undefined) return known;
    const verdict = judgeUrl(url, policy);
    if (!verdict.ok) {
      const code = verdict.code === 'URL_ADDRESS_FORBIDDEN' ? 'BLOCKED_ADDRESS' : 'INVALID_REQUEST';
      return { code, message: verdict.message };
    }
    if (targets.size >= MAX_KNOWN_TARGETS) targets.clear();
    const target = readTarget(verdict.url);
    targets.set(url, target);
    return target;
  }

  function send(request: WebhookRequest): Promise<Outcome> {
    const startedAt = performance.now();
    if (lanes.closed) return refuse(startedAt, { code: 'NETWORK', message: 'the sender is closed' });
    const target = targetOf(request.url);
    if ('code' in target) return refuse(startedAt, target);
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    try {
      lanes.enter(target, new Attempt(request, target, lanes, startedAt, resolve));
    } catch (error) {
      return refuse(startedAt, { code: 'INVALID_REQUEST', message: classifyError(error).message });
    }
    return promise;
  }

  return {
    send,
    get stats() {
      return lanes.stats;
    },
    close: () => lanes.close(),
  };
}

interface Failure {
  readonly code: AttemptErrorCode;
  readonly message: string;
}

/** As many as a worker has attempts in flight: to wait here would count against the receiver's deadline. */
const DEFAULT_CONNECTIONS_PER_ORIGIN = 256;

/** URLs whose parts are kept; the whole table is dropped when full. */
const MAX_KNOWN_TARGETS = 1024;

function readTarget(url: URL): Target {
  const secure = url.protocol === 'https:';
  return {
    origin: url.origin,
    secure,
    host: bareHost(url.hostname),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    path: url.pathname + url.search,
  };
}

/** Nothing was sent. */
function refuse(startedAt: number, failure: Failure): Promise<Outcome> {
  const totalMs = Math.round((performance.now() - startedAt) * 10) / 10;
  return Promise.resolve({
    errorCode: failure.code,
    errorMessage: failure.message,
    response: null,
    timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null, totalMs },
  });
}
