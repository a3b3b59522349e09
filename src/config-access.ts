/** The settings that decide who may call, and how much. Part of the manual in config.ts. */
import { isLoopbackHost } from './domain/address.ts';
import { JWT_ALGORITHMS, type JwtAlgorithm } from './domain/jwt.ts';
import { list, optional, parseCidrs, whole } from './parse-setting.ts';

export interface AccessConfig {
  /** Names in the Host header that are ours, beside those that follow from HOST; `*` for any. */
  readonly allowedHosts: readonly string[];
  /** Networks of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  readonly jwtSecret: string | null;
  /** URL or file of a JWKS. */
  readonly jwtJwks: string | null;
  readonly jwtAlgorithms: readonly JwtAlgorithm[];
  readonly jwtIssuer: string | null;
  readonly jwtAudience: string | null;
  readonly jwtClockSkewSeconds: number;
  /** 0 for no limit. */
  readonly loginFailuresPerMinute: number;
  /** Requests a token may make; 0 for no limit. */
  readonly rateLimitPerSecond: number;
  /** Most open connections. */
  readonly maxConnections: number;
}

/** Reads one setting: undefined, and a mistake noted, where `parse` finds it is not `expected`. */
export type ReadSetting<Name extends string> = <T>(
  name: Name,
  parse: (text: string) => T | undefined,
  expected: string,
) => T | undefined;

export const ACCESS_SETTINGS = [
  {
    name: 'ALLOWED_HOSTS',
    byDefault: '',
    meaning:
      'comma-separated names that clients may call us by in the Host header, e.g. herald.example.com; localhost, IP addresses and HOST always may (on a loopback HOST: loopback only); * for any',
  },
  {
    name: 'TRUSTED_PROXIES',
    byDefault: '',
    meaning: 'comma-separated networks of reverse proxies whose X-Forwarded-For is believed, e.g. 10.0.0.0/8',
  },
  {
    name: 'JWT_SECRET',
    byDefault: '',
    meaning: 'takes JWTs signed with HS256 and this secret, 16 characters or more (32 are better)',
  },
  {
    name: 'JWT_JWKS',
    byDefault: '',
    meaning:
      'takes JWTs signed with RS256 or ES256 and a key of this JWKS: an https URL (http on loopback) or a file',
  },
  {
    name: 'JWT_ALGORITHMS',
    byDefault: 'HS256,RS256,ES256',
    meaning: 'algorithms taken, of those that JWT_SECRET and JWT_JWKS make possible',
  },
  { name: 'JWT_ISSUER', byDefault: '', meaning: 'the iss that JWTs must have; any if unset' },
  { name: 'JWT_AUDIENCE', byDefault: '', meaning: 'the aud that JWTs must have; any if unset' },
  {
    name: 'JWT_CLOCK_SKEW_SECONDS',
    byDefault: '10',
    meaning: "how far the clocks of JWTs' issuers may be off, 0 to 300",
  },
  {
    name: 'LOGIN_FAILURES_PER_MINUTE',
    byDefault: '100',
    meaning: 'wrong tokens one address (IPv6: one /64) may show before it has to wait; 0 for no limit',
  },
  {
    name: 'RATE_LIMIT_PER_SECOND',
    byDefault: '0',
    meaning: 'requests one token may make in this process, WebSocket operations included; 0 for no limit',
  },
  { name: 'MAX_CONNECTIONS', byDefault: '5000', meaning: 'open connections of clients, 10 to 100000' },
] as const;

const VISIBLE = /^[\x21-\x7e]{1,2048}$/;

/** Every part is there, or a mistake has been noted. */
export function readAccess(
  read: ReadSetting<(typeof ACCESS_SETTINGS)[number]['name']>,
): AccessConfig | undefined {
  const parts = {
    allowedHosts: read('ALLOWED_HOSTS', list(isHostName), 'comma-separated host names without ports, or *'),
    trustedProxies: read('TRUSTED_PROXIES', parseCidrs, 'comma-separated networks such as 10.0.0.0/8'),
    jwtSecret: read('JWT_SECRET', optional(/^.{16,2048}$/s), '16 to 2048 characters'),
    jwtJwks: read('JWT_JWKS', parseJwks, 'an https URL without credentials (http on loopback) or a file'),
    jwtAlgorithms: read(
      'JWT_ALGORITHMS',
      list<JwtAlgorithm>((name) => JWT_ALGORITHMS.some((one) => one === name)),
      `some of ${JWT_ALGORITHMS.join(', ')}`,
    ),
    jwtIssuer: read('JWT_ISSUER', optional(VISIBLE), 'visible characters'),
    jwtAudience: read('JWT_AUDIENCE', optional(VISIBLE), 'visible characters'),
    jwtClockSkewSeconds: read('JWT_CLOCK_SKEW_SECONDS', whole(0, 300), 'a whole number between 0 and 300'),
    loginFailuresPerMinute: read(
      'LOGIN_FAILURES_PER_MINUTE',
      whole(0, 1_000_000),
      'a whole number between 0 and 1000000',
    ),
    rateLimitPerSecond: read(
      'RATE_LIMIT_PER_SECOND',
      whole(0, 1_000_000),
      'a whole number between 0 and 1000000',
    ),
    maxConnections: read('MAX_CONNECTIONS', whole(10, 100_000), 'a whole number between 10 and 100000'),
  };
  return Object.values(parts).includes(undefined) ? undefined : (parts as AccessConfig);
}

function isHostName(text: string): boolean {
  return text === '*' || /^[a-z\d_]([a-z\d_.-]*[a-z\d_])?$|^\[[\da-f:.]+\]$/i.test(text);
}

function parseJwks(text: string): string | null | undefined {
  if (text === '') return null;
  if (!/^[a-z][a-z\d+.-]*:\/\//i.test(text)) return text;
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '') return undefined;
  const safe = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname));
  return safe ? url.href : undefined;
}
