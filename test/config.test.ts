import { describe, expect, test } from 'vitest';
import { readConfig, SETTINGS } from '../src/config.ts';

test('an empty environment is a working configuration, closed to the outside', () => {
  const config = readConfig({});
  expect(config).toMatchObject({
    host: '127.0.0.1',
    port: 4000,
    databaseUrl: null,
    auth: 'on',
    dataDir: '.herald',
  });
  expect([...config.roles]).toEqual(['api', 'worker']);
  expect(config.egress).toEqual({ mode: 'private', allowCidrs: [] });
});

test('auto egress is public once the API is reachable from elsewhere', () => {
  expect(readConfig({ HOST: '0.0.0.0' }).egress.mode).toBe('public');
  expect(readConfig({ HOST: '0.0.0.0', EGRESS: 'private' }).egress.mode).toBe('private');
});

test('all mistakes are reported at once, without the value of a secret', () => {
  const read = () =>
    readConfig({
      PORT: '99999',
      ROLES: 'api,wurker',
      ADMIN_TOKEN: 'geheim',
      LOG_LEVEL: 'loud',
      HOST: '0.0.0.0',
      AUTH: 'off',
    });
  expect(read).toThrow(/PORT: expected a port between 0 and 65535, got "99999"/);
  expect(read).toThrow(/ROLES[\s\S]*LOG_LEVEL/);
  expect(read).toThrow(/AUTH: off is accepted on a loopback HOST only, got HOST=0\.0\.0\.0/);
  expect(read).toThrow(/ADMIN_TOKEN: expected 16 to 512 visible ASCII characters/);
  expect(read).not.toThrow(/geheim/);
});

test('a proxy with credentials, or by address; its URL is never shown', () => {
  expect(readConfig({ EGRESS_PROXY: 'http://me:p%40ss@proxy.internal:3128' }).egressProxy).toEqual({
    host: 'proxy.internal',
    port: 3128,
    authorization: `Basic ${btoa('me:p@ss')}`,
  });
  expect(readConfig({ EGRESS_PROXY: 'http://[::1]/' }).egressProxy).toEqual({
    host: '::1',
    port: 80,
    authorization: null,
  });
  for (const url of ['https://me:geheim@proxy', 'http://me:geheim@proxy/path', 'http://me:geheim@proxy:0']) {
    expect(() => readConfig({ EGRESS_PROXY: url })).toThrow(/EGRESS_PROXY: expected a URL such as/);
    expect(() => readConfig({ EGRESS_PROXY: url })).not.toThrow(/geheim/);
  }
});

describe('every setting', () => {
  const wrong: Partial<Record<(typeof SETTINGS)[number]['name'], string>> = {
    HOST: 'a b',
    PORT: 'x',
    DATABASE_URL: 'mysql://x',
    ADMIN_TOKEN: 'short',
    AUTH: 'maybe',
    ROLES: 'x',
    EVENT_SOURCE: 'a b',
    EGRESS: 'x',
    EGRESS_ALLOW_CIDRS: '10.0.0.0/33',
    EGRESS_PROXY: 'socks5://proxy.internal:1080',
    ENCRYPTION_KEY: 'AAAA',
    CONCURRENCY: '0',
    SHUTDOWN_SECONDS: '-1',
    SHUTDOWN_GRACE_SECONDS: '301',
    RETENTION_DAYS: '0',
    PAUSE_FAILING_AFTER_HOURS: '8761',
    MAX_BODY_BYTES: '1',
    CORS_ORIGINS: 'example.com',
    ALLOWED_HOSTS: 'http://x',
    TRUSTED_PROXIES: 'proxy',
    JWT_SECRET: 'short',
    JWT_JWKS: 'http://example.com/jwks',
    JWT_ALGORITHMS: 'none',
    JWT_ISSUER: 'a b',
    JWT_AUDIENCE: 'a b',
    JWT_CLOCK_SKEW_SECONDS: '301',
    LOGIN_FAILURES_PER_MINUTE: '-1',
    RATE_LIMIT_PER_SECOND: 'x',
    MAX_CONNECTIONS: '0',
    LOG_LEVEL: 'x',
  };
  test.each(Object.entries(wrong))('%s=%s is refused by name', (name, value) => {
    expect(() => readConfig({ [name]: value })).toThrow(new RegExp(`${name}: expected`));
  });

  test('that can be wrong is in the list above', () => {
    expect(Object.keys(wrong).sort()).toEqual(
      SETTINGS.map(({ name }) => name)
        .filter((name) => name !== 'DATA_DIR' && name !== 'EGRESS_CA_FILE')
        .sort(),
    );
  });
});
