import { expect, test } from 'vitest';
import type { Lookup } from '../../src/webhook/egress.ts';
import { TEST_CERT, TEST_EXPIRED_CERT } from '../support/tls.ts';
import { httpReceiver, httpsReceiver, rawReceiver, testSender, unusedPort, webhook } from './receivers.ts';

const toLoopback: Lookup = (_host, _options, answer) => answer(null, [{ address: '127.0.0.1', family: 4 }]);

test('nobody listens: CONNECTION_REFUSED', async () => {
  await using sender = testSender();
  const outcome = await sender.send(webhook(`http://127.0.0.1:${await unusedPort()}/?key=hunter2`));
  expect(outcome).toMatchObject({ errorCode: 'CONNECTION_REFUSED', response: null });
  expect(outcome.errorMessage).toMatch(/^connect ECONNREFUSED 127\.0\.0\.1:\d+$/);
});

test('all addresses of a name are tried, judged ones only', async () => {
  await using receiver = await httpReceiver((_request, response) => response.end());
  await using sender = testSender({
    lookup: (_host, _options, answer) =>
      answer(null, [
        { address: '::1', family: 6 },
        { address: '127.0.0.1', family: 4 },
      ]),
  });
  const outcome = await sender.send(webhook(`http://receiver.example:${receiver.port}/`));
  expect(outcome).toMatchObject({ errorCode: null, response: { remoteAddress: '127.0.0.1' } });
  const refused = await sender.send(webhook(`http://receiver.example:${await unusedPort()}/`));
  expect(refused.errorCode).toMatch(/^(CONNECTION_REFUSED|NETWORK)$/); // NETWORK: a machine without IPv6
});

test.each([
  ['ENOTFOUND', 'DNS_NOT_FOUND', 'no address for receiver.example (ENOTFOUND)'],
  ['ENODATA', 'DNS_NOT_FOUND', 'no address for receiver.example (ENODATA)'],
  ['ESERVFAIL', 'DNS_FAILURE', 'looking up receiver.example failed (ESERVFAIL)'],
  ['EAI_AGAIN', 'DNS_FAILURE', 'looking up receiver.example failed (EAI_AGAIN)'],
])('a lookup that ends in %s is %s', async (code, errorCode, errorMessage) => {
  await using sender = testSender({
    lookup: (_host, _options, answer) => answer(Object.assign(new Error(code), { code }), []),
  });
  expect(await sender.send(webhook('http://receiver.example/'))).toMatchObject({ errorCode, errorMessage });
});

test('an empty answer is DNS_NOT_FOUND, a lookup that throws is DNS_FAILURE', async () => {
  await using empty = testSender({ lookup: (_host, _options, answer) => answer(null, []) });
  expect(await empty.send(webhook('http://receiver.example/'))).toMatchObject({ errorCode: 'DNS_NOT_FOUND' });
  await using broken = testSender({
    lookup: () => {
      throw new Error('no resolver');
    },
  });
  expect(await broken.send(webhook('http://receiver.example/'))).toMatchObject({ errorCode: 'DNS_FAILURE' });
});

test('the deadline includes the lookup; one running lookup serves all who wait, each until its own deadline', async () => {
  await using receiver = await httpReceiver((_request, response) => response.end());
  const running: Parameters<Lookup>[2][] = [];
  await using sender = testSender({ lookup: (_host, _options, answer) => void running.push(answer) });
  const url = `http://receiver.example:${receiver.port}/`;
  const patient = sender.send(webhook(url));
  expect(await sender.send(webhook(url, { timeoutMs: 50 }))).toMatchObject({
    errorCode: 'TIMEOUT',
    errorMessage: 'no answer to the name lookup within 50 ms',
  });
  expect(running.length).toBe(1);
  running[0]?.(null, [{ address: '127.0.0.1', family: 4 }]);
  expect(await patient).toMatchObject({ errorCode: null });
  expect(receiver.connections).toBe(1);
});

test('TLS: a trusted certificate that names the host; the session is timed once', async () => {
  await using receiver = await httpsReceiver((_request, response) => response.end('ok'));
  await using sender = testSender({ ca: [TEST_CERT], lookup: toLoopback });
  const url = `https://receiver.example:${receiver.port}/`;
  const first = await sender.send(webhook(url));
  expect(first).toMatchObject({ errorCode: null, response: { statusCode: 200, remoteAddress: '127.0.0.1' } });
  expect(first.timings.tlsMs).toBeGreaterThanOrEqual(Number(first.timings.connectMs));
  expect(await sender.send(webhook(url))).toMatchObject({ errorCode: null, timings: { tlsMs: null } });
  expect(await sender.send(webhook(receiver.url))).toMatchObject({ errorCode: null }); // by address
  expect(receiver.connections).toBe(2);
});

test('TLS: two triggers of one origin with different Host headers share connections', async () => {
  const hosts: unknown[] = [];
  await using receiver = await httpsReceiver((request, response) => {
    hosts.push(request.headers.host);
    response.end();
  });
  await using sender = testSender({ ca: [TEST_CERT] });
  for (const host of ['a.example', 'b.example']) {
    expect(await sender.send(webhook(receiver.url, { headers: [['host', host]] }))).toMatchObject({
      errorCode: null,
    });
  }
  expect(hosts).toEqual(['a.example', 'b.example']);
  expect(receiver.connections).toBe(1);
});

test.each([
  ['self-signed', 'receiver.example', TEST_CERT, [], /self-signed certificate/],
  ['expired', 'receiver.example', TEST_EXPIRED_CERT, [TEST_EXPIRED_CERT], /certificate has expired/],
  ['wrong host', 'other.example', TEST_CERT, [TEST_CERT], /other\.example/],
])('TLS: %s', async (_name, host, cert, ca, message) => {
  let requests = 0;
  await using receiver = await httpsReceiver((_request, response) => {
    requests++;
    response.end();
  }, cert);
  await using sender = testSender({ ca, lookup: toLoopback });
  for (let i = 0; i < 2; i++) {
    const outcome = await sender.send(webhook(`https://${host}:${receiver.port}/`));
    expect(outcome).toMatchObject({ errorCode: 'TLS', response: null, timings: { tlsMs: null } });
    expect(outcome.errorMessage).toMatch(message);
  }
  expect(requests).toBe(0);
});

test('TLS: a receiver that speaks plain HTTP', async () => {
  await using receiver = await httpReceiver((_request, response) => response.end());
  await using sender = testSender();
  expect(await sender.send(webhook(`https://127.0.0.1:${receiver.port}/`))).toMatchObject({
    errorCode: 'TLS',
  });
});

test('TLS: a stalled handshake ends at the deadline, a broken-off one is a reset', async () => {
  await using stalled = await rawReceiver((socket) => socket.resume());
  await using broken = await rawReceiver((socket) => socket.once('data', () => socket.end()));
  await using sender = testSender();
  expect(await sender.send(webhook(`https://127.0.0.1:${stalled.port}/`, { timeoutMs: 400 }))).toMatchObject({
    errorCode: 'TIMEOUT',
    errorMessage: 'no TLS session within 400 ms',
    timings: { firstByteMs: null },
  });
  const reset = await sender.send(webhook(`https://127.0.0.1:${broken.port}/`));
  expect(reset.errorCode).toBe('CONNECTION_RESET');
});
