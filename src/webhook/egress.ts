import type { LookupAddress } from 'node:dns';
import { isIP } from 'node:net';
import { type EgressPolicy, isAddressForbidden } from '../domain/address.ts';
import { AttemptFailure, classifyLookup } from './classify.ts';

export type UrlVerdict =
  | { readonly ok: true; readonly url: URL }
  | {
      readonly ok: false;
      readonly code: 'URL_SCHEME_NOT_ALLOWED' | 'URL_ADDRESS_FORBIDDEN' | 'INVALID';
      readonly message: string;
    };

/**
 * Whether webhooks may be sent to this URL, as far as one can tell without asking the DNS. `new URL()` brings
 * `0x7f.1`, `2130706433`, `0177.0.0.1` and `①②⑦.⓪.⓪.①` into one form, which is then judged. Messages never hold
 * the path or the query: these may be secrets.
 */
export function judgeUrl(text: string, policy: EgressPolicy): UrlVerdict {
  // The parser would drop or replace these in silence, and the URL would be another one than was read by a person.
  if (/\p{Cc}/u.test(text) || !text.isWellFormed()) {
    return invalid('expected a URL without control characters and lone surrogates');
  }
  const url = URL.parse(text);
  if (url === null) return invalid('expected an absolute URL');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    const message = `expected an http: or https: URL, got ${url.protocol}`;
    return { ok: false, code: 'URL_SCHEME_NOT_ALLOWED', message };
  }
  if (url.username !== '' || url.password !== '') {
    return invalid('expected a URL without user name and password; send them as a header');
  }
  if (url.port === '0') return invalid('expected a port between 1 and 65535, got 0');
  if (url.hash !== '') return invalid('expected a URL without a fragment (#…): it is never sent');
  const host = bareHost(url.hostname);
  if (isForbiddenHost(host, policy)) {
    return { ok: false, code: 'URL_ADDRESS_FORBIDDEN', message: forbidden(host, policy) };
  }
  return { ok: true, url };
}

/** The host name of a URL as the resolver and the socket want it: no brackets around IPv6. */
export function bareHost(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

/** The part of `dns.lookup` that is used. */
export type Lookup = (
  hostname: string,
  options: { readonly all: true },
  callback: (error: Error | null, addresses: LookupAddress[]) => void,
) => void;

export type Resolve = (
  host: string,
  callback: (failure: AttemptFailure | null, addresses: readonly LookupAddress[]) => void,
) => void;

/**
 * From a host name or IP literal to addresses that may be connected to. One forbidden answer rejects the target: a name
 * that points both inside and outside is an attack, not a receiver. Answers are not kept, so each new connection is
 * judged on its own; attempts that ask for a name while a lookup of it runs share that lookup (Node runs two at a time).
 */
export function createResolve(policy: EgressPolicy, lookup: Lookup): Resolve {
  const running = new Map<string, Parameters<Resolve>[1][]>();

  function settle(host: string, error: unknown, addresses: readonly LookupAddress[]): void {
    const waiting = running.get(host) ?? [];
    running.delete(host);
    const failure = error ? classifyLookup(error, host) : judgeAnswers(host, addresses, policy);
    for (const callback of waiting) callback(failure, addresses);
  }

  return (host, callback) => {
    const family = isIP(host);
    if (family !== 0) {
      const literal = [{ address: host, family }];
      return callback(judgeAnswers(host, literal, policy), literal);
    }
    const waiting = running.get(host);
    if (waiting !== undefined) return void waiting.push(callback);
    running.set(host, [callback]);
    try {
      lookup(host, { all: true }, (error, addresses) => settle(host, error, addresses));
    } catch (error) {
      settle(host, error, []);
    }
  };
}

/** Null when the address may be talked to. */
export function judgeAddress(address: string, host: string, policy: EgressPolicy): AttemptFailure | null {
  if (!isAddressForbidden(address, policy)) return null;
  const name = address === host ? address : `${address} (${host})`;
  return new AttemptFailure('BLOCKED_ADDRESS', forbidden(name, policy));
}

function judgeAnswers(
  host: string,
  addresses: readonly LookupAddress[],
  policy: EgressPolicy,
): AttemptFailure | null {
  if (addresses.length === 0) return classifyLookup({ code: 'ENODATA' }, host);
  for (const { address } of addresses) {
    const failure = judgeAddress(address, host, policy);
    if (failure !== null) return failure;
  }
  return null;
}

function isForbiddenHost(host: string, policy: EgressPolicy): boolean {
  if (isIP(host) !== 0) return isAddressForbidden(host, policy);
  if (!/(^|\.)localhost\.?$/.test(host)) return false;
  return isAddressForbidden('127.0.0.1', policy) && isAddressForbidden('::1', policy);
}

function forbidden(what: string, policy: EgressPolicy): string {
  const expected = policy.mode === 'public' ? 'a public address' : 'a public, private or loopback address';
  const remedy = policy.mode === 'public' ? 'EGRESS=private or EGRESS_ALLOW_CIDRS' : 'EGRESS_ALLOW_CIDRS';
  return `expected ${expected}, got ${what}: EGRESS is ${policy.mode}, ${remedy} would allow it`;
}

function invalid(message: string): UrlVerdict {
  return { ok: false, code: 'INVALID', message };
}
