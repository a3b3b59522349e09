import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ALL_PROJECTS_ADMIN } from '../../src/domain/caller.ts';
import { createAddressOf, networkOf } from '../../src/http/address.ts';
import { createLoginLimit } from '../../src/http/login-limit.ts';
import { createAdmit } from '../../src/http/rate-limit.ts';
import { startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { until } from '../support/until.ts';
import { ask, createKey, statusOf, subscribe } from './callers.ts';

const wrong = async () => null;

describe('wrong tokens', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({
      env: { ROLES: 'api', LOGIN_FAILURES_PER_MINUTE: '5', TRUSTED_PROXIES: '127.0.0.0/8' },
    });
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const from = (address: string, token: string, path = '/queue') =>
    app.post(
      path,
      { type: 'x', query: '{ viewer { name } }' },
      { authorization: `Bearer ${token}`, 'x-forwarded-for': address },
    );

  test('are 401, then 429 with Retry-After; other addresses and tokens in use go on', async () => {
    const { secret } = await createKey(app);
    expect((await from('192.0.2.1', secret)).status).toBe(200);
    const statuses: number[] = [];
    for (let n = 0; n < 8; n++) statuses.push((await from('192.0.2.1', `wrong-${n}`)).status);
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429, 429]);
    const refused = await from('192.0.2.1', 'wrong');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(50);
    expect(await refused.json()).toMatchObject({ code: 'RATE_LIMITED', error: expect.any(String) });
    const graphql = await from('192.0.2.1', 'wrong', '/graphql');
    expect([graphql.status, Number(graphql.headers.get('retry-after')) > 50]).toEqual([429, true]);
    const { errors } = (await graphql.json()) as {
      errors: { extensions: { code: string; retryAfterMs: number } }[];
    };
    expect(errors[0]?.extensions.code).toBe('RATE_LIMITED');
    expect(errors[0]?.extensions.retryAfterMs).toBeGreaterThan(50_000);
    // Whoever was let in stays in; whoever comes from elsewhere is heard.
    expect((await from('192.0.2.1', secret)).status).toBe(200);
    expect((await from('192.0.2.2', 'wrong')).status).toBe(401);
    expect((await from('192.0.2.2', TOKEN)).status).toBe(200);
  });

  test('are counted when they come all at once, too', async () => {
    const statuses = await Promise.all(
      Array.from({ length: 50 }, (_, n) => from('192.0.2.3', `burst-${n}`).then(({ status }) => status)),
    );
    expect(statuses.filter((status) => status === 401)).toHaveLength(5);
  });

  test('what a client says of its own address is not believed beyond the proxy', async () => {
    const statuses: number[] = [];
    for (let n = 0; n < 7; n++) statuses.push((await from(`198.51.100.${n}, 192.0.2.4`, `w${n}`)).status);
    expect(statuses.at(-1)).toBe(429);
  });

  test('of nobody are not counted: a missing token is no guess', async () => {
    for (let n = 0; n < 10; n++) expect((await from('192.0.2.5', '')).status).toBe(401);
  });

  test('over WebSocket count as well', async () => {
    for (let n = 0; n < 6; n++) {
      const watching = subscribe(
        'WebSocket',
        app.url,
        `ws-${n}`,
        'subscription { invocationUpdated { kind } }',
      );
      await until(() => watching.over(), 'the refusal');
      expect(watching.over()?.error).toBe(4403);
    }
    expect(await statusOf(app.url, 'wrong')).toBe(429);
  });
});

test('addresses beyond memory share counters, and nobody is let off', async () => {
  const limit = createLoginLimit(3);
  for (let n = 0; n < 12_000; n++) {
    await limit.guard(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, wrong).catch(() => {});
  }
  const guess = () => limit.guard('203.0.113.9', wrong);
  let refused = 0;
  for (let n = 0; n < 10; n++) await guess().catch(() => refused++);
  expect(refused).toBeGreaterThanOrEqual(7);
});

test('who is let in, or could not be judged, is not counted', async () => {
  const limit = createLoginLimit(2);
  for (let n = 0; n < 10; n++) expect(await limit.guard('a', async () => ALL_PROJECTS_ADMIN)).not.toBeNull();
  for (let n = 0; n < 10; n++) {
    await expect(limit.guard('a', () => Promise.reject(new Error('away')))).rejects.toThrow('away');
  }
  expect(await limit.guard('a', wrong)).toBeNull();
});

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['', ''],
])('%j counts as %j', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

test.each<[readonly string[], string, string | undefined, string]>([
  [[], '192.0.2.1', '198.51.100.1', '192.0.2.1'],
  [['10.0.0.0/8'], '192.0.2.1', '198.51.100.1', '192.0.2.1'],
  [['10.0.0.0/8'], '10.0.0.1', '198.51.100.1', '198.51.100.1'],
  [['10.0.0.0/8'], '::ffff:10.0.0.1', '198.51.100.1, 10.0.0.2', '198.51.100.1'],
  [['10.0.0.0/8'], '10.0.0.1', '203.0.113.1, 198.51.100.1', '198.51.100.1'],
  [['10.0.0.0/8'], '10.0.0.1', 'nonsense', '10.0.0.1'],
  [['10.0.0.0/8'], '10.0.0.1', '198.51.100.1, nonsense', '10.0.0.1'],
  [['10.0.0.0/8'], '10.0.0.1', undefined, '10.0.0.1'],
  [['fd00::/8'], 'fd00::1', '2001:db8::1', '2001:db8::1'],
])('behind proxies %j, %s with X-Forwarded-For %j is %s', (trusted, peer, header, expected) => {
  const req = { socket: { remoteAddress: peer }, headers: { 'x-forwarded-for': header } };
  expect(createAddressOf(trusted)(req as never)).toBe(expected);
});

describe('the rate limit', () => {
  test('of one token: 429 over REST, RATE_LIMITED over GraphQL and WebSocket; other tokens go on', async () => {
    await using app = await startTestApp({ env: { ROLES: 'api', RATE_LIMIT_PER_SECOND: '20' } });
    const [a, b] = [await createKey(app), await createKey(app)];
    const burst = await Promise.all(
      Array.from({ length: 60 }, () =>
        app.post('/queue', { type: 'x' }, { authorization: `Bearer ${a.secret}` }),
      ),
    );
    const limited = burst.filter(({ status }) => status === 429);
    expect(limited.length).toBeGreaterThanOrEqual(20);
    expect(limited[0]?.headers.get('retry-after')).toBe('1');
    expect(await statusOf(app.url, b.secret)).toBe(200);

    const answers = await Promise.all(
      Array.from({ length: 60 }, () => ask(app.url, b.secret, '{ viewer { name } }')),
    );
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.body.errors[0].extensions).toEqual({
      code: 'RATE_LIMITED',
      retryAfterMs: expect.any(Number),
    });

    await until(async () => (await statusOf(app.url, a.secret)) === 200, 'the next second');
    const watchings = Array.from({ length: 3 }, () =>
      Array.from({ length: 10 }, () => subscribe('WebSocket', app.url, a.secret, '{ viewer { name } }')),
    ).flat();
    await until(() => watchings.every(({ over }) => over() !== null), 'all to be answered');
    expect(JSON.stringify(watchings.map(({ over }) => over()))).toMatch(/RATE_LIMITED|4403/);
  });

  test('is off by default', async () => {
    const admit = createAdmit(0);
    for (let n = 0; n < 100_000; n++) await admit(ALL_PROJECTS_ADMIN);
  });
});
