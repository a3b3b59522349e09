/**
 * Every setting of Herald, read from the environment once, all mistakes reported together. This list is the manual;
 * the README's table is checked against it.
 */

import { ACCESS_SETTINGS, type AccessConfig, type ReadSetting, readAccess } from './config-access.ts';
import { type EgressPolicy, isLoopbackHost } from './domain/address.ts';
import { StartupError } from './domain/errors.ts';
import { type EgressProxy, parseProxy } from './domain/proxy.ts';
import { oneOf, parseCidrs, parseOrigins, whole } from './parse-setting.ts';
import { parseKeys } from './store/secrets.ts';

export interface Config {
  readonly host: string;
  readonly port: number;
  /** Null runs the embedded server in dataDir. */
  readonly databaseUrl: string | null;
  readonly dataDir: string;
  /** Null generates one and keeps it in dataDir. */
  readonly adminToken: string | null;
  readonly auth: 'on' | 'off';
  readonly roles: ReadonlySet<Role>;
  /** Null uses the installation's own. */
  readonly eventSource: string | null;
  readonly egress: EgressPolicy;
  /** Null connects directly. */
  readonly egressProxy: EgressProxy | null;
  /** PEM file of authorities to trust beside the public ones; null for none. */
  readonly egressCaFile: string | null;
  /** First one writes; empty generates one and keeps it in dataDir. */
  readonly encryptionKeys: readonly Buffer[];
  readonly concurrency: number;
  readonly shutdownSeconds: number;
  readonly shutdownGraceSeconds: number;
  readonly retentionDays: number;
  /** 0 pauses none. */
  readonly pauseFailingAfterHours: number;
  readonly maxBodyBytes: number;
  /** Origins of web pages that may call us from a browser, e.g. `https://app.example.com`. */
  readonly corsOrigins: readonly string[];
  readonly access: AccessConfig;
  readonly logLevel: LogLevel;
}

export type Role = 'api' | 'worker';
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Shown by `--help` and in the README. */
export const SETTINGS = [
  {
    name: 'HOST',
    byDefault: '127.0.0.1',
    meaning: 'address to listen on; anything but loopback needs AUTH=on',
  },
  { name: 'PORT', byDefault: '4000', meaning: 'port to listen on; 0 takes a free one' },
  {
    name: 'DATABASE_URL',
    byDefault: '',
    meaning: 'any PostgreSQL 15 or newer; without it an embedded one is started',
  },
  {
    name: 'DATA_DIR',
    byDefault: '.herald',
    meaning: 'directory of the embedded database, admin token and encryption key',
  },
  {
    name: 'ADMIN_TOKEN',
    byDefault: '',
    meaning:
      'bearer token that may do everything, 16 characters or more; generated and kept in DATA_DIR if unset',
  },
  { name: 'AUTH', byDefault: 'on', meaning: 'on, or off: no token needed (loopback only)' },
  { name: 'ROLES', byDefault: 'api,worker', meaning: 'what this process does: api, worker or both' },
  {
    name: 'EVENT_SOURCE',
    byDefault: '',
    meaning: 'CloudEvents source of events that name none, a URI reference; a UUID made once if unset',
  },
  {
    name: 'EGRESS',
    byDefault: 'auto',
    meaning:
      'where webhooks may go: public, private (also loopback and private networks), or auto: private while HOST is loopback, else public',
  },
  {
    name: 'EGRESS_ALLOW_CIDRS',
    byDefault: '',
    meaning: 'comma-separated networks that are allowed whatever EGRESS says, e.g. 10.1.0.0/16',
  },
  {
    name: 'EGRESS_PROXY',
    byDefault: '',
    meaning:
      'HTTP proxy that webhooks leave through, http://[user:password@]host:port; it is asked to CONNECT to the judged address',
  },
  {
    name: 'EGRESS_CA_FILE',
    byDefault: '',
    meaning: 'PEM file of certificate authorities to trust beside the public ones',
  },
  {
    name: 'ENCRYPTION_KEY',
    byDefault: '',
    meaning:
      'base64 of 32 bytes that secrets are encrypted with; comma-separated, the first writes, all read; generated and kept in DATA_DIR if unset',
  },
  {
    name: 'CONCURRENCY',
    byDefault: '300',
    meaning: 'most attempts in flight at once in this process, 1 to 2000',
  },
  {
    name: 'SHUTDOWN_SECONDS',
    byDefault: '30',
    meaning: 'how long attempts in flight may go on after SIGTERM or Ctrl-C',
  },
  {
    name: 'SHUTDOWN_GRACE_SECONDS',
    byDefault: '0',
    meaning:
      'how long calls are still answered before that, 0 to 300, while /readyz says 503: time for a load balancer to look away',
  },
  { name: 'RETENTION_DAYS', byDefault: '30', meaning: 'how long finished events are kept' },
  {
    name: 'PAUSE_FAILING_AFTER_HOURS',
    byDefault: '120',
    meaning:
      'a trigger whose every attempt has failed for longer is paused until somebody resumes it, 1 to 8760; 0 pauses none',
  },
  { name: 'MAX_BODY_BYTES', byDefault: '1048576', meaning: 'largest request body' },
  {
    name: 'CORS_ORIGINS',
    byDefault: '',
    meaning: 'comma-separated origins whose web pages may call the API, e.g. https://app.example.com',
  },
  ...ACCESS_SETTINGS,
  { name: 'LOG_LEVEL', byDefault: 'info', meaning: 'debug, info, warn, error or silent' },
] as const;

type SettingName = (typeof SETTINGS)[number]['name'];
type Environment = Readonly<Record<string, string | undefined>>;

/** Errors: StartupError that names every setting that is wrong, with what was expected. */
export function readConfig(env: Environment): Config {
  const mistakes: string[] = [];
  const read: ReadSetting<SettingName> = (name, parse, expected) => {
    const text = env[name]?.trim() || (SETTINGS.find((setting) => setting.name === name)?.byDefault ?? '');
    const value = parse(text);
    if (value === undefined) mistakes.push(`${name}: expected ${expected}, got ${describe(name, text)}`);
    return value;
  };
  const host = read(
    'HOST',
    (text) => (/^[\w.:[\]-]+$/.test(text) ? text : undefined),
    'an address or host name',
  );
  const egressMode = read('EGRESS', oneOf('auto', 'public', 'private'), 'auto, public or private');
  const egressCidrs = read('EGRESS_ALLOW_CIDRS', parseCidrs, 'comma-separated networks such as 10.1.0.0/16');
  const auth = read('AUTH', oneOf('on', 'off'), 'on or off');
  if (auth === 'off' && host !== undefined && !isLoopbackHost(host)) {
    mistakes.push(`AUTH: off is accepted on a loopback HOST only, got HOST=${host}`);
  }
  const parts = {
    port: read('PORT', whole(0, 65_535), 'a port between 0 and 65535'),
    databaseUrl: read('DATABASE_URL', parseDatabaseUrl, 'a postgres:// URL'),
    dataDir: read('DATA_DIR', (text) => text, 'a directory'),
    adminToken: read('ADMIN_TOKEN', parseToken, '16 to 512 visible ASCII characters'),
    roles: read('ROLES', parseRoles, 'api, worker or api,worker'),
    eventSource: read('EVENT_SOURCE', parseSource, 'a URI reference (RFC 3986)'),
    egressProxy: read('EGRESS_PROXY', optional(parseProxy), 'a URL such as http://proxy.internal:3128'),
    egressCaFile: read('EGRESS_CA_FILE', (text) => text || null, 'a file'),
    encryptionKeys: read(
      'ENCRYPTION_KEY',
      (text) => (text === '' ? [] : (parseKeys(text) ?? undefined)),
      'base64 of 32 bytes, or several of them with commas between',
    ),
    concurrency: read('CONCURRENCY', whole(1, 2000), 'a whole number between 1 and 2000'),
    shutdownSeconds: read('SHUTDOWN_SECONDS', whole(0, 3600), 'a whole number between 0 and 3600'),
    shutdownGraceSeconds: read('SHUTDOWN_GRACE_SECONDS', whole(0, 300), 'a whole number between 0 and 300'),
    retentionDays: read('RETENTION_DAYS', whole(1, 3650), 'a whole number between 1 and 3650'),
    pauseFailingAfterHours: read(
      'PAUSE_FAILING_AFTER_HOURS',
      whole(0, 8760),
      'a whole number between 0 and 8760',
    ),
    maxBodyBytes: read(
      'MAX_BODY_BYTES',
      whole(1024, 64 * 1024 * 1024),
      'a whole number between 1024 and 67108864',
    ),
    corsOrigins: read(
      'CORS_ORIGINS',
      parseOrigins,
      'comma-separated origins such as https://app.example.com',
    ),
    access: readAccess(read),
    logLevel: read(
      'LOG_LEVEL',
      oneOf('debug', 'info', 'warn', 'error', 'silent'),
      'debug, info, warn, error or silent',
    ),
  };
  if (mistakes.length > 0)
    throw new StartupError(`The configuration has mistakes:\n  ${mistakes.join('\n  ')}`);
  const mode = egressMode === 'auto' ? (isLoopbackHost(host ?? '') ? 'private' : 'public') : egressMode;
  // Every part is there: a missing one is a mistake, and mistakes have been thrown.
  return { ...parts, host, auth, egress: { mode, allowCidrs: egressCidrs } } as Config;
}

/** What may be said of a wrong value: never the value of a secret. */
function describe(name: SettingName, text: string): string {
  return ['ADMIN_TOKEN', 'ENCRYPTION_KEY', 'DATABASE_URL', 'JWT_SECRET', 'EGRESS_PROXY'].includes(name)
    ? 'something else'
    : JSON.stringify(text);
}

/** Null where nothing is given; a mistake where `parse` makes nothing of it. */
const optional =
  <T>(parse: (text: string) => T | null) =>
  (text: string): T | null | undefined =>
    text === '' ? null : (parse(text) ?? undefined);

function parseDatabaseUrl(text: string): string | null | undefined {
  if (text === '') return null;
  return /^postgres(?:ql)?:\/\/\S+$/.test(text) ? text : undefined;
}

function parseToken(text: string): string | null | undefined {
  if (text === '') return null;
  return /^[\x21-\x7e]{16,512}$/.test(text) ? text : undefined;
}

function parseSource(text: string): string | null | undefined {
  if (text === '') return null;
  return /^[\w\-.~:/?#[\]@!$&'()*+,;=%]{1,2048}$/.test(text) ? text : undefined;
}

function parseRoles(text: string): ReadonlySet<Role> | undefined {
  const roles = text.split(',').map((role) => role.trim());
  return roles.every((role) => role === 'api' || role === 'worker') ? new Set(roles as Role[]) : undefined;
}
