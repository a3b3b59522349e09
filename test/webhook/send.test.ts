import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Header } from '../../src/domain/attempt.ts';
import { httpReceiver, scripted, testSender, webhook } from './receivers.ts';

test('what arrives is what was given: body byte for byte, headers as they are', async () => {
  const body = randomBytes(200_000);
  const received: { body: Buffer; headers: string[]; line: string }[] = [];
  await using receiver = await httpReceiver((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const line = `${request.method} ${request.url} HTTP/${request.httpVersion}`;
      received.push({ body: Buffer.concat(chunks), headers: request.rawHeaders, line });
      response.end();
    });
  });
  const headers: Header[] = [
    ['content-type', 'application/json'],
    ['user-agent', 'herald/0.1.0'],
    ['webhook-id', 'msg_1'],
    ['x-odd', 'a b\tc, "d"; é'],
    ['x-empty', ''],
  ];
  await using sender = testSender();
  const outcome = await sender.send(webhook(`${receiver.url}?q=%20a&b`, { headers, body }));
  expect(outcome.errorCode).toBe(null);
  expect(received[0]?.line).toBe('POST /hook?q=%20a&b HTTP/1.1');
  expect(received[0]?.body.equals(body)).toBe(true);
  expect(received[0]?.headers).toEqual([
    ...['host', `127.0.0.1:${receiver.port}`, 'connection', 'keep-alive'],
    ...headers.flat(),
    ...['accept-encoding', 'identity', 'content-length', '200000'],
  ]);
});

test('an accept-encoding of the trigger stays; an empty body has length 0', async () => {
  const seen: unknown[] = [];
  await using receiver = await httpReceiver((request, response) => {
    seen.push(request.headers['accept-encoding'], request.headers['content-length']);
    response.end();
  });
  await using sender = testSender();
  await sender.send(webhook(receiver.url, { headers: [['accept-encoding', 'gzip']], body: Buffer.alloc(0) }));
  expect(seen).toEqual(['gzip', '0']);
});

test.each([
  [200, null, null],
  [201, null, null],
  [204, null, null],
  [299, null, null],
  [301, 'REDIRECT', 'expected a 2xx status, got 301; redirects are not followed'],
  [304, 'REDIRECT', 'expected a 2xx status, got 304; redirects are not followed'],
  [400, 'HTTP_STATUS', 'expected a 2xx status, got 400'],
  [410, 'GONE', 'expected a 2xx status, got 410'],
  [415, 'HTTP_STATUS', 'expected a 2xx status, got 415'],
  [429, 'RATE_LIMITED', 'expected a 2xx status, got 429'],
  [503, 'HTTP_STATUS', 'expected a 2xx status, got 503'],
  [999, 'HTTP_STATUS', 'expected a 2xx status, got 999'],
])('status %i is %s', async (status, errorCode, errorMessage) => {
  await using receiver = await scripted(`HTTP/1.1 ${status} What Ever\r\ncontent-length: 0\r\n\r\n`);
  await using sender = testSender();
  const outcome = await sender.send(webhook(receiver.url));
  expect(outcome).toMatchObject({
    errorCode,
    errorMessage,
    response: { statusCode: status, bodyTruncated: false },
  });
});

test('the response is kept: body, lower-case names, latin1 values, repeated names, address', async () => {
  await using receiver = await scripted(
    'HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n__proto__: x\r\nContent-Length: 2\r\n\r\nok',
  );
  await using sender = testSender();
  const { response } = await sender.send(webhook(receiver.url));
  expect(response?.headers).toEqual([
    ['x-name', 'café'],
    ['set-cookie', 'a=1'],
    ['set-cookie', 'b=2'],
    ['__proto__', 'x'],
    ['content-length', '2'],
  ]);
  expect(response?.body.toString()).toBe('ok');
  expect(response?.remoteAddress).toBe('127.0.0.1');
});

test('at most 64 header fields are kept', async () => {
  const fields = Array.from({ length: 80 }, (_, n) => `x-${n}: ${n}\r\n`).join('');
  await using receiver = await scripted(`HTTP/1.1 200 OK\r\n${fields}content-length: 0\r\n\r\n`);
  await using sender = testSender();
  const { response } = await sender.send(webhook(receiver.url));
  expect(response?.headers.length).toBe(64);
  expect(response?.headers[63]).toEqual(['x-63', '63']);
});

test('a body of 16 KiB in many pieces is kept whole, one byte more is cut', async () => {
  await using receiver = await httpReceiver((request, response) => {
    const size = Number(request.url?.slice(1));
    for (let sent = 0; sent < size; sent += 100)
      response.write(Buffer.alloc(Math.min(100, size - sent), 'x'));
    response.end();
  });
  await using sender = testSender();
  const whole = await sender.send(webhook(`http://127.0.0.1:${receiver.port}/16384`));
  const cut = await sender.send(webhook(`http://127.0.0.1:${receiver.port}/16385`));
  expect([whole.response?.body.length, whole.response?.bodyTruncated]).toEqual([16_384, false]);
  expect([cut.response?.body.length, cut.response?.bodyTruncated]).toEqual([16_384, true]);
  expect(cut.response?.body.equals(Buffer.alloc(16_384, 'x'))).toBe(true);
});

test.each([
  ['transfer-encoding', 'chunked'],
  ['upgrade', 'h2c'],
  ['expect', '100-continue'],
  ['content-length', '1'],
  ['bad name', 'x'],
  ['x-bad', 'line\r\nbreak'],
  ['x-bad', 'caf\u0151'],
])('header %j: %j is refused as INVALID_REQUEST, without its value', async (name, value) => {
  await using receiver = await httpReceiver((_request, response) => response.end());
  await using sender = testSender();
  const outcome = await sender.send(webhook(receiver.url, { headers: [[name, value]] }));
  expect(outcome.errorCode).toBe('INVALID_REQUEST');
  expect(outcome.errorMessage).not.toContain('break');
  expect((await sender.send(webhook(receiver.url))).errorCode).toBe(null);
});

test.each(['', 'nonsense', 'ftp://receiver.example/', 'http://u:p@127.0.0.1/'])(
  'URL %j is INVALID_REQUEST',
  async (url) => {
    await using sender = testSender();
    const outcome = await sender.send(webhook(url));
    expect(outcome).toMatchObject({ errorCode: 'INVALID_REQUEST', response: null });
  },
);
