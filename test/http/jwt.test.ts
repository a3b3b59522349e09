import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createJwks } from '../../src/http/jwks.ts';
import { createJwt, type JwtOptions } from '../../src/http/jwt.ts';
import { until } from '../support/until.ts';

const SECRET = 'a secret of the project, 1234567';
const now = () => Math.floor(Date.now() / 1000);
const soon = () => now() + 60;
const bytes = (text: string) => new TextEncoder().encode(text);

const rsa = await generateKeyPair('RS256');
const ec = await generateKeyPair('ES256');
const stranger = await generateKeyPair('RS256');
const publicPem = await exportSPKI(rsa.publicKey);
const jwks = {
  keys: [
    { ...(await exportJWK(rsa.publicKey)), kid: 'rsa', alg: 'RS256', use: 'sig' },
    { ...(await exportJWK(ec.publicKey)), kid: 'ec', alg: 'ES256', use: 'sig' },
  ],
};

/** A JWKS server that counts, and can misbehave. */
interface KeyServer extends AsyncDisposable {
  readonly url: string;
  requests: number;
  answer: () => { readonly status: number; readonly body: string; readonly location?: string };
}

async function startKeyServer(): Promise<KeyServer> {
  const server = createServer((_req, res) => {
    keyServer.requests++;
    const { status, body, location } = keyServer.answer();
    res.writeHead(status, { 'content-type': 'application/json', ...(location && { location }) }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const keyServer: KeyServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
    requests: 0,
    answer: () => ({ status: 200, body: JSON.stringify(jwks) }),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return keyServer;
}

let keyServer: KeyServer;
let directory: string;
beforeAll(async () => {
  keyServer = await startKeyServer();
  directory = await mkdtemp(join(tmpdir(), 'herald-jwks-'));
});
afterAll(async () => {
  await keyServer[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const source = (options: Partial<JwtOptions> = {}) =>
  createJwt({
    secret: SECRET,
    keys: createJwks(keyServer.url),
    algorithms: ['HS256', 'RS256', 'ES256'],
    issuer: null,
    audience: null,
    clockSkewSeconds: 10,
    log: () => {},
    ...options,
  });
const holder = async (token: string, options?: Partial<JwtOptions>) =>
  (await source(options).find(token, ''))?.holder ?? null;

const hs = (claims: JWTPayload, secret = SECRET, header = {}) =>
  new SignJWT(claims).setProtectedHeader({ alg: 'HS256', ...header }).sign(bytes(secret));
const rs = (claims: JWTPayload, key = rsa.privateKey, header = {}) =>
  new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'rsa', ...header }).sign(key);

/** A token put together by hand, signed or not. */
function forged(header: object, claims: object, signature = ''): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(claims)}.${signature}`;
}

describe('a good token', () => {
  test.each<[string, () => Promise<string>]>([
    ['HS256', () => hs({ exp: soon(), sub: 'u', scope: 'EVENTS_READ' })],
    ['RS256', () => rs({ exp: soon(), sub: 'u', scope: 'EVENTS_READ' })],
    [
      'ES256',
      () =>
        new SignJWT({ exp: soon(), sub: 'u', scope: 'EVENTS_READ' })
          .setProtectedHeader({ alg: 'ES256', kid: 'ec' })
          .sign(ec.privateKey),
    ],
    [
      'RS256 without a key id',
      () => rs({ exp: soon(), sub: 'u', scope: 'EVENTS_READ' }, rsa.privateKey, { kid: undefined }),
    ],
  ])('of %s is taken', async (_name, make) => {
    const { watch: _, ...expected } = {
      id: 'jwt:u',
      name: 'u',
      scopes: ['EVENTS_READ'],
      projects: null,
      watch: 0,
    };
    expect(await holder(await make())).toEqual(expected);
  });

  test.each<[JWTPayload, object]>([
    [
      { sub: 'a', name: 'Ann', scope: 'EVENTS_READ openid TRIGGERS_READ' },
      { id: 'jwt:a', name: 'Ann', scopes: ['EVENTS_READ', 'TRIGGERS_READ'] },
    ],
    [
      { scopes: ['ADMIN'], projects: ['shop'] },
      { id: 'jwt:anonymous', scopes: ['ADMIN'], projects: ['shop'] },
    ],
    [
      { scope: '', project: 'shop' },
      { scopes: [], projects: ['shop'] },
    ],
    [{ scope: 'EVENTS_READ', projects: [] }, { projects: [] }],
    // Space Cloud's: an id and a role, nothing about scopes.
    [
      { id: 'user-1', role: 'admin' },
      { id: 'jwt:user-1', scopes: ['EVENTS_WRITE'], projects: null },
    ],
    [{ sub: `x\n${'y'.repeat(500)}`, scope: '' }, { name: `x ${'y'.repeat(198)}` }],
  ])('of HS256 with %j means %j', async (claims, expected) => {
    expect(await holder(await hs({ exp: soon(), ...claims }))).toMatchObject(expected);
  });

  test('of a JWKS without scopes may do nothing', async () => {
    expect(await holder(await rs({ exp: soon(), sub: 'u' }))).toMatchObject({ scopes: [] });
  });
});

describe('refused is', () => {
  const claims = () => ({ exp: soon(), sub: 'u', scope: 'ADMIN' });

  test.each<[string, () => Promise<string> | string]>([
    ['alg none', () => forged({ alg: 'none' }, claims())],
    ['alg None', () => forged({ alg: 'None' }, claims())],
    [
      'alg none with a signature',
      async () => forged({ alg: 'none' }, claims(), (await hs(claims())).split('.')[2]),
    ],
    ['no alg', () => forged({}, claims(), 'AAAA')],
    ['alg as a list', () => forged({ alg: ['HS256'] }, claims(), 'AAAA')],
    ['alg __proto__', () => forged({ alg: '__proto__' }, claims(), 'AAAA')],
    ['no signature', () => forged({ alg: 'HS256' }, claims())],
    ['the wrong secret', () => hs(claims(), 'another secret of the project!!!')],
    ['an empty secret', () => forged({ alg: 'HS256' }, claims(), Buffer.alloc(32).toString('base64url'))],
    ['HS256 signed with the public key', () => hs(claims(), publicPem)],
    ['HS256 signed with the public key, its id in the header', () => hs(claims(), publicPem, { kid: 'rsa' })],
    ['HS256 signed with the modulus', () => hs(claims(), String(jwks.keys[0]?.n), { kid: 'rsa' })],
    [
      'HS384 with the right secret',
      () => new SignJWT(claims()).setProtectedHeader({ alg: 'HS384' }).sign(bytes(SECRET)),
    ],
    ['RS256 by a stranger', () => rs(claims(), stranger.privateKey)],
    ['RS256 with the id of the EC key', () => rs(claims(), rsa.privateKey, { kid: 'ec' })],
    ['RS256 with an unknown key id', () => rs(claims(), rsa.privateKey, { kid: 'nobody' })],
    ['RS256 with a key id that is a path', () => rs(claims(), rsa.privateKey, { kid: '../../dev/null' })],
    [
      'a key of its own in the header',
      async () =>
        rs(claims(), stranger.privateKey, { jwk: await exportJWK(stranger.publicKey), kid: undefined }),
    ],
    ['a jku of its own', () => rs(claims(), stranger.privateKey, { jku: 'http://127.0.0.1:9/jwks' })],
    ['PS256', () => forged({ alg: 'PS256', kid: 'rsa' }, claims(), 'AAAA')],
    ['an unknown critical header', () => forged({ alg: 'HS256', crit: ['x'], x: 1 }, claims(), 'AAAA')],
    ['no exp', () => hs({ sub: 'u', scope: 'ADMIN' })],
    ['exp as text', () => hs({ ...claims(), exp: String(soon()) as unknown as number })],
    ['exp null', () => hs({ ...claims(), exp: null as unknown as number })],
    ['expired', () => hs({ ...claims(), exp: now() - 11 })],
    ['not yet good', () => hs({ ...claims(), nbf: now() + 30 })],
    ['nbf as text', () => hs({ ...claims(), nbf: 'soon' as unknown as number })],
    ['a scope that is a number', () => hs({ ...claims(), scope: 5 })],
    ['scopes that are an object', () => hs({ exp: soon(), scopes: { ADMIN: true } })],
    ['projects that are a number', () => hs({ ...claims(), projects: 5 })],
    ['projects with a number in them', () => hs({ ...claims(), projects: ['a', 5] })],
    [
      'a changed payload',
      async () => {
        const [header, , signature] = (await hs(claims())).split('.');
        return `${header}.${Buffer.from(JSON.stringify({ ...claims(), sub: 'x' })).toString('base64url')}.${signature}`;
      },
    ],
    ['four parts', async () => `${await hs(claims())}.x`],
    ['five parts (JWE)', () => 'a.b.c.d.e'],
    ['padding', async () => `${await hs(claims())}=`],
    ['a payload that is no JSON', () => `${Buffer.from('{"alg":"HS256"}').toString('base64url')}.AAAA.AAAA`],
    ['a header that is no JSON', () => 'AAAA.AAAA.AAAA'],
    ['nothing', () => ''],
  ])('%s', async (_what, make) => {
    expect(await holder(await make())).toBeNull();
  });

  test('what the allow-list leaves out, or nothing is configured for', async () => {
    const [h, r] = [await hs(claims()), await rs(claims())];
    expect(await holder(h, { algorithms: ['RS256'] })).toBeNull();
    expect(await holder(r, { algorithms: ['HS256'] })).toBeNull();
    expect(await holder(h, { secret: null })).toBeNull();
    expect(await holder(r, { keys: null })).toBeNull();
  });

  test('another issuer or audience, where one is wanted', async () => {
    const wanted = { issuer: 'https://id.example', audience: 'herald' };
    const good = { ...claims(), iss: 'https://id.example', aud: ['other', 'herald'] };
    expect(await holder(await hs(good), wanted)).not.toBeNull();
    expect(await holder(await hs({ ...good, iss: 'https://evil.example' }), wanted)).toBeNull();
    expect(await holder(await hs({ ...good, aud: 'other' }), wanted)).toBeNull();
    expect(await holder(await hs(claims()), wanted)).toBeNull();
  });
});

test('clocks may be off by the configured seconds, no more', async () => {
  const expired = await hs({ exp: now() - 20 });
  expect(await holder(expired, { clockSkewSeconds: 30 })).not.toBeNull();
  expect(await holder(expired, { clockSkewSeconds: 10 })).toBeNull();
  const early = await hs({ exp: soon(), nbf: now() + 20 });
  expect(await holder(early, { clockSkewSeconds: 30 })).not.toBeNull();
  expect(await holder(early, { clockSkewSeconds: 10 })).toBeNull();
});

test('a token stops working when it expires', async () => {
  const found = await source({ clockSkewSeconds: 0 }).find(await hs({ exp: now() + 1 }), '');
  expect(await found?.stillWorks()).toBe(true);
  await until(async () => !(await found?.stillWorks()), 'the end', 4000);
});

describe('keys', () => {
  test('are fetched once, and made-up key ids cause no flood', async () => {
    await using own = await startKeyServer();
    const jwt = source({ keys: createJwks(own.url) });
    const good = await rs({ exp: soon() });
    await Promise.all(Array.from({ length: 20 }, () => jwt.find(good, '')));
    expect(own.requests).toBe(1);
    for (let n = 0; n < 20; n++) {
      expect(await jwt.find(await rs({ exp: soon() }, rsa.privateKey, { kid: `k${n}` }), '')).toBeNull();
    }
    expect(own.requests).toBe(1);
  });

  test.each<[string, ReturnType<KeyServer['answer']>]>([
    ['an error', { status: 500, body: '' }],
    ['a redirect', { status: 302, body: '', location: 'http://127.0.0.1:9/' }],
    ['no JSON', { status: 200, body: 'x' }],
    ['no JWKS', { status: 200, body: '[]' }],
    ['too much', { status: 200, body: JSON.stringify({ ...jwks, pad: 'x'.repeat(300_000) }) }],
  ])('that come as %s are UNAVAILABLE, and asked for once a second at most', async (_what, answer) => {
    await using own = await startKeyServer();
    own.answer = () => answer;
    const jwt = source({ keys: createJwks(own.url) });
    const token = await rs({ exp: soon() });
    for (let n = 0; n < 20; n++)
      await expect(jwt.find(token, '')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(own.requests).toBeLessThanOrEqual(2);
  });

  test('are read from a file; two without ids are both tried', async () => {
    const path = join(directory, 'keys.json');
    const { n, e, kty } = await exportJWK(stranger.publicKey);
    const bare = jwks.keys.map(({ kid: _kid, alg: _alg, use: _use, ...key }) => key);
    await writeFile(path, JSON.stringify({ keys: [{ kty, n, e }, ...bare] }));
    const token = await rs({ exp: soon() }, rsa.privateKey, { kid: undefined });
    expect(await holder(token, { keys: createJwks(path) })).not.toBeNull();
    await expect(holder(token, { keys: createJwks(join(directory, 'none')) })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });

  test('that are symmetric are not used, whatever the file says', async () => {
    const path = join(directory, 'oct.json');
    const k = Buffer.from(SECRET).toString('base64url');
    await writeFile(path, JSON.stringify({ keys: [{ kty: 'oct', k, kid: 'oct' }] }));
    const token = await hs({ exp: soon() }, SECRET, { kid: 'oct' });
    expect(await holder(token, { secret: null, keys: createJwks(path) })).toBeNull();
  });
});
