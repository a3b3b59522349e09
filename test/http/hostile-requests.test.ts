/** What strangers send: the server answers in its own words, closes what is hopeless, and goes on serving others. */
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { until } from '../support/until.ts';
import { ask, type Loose, statusOf } from './callers.ts';
import { sendRaw } from './raw.ts';

let app: TestApp;
/** AUTH=off on the same database: what is left are Host, Origin and content types. */
let open: TestApp;
let sql: ReturnType<typeof openSql>;
beforeAll(async () => {
  app = await startTestApp({
    env: { ROLES: 'api', ALLOWED_HOSTS: 'herald.example', CORS_ORIGINS: 'https://app.example' },
  });
  open = await startTestApp({ database: app.database, env: { ROLES: 'api', AUTH: 'off' } });
  sql = openSql(app.database);
});
afterAll(async () => {
  await sql.end();
  await open[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
});

const BEARER = `authorization: Bearer ${TOKEN}\r\n`;
const JSON_TYPE = 'content-type: application/json\r\n';
const HOST = 'host: 127.0.0.1\r\n';
const eventCount = async () => {
  const [row] = await sql`select count(*)::int as count from herald.events`;
  return row?.count as number;
};

describe('smuggling', () => {
  const smuggled = `POST /queue HTTP/1.1\r\n${HOST}${BEARER}${JSON_TYPE}content-length: 12\r\n\r\n{"type":"x"}`;

  test.each<[string, string]>([
    [
      'Content-Length and Transfer-Encoding',
      `content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      'Transfer-Encoding and Content-Length',
      `transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n`,
    ],
    ['two different Content-Lengths', `content-length: 2\r\ncontent-length: 40\r\n\r\n{}`],
    ['a list of Content-Lengths', `content-length: 2, 40\r\n\r\n{}`],
    ['a negative Content-Length', `content-length: -1\r\n\r\n`],
    ['a Content-Length with a sign', `content-length: +2\r\n\r\n{}`],
    ['a hexadecimal Content-Length', `content-length: 0x2\r\n\r\n{}`],
    ['an unknown Transfer-Encoding', `transfer-encoding: xchunked\r\n\r\n0\r\n\r\n`],
    ['chunked, then identity', `transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
    ['a space before the colon', `transfer-encoding : chunked\r\n\r\n0\r\n\r\n`],
    ['a folded header', `x: a\r\n b\r\ntransfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n`],
    ['a header with a NUL', `x: a\0b\r\n\r\n`],
    ['a bare CR in a header', `x: a\rb\r\n\r\n`],
    ['a bad chunk size', `transfer-encoding: chunked\r\n\r\nZ\r\n\r\n`],
    ['a chunk size too large', `transfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nx\r\n0\r\n\r\n`],
  ])('by %s is 400, and what hides behind it is not run', async (_what, rest) => {
    const before = await eventCount();
    const { text, statuses } = await sendRaw(
      app.url,
      `POST /queue HTTP/1.1\r\n${HOST}${BEARER}${JSON_TYPE}${rest}${smuggled}`,
    );
    expect(statuses, text).toEqual([400]);
    expect(await eventCount()).toBe(before);
  });

  test.each([
    ['HTTP/0.9', 'GET /livez\r\n\r\n'],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['an unknown method', `FOO /livez HTTP/1.1\r\n${HOST}\r\n`],
    ['no Host', 'GET /livez HTTP/1.1\r\n\r\n'],
    ['two Hosts', `GET /graphql HTTP/1.1\r\n${HOST}host: evil.example\r\nconnection: close\r\n\r\n`],
    ['an absolute target', `GET http://evil.example/graphql HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`],
    ['an asterisk', `OPTIONS * HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`],
  ])('%s is 400', async (_what, bytes) => {
    const { text, statuses } = await sendRaw(app.url, bytes);
    expect(statuses, text).toEqual([400]);
  });

  test('errors below HTTP are problem documents too, with a string called error', async () => {
    const { text } = await sendRaw(app.url, 'nonsense\r\n\r\n');
    const [head = '', body = ''] = text.split('\r\n\r\n');
    expect(head).toContain('content-type: application/problem+json');
    expect(head.toLowerCase()).toContain('x-content-type-options: nosniff');
    expect(JSON.parse(body)).toMatchObject({ status: 400, error: expect.any(String) });
  });
});

describe('too much', () => {
  test.each<[string, string, number]>([
    [
      'a URL of 8,193 characters',
      `GET /${'a'.repeat(8192)} HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`,
      414,
    ],
    ['a URL of 20,000 characters', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n${HOST}\r\n`, 431],
    ['a header of 20,000 bytes', `GET /graphql HTTP/1.1\r\n${HOST}x: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    [
      '120 headers',
      `GET /graphql HTTP/1.1\r\n${HOST}${'x: y\r\n'.repeat(120)}connection: close\r\n\r\n`,
      431,
    ],
    [
      'a token of 9,000 characters',
      `POST /queue HTTP/1.1\r\n${HOST}authorization: Bearer ${'a'.repeat(9000)}\r\n${JSON_TYPE}content-length: 0\r\nconnection: close\r\n\r\n`,
      401,
    ],
  ])('%s', async (_what, bytes, status) => {
    const { text, statuses } = await sendRaw(app.url, bytes);
    expect(statuses, text.slice(0, 300)).toEqual([status]);
  });

  test.each(['/queue', '/graphql'])(
    'a body over the limit at %s is 413, declared or chunked',
    async (path) => {
      const before = await eventCount();
      const body = JSON.stringify({ type: 'x', data: 'y'.repeat(1_100_000), query: '{ viewer { name } }' });
      expect((await app.post(path, body)).status).toBe(413);
      const stream = new Blob([body]).stream();
      const chunked = await fetch(app.url + path, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
        body: stream,
        duplex: 'half',
      } as RequestInit);
      expect(chunked.status).toBe(413);
      expect(await eventCount()).toBe(before);
    },
  );

  test('a body of 100 MB is cut off, not read', async () => {
    const piece = 'x'.repeat(1024 * 1024);
    let written = 0;
    const { hostname, port } = new URL(app.url);
    const socket = connect(Number(port), hostname);
    let text = '';
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('error', () => {});
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.write(
      `POST /queue HTTP/1.1\r\n${HOST}${BEARER}${JSON_TYPE}content-length: ${100 * 1024 * 1024}\r\n\r\n`,
    );
    const push = (): void => {
      while (written < 100 && socket.writable) {
        written++;
        if (!socket.write(piece)) return void socket.once('drain', push);
      }
    };
    push();
    await closed;
    expect(written).toBeLessThan(50);
    expect(text === '' || text.includes(' 413 '), text).toBe(true);
  });
});

describe('too slow', () => {
  test.concurrent.each<[string, string, string]>([
    ['a header that never ends', `POST /queue HTTP/1.1\r\n${HOST}`, 'x: y\r\n'],
    ['nothing at all', '', ''],
  ])('%s is cut off after 10 s', async (_what, bytes, piece) => {
    const { statuses, tookMs } = await sendRaw(app.url, bytes, { piece, everyMs: 500 });
    expect(tookMs).toBeLessThan(16_000);
    expect(statuses.filter((status) => status !== 408)).toEqual([]);
  });
});

describe('many connections', () => {
  test('are bounded; the next one is dropped, and let in when one has gone', async () => {
    await using small = await startTestApp({ env: { ROLES: 'api', MAX_CONNECTIONS: '10' } });
    const { hostname, port } = new URL(small.url);
    const sockets: Socket[] = [];
    for (let n = 0; n < 10; n++) {
      const socket = connect(Number(port), hostname);
      await new Promise((resolve) => socket.once('connect', resolve));
      sockets.push(socket);
    }
    // The server counts them when it accepts them, a moment later.
    await until(async () => {
      const dropped = await sendRaw(small.url, `GET /livez HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`);
      return dropped.statuses.length === 0;
    }, 'the eleventh to be dropped');
    for (const socket of sockets) socket.destroy();
    await until(async () => {
      const { statuses } = await sendRaw(
        small.url,
        `GET /livez HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`,
      );
      return statuses[0] === 200;
    }, 'room');
  });
});

describe('Host and Origin', () => {
  const status = async (to: TestApp, headers: Record<string, string>, path = '/graphql') => {
    const all = {
      authorization: `Bearer ${TOKEN}`,
      'content-type': 'application/json',
      connection: 'close',
      ...headers,
    };
    const body = path === '/queue' ? '{"type":"x"}' : '{"query":"{ viewer { name } }"}';
    const head = Object.entries({ ...all, 'content-length': String(body.length) }).map(
      ([name, value]) => `${name}: ${value}`,
    );
    const { statuses } = await sendRaw(
      to.url,
      `POST ${path} HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n${body}`,
    );
    return statuses[0];
  };

  test.each([
    'evil.example',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    'evil.example:4000',
    '10.0.0.1',
    '169.254.169.254',
    '[::ffff:7f00:1]',
    'localhost@evil.example',
    'localhost/x',
    'a b',
    '',
    '0.0.0.0',
    '2130706433',
  ])('Host %j is 403 on loopback, for every door, with and without AUTH', async (host) => {
    for (const to of [app, open]) {
      for (const path of ['/graphql', '/queue'])
        expect([403, 400]).toContain(await status(to, { host }, path));
    }
  });

  test.each([
    '127.0.0.1',
    'localhost',
    'LOCALHOST:1',
    '127.0.0.1:4000',
    '[::1]:4000',
    '127.1.2.3',
    'herald.example',
    'HERALD.example:443',
    'herald.example.',
  ])('Host %j is ours', async (host) => {
    expect(await status(app, { host })).toBe(200);
  });

  test.each<[string, number]>([
    ['https://evil.example', 403],
    ['null', 403],
    ['http://127.0.0.1.evil.example', 403],
    ['http://localhost', 403],
    ['file://', 403],
    ['https://app.example.evil.example', 403],
    ['https://app.example', 200],
    ['http://127.0.0.1', 200],
  ])('Origin %j is %i', async (origin, expected) => {
    expect(await status(app, { host: '127.0.0.1', origin })).toBe(expected);
  });

  test('elsewhere than on loopback: IP addresses, HOST and what is allowed', async () => {
    await using public_ = await startTestApp({
      env: { ROLES: 'api', HOST: '0.0.0.0', ALLOWED_HOSTS: 'herald.example' },
    });
    const at = { ...public_, url: public_.url.replace('0.0.0.0', '127.0.0.1') };
    const hosts = ['evil.example', '10.0.0.1:4000', '[2001:db8::1]:4000', 'localhost', 'herald.example'];
    expect(await Promise.all(hosts.map((host) => status(at, { host })))).toEqual([403, 200, 200, 200, 200]);
  });

  test.each<[string, Record<string, string>]>([
    ['a foreign Origin', { origin: 'https://evil.example' }],
    ['Origin null', { origin: 'null' }],
    ['a foreign Host', { host: 'evil.example' }],
  ])('a WebSocket with %s is refused', async (_what, headers) => {
    for (const { url } of [app, open]) {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
        headers,
      });
      const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
      expect(error.message).toContain('403');
    }
  });

  test('a page of another site cannot make a browser queue or ask, even with AUTH=off', async () => {
    const before = await eventCount();
    // What a browser sends across origins without asking: no JSON, no headers of its own.
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=a',
      '',
    ]) {
      const headers = { host: '127.0.0.1', 'content-type': type, authorization: '' };
      expect(await status(open, headers, '/queue')).toBe(415);
      expect([403, 415]).toContain(await status(open, headers));
    }
    const query = encodeURIComponent('{ triggers { nodes { id } } }');
    expect((await fetch(`${open.url}/graphql?query=${query}`)).status).toBe(403);
    expect(await eventCount()).toBe(before);
  });

  test('preflights are answered for configured origins alone', async () => {
    const preflight = (origin: string) =>
      fetch(`${app.url}/graphql`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST' },
      });
    const allowed = await preflight('https://app.example');
    expect([allowed.status, allowed.headers.get('access-control-allow-origin')]).toEqual([
      204,
      'https://app.example',
    ]);
    const refused = await preflight('https://evil.example');
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([403, null]);
  });
});

describe('answers', () => {
  test.each<[string, RequestInit]>([
    ['/livez', {}],
    ['/nowhere', {}],
    ['/graphql', { method: 'POST', body: '{"query":"{ viewer { name } }"}' }],
    ['/graphql', { method: 'POST', body: '{"query":"{"}' }],
    ['/graphql', { headers: {} }],
    ['/queue', { method: 'POST', body: '{"type":"x"}' }],
    ['/queue', { method: 'POST', body: '{' }],
    ['/graphql', { headers: { accept: 'text/html' } }],
  ])('of %s %j tell browsers what they must not do', async (path, init) => {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const answer = await fetch(app.url + path, { headers, ...init });
    await answer.arrayBuffer();
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': expect.stringMatching(/^no-(?:store|cache)$/),
      'content-security-policy': expect.stringContaining("frame-ancestors 'none'"),
      'x-frame-options': 'DENY',
    });
    expect(answer.headers.get('server') ?? answer.headers.get('x-powered-by')).toBeNull();
  });

  test('of 401 name the scheme, of 403 the missing scope', async () => {
    const none = await ask(app.url, null, '{ viewer { name } }');
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="herald"']);
    expect(none.body.errors[0].extensions.code).toBe('UNAUTHENTICATED');
    const wrong = await ask(app.url, 'wrong', '{ viewer { name } }');
    expect(wrong.headers.get('www-authenticate')).toBe('Bearer realm="herald", error="invalid_token"');
    const { createApiKey } = await app.graphql<Loose>(
      'mutation { createApiKey(input: {name: "r", scopes: [EVENTS_READ]}) { secret } }',
    );
    const rest = await app.post('/queue', { type: 'x' }, { authorization: `Bearer ${createApiKey.secret}` });
    expect([rest.status, rest.headers.get('www-authenticate')]).toEqual([
      403,
      'Bearer realm="herald", error="insufficient_scope", scope="EVENTS_WRITE"',
    ]);
    expect(((await rest.json()) as Loose).error).toContain('EVENTS_WRITE');
    const { body } = await ask(app.url, createApiKey.secret, '{ triggers { nodes { id } } }');
    expect(body.errors[0]).toMatchObject({ extensions: { code: 'FORBIDDEN', scope: 'TRIGGERS_READ' } });
  });

  test('the schema is for callers who are known', async () => {
    const asked = await ask(app.url, null, '{ __schema { types { name } } }');
    expect([asked.status, asked.body.data]).toEqual([401, undefined]);
  });
});

test('after all this it serves as before', async () => {
  expect(await statusOf(app.url, TOKEN)).toBe(200);
});
