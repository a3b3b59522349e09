/** Webhooks through an HTTP proxy: what it is told, what it may answer, and what it cannot loosen. */
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { EgressProxy } from '../../src/domain/proxy.ts';
import type { Lookup } from '../../src/webhook/egress.ts';
import { TEST_CERT } from '../support/tls.ts';
import {
  httpReceiver,
  httpsReceiver,
  PUBLIC,
  rawReceiver,
  testSender,
  unusedPort,
  webhook,
} from './receivers.ts';

interface TestProxy extends AsyncDisposable {
  readonly at: EgressProxy;
  /** `CONNECT <authority>` and the credentials that came with it. */
  readonly asked: [authority: string, credentials: string | undefined][];
}

/** A proxy that connects whoever asks, unless `refuse` names a status for the authority. */
async function startProxy(refuse: (authority: string) => number | null = () => null): Promise<TestProxy> {
  const asked: TestProxy['asked'] = [];
  const sockets = new Set<Socket>();
  const server = createServer((_request, response) => void response.writeHead(405).end());
  server.on('connection', (socket) => sockets.add(socket));
  server.on('connect', (request: IncomingMessage, client: Socket, head: Buffer) => {
    const authority = request.url ?? '';
    asked.push([authority, request.headers['proxy-authorization']]);
    const status = refuse(authority);
    if (status !== null) return void client.end(`HTTP/1.1 ${status} No\r\n\r\n`);
    const upstream = connect(Number(authority.split(':').at(-1)), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n');
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    sockets.add(upstream);
    for (const socket of [client, upstream]) socket.on('error', () => {});
    upstream.on('error', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    at: { host: '127.0.0.1', port, authorization: null },
    asked,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

const answering =
  (...addresses: string[]): Lookup =>
  (_host, _options, answer) =>
    answer(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );

test('the proxy is told the judged address, never the name; http and https, one tunnel for many requests', async () => {
  const hosts: unknown[] = [];
  await using proxy = await startProxy();
  await using plain = await httpReceiver((request, response) => {
    hosts.push(request.headers.host, request.headers['proxy-authorization']);
    response.end('ok');
  });
  await using secure = await httpsReceiver((_request, response) => response.end('ok'));
  const at = { ...proxy.at, authorization: 'Basic bWU6cGFzcw==' };
  await using sender = testSender({
    policy: PUBLIC,
    proxy: at,
    ca: [TEST_CERT],
    lookup: answering('8.8.8.8'),
  });
  for (let i = 0; i < 2; i++) {
    const outcome = await sender.send(webhook(`http://receiver.example:${plain.port}/`));
    expect(outcome).toMatchObject({ errorCode: null, response: { remoteAddress: '8.8.8.8' } });
  }
  const outcome = await sender.send(webhook(`https://receiver.example:${secure.port}/`));
  expect(outcome).toMatchObject({ errorCode: null, response: { remoteAddress: '8.8.8.8' } });
  expect(outcome.timings.tlsMs).toBeGreaterThanOrEqual(Number(outcome.timings.connectMs));
  expect(hosts).toEqual([
    `receiver.example:${plain.port}`,
    undefined,
    `receiver.example:${plain.port}`,
    undefined,
  ]);
  expect(proxy.asked).toEqual([
    [`8.8.8.8:${plain.port}`, at.authorization],
    [`8.8.8.8:${secure.port}`, at.authorization],
  ]);
});

test('the policy holds: literals and names are judged before the proxy hears of them', async () => {
  await using proxy = await startProxy();
  await using sender = testSender({
    policy: PUBLIC,
    proxy: proxy.at,
    lookup: answering('8.8.8.8', '127.0.0.1'),
  });
  for (const url of ['http://169.254.169.254/', 'http://[::ffff:10.0.0.1]/', 'http://receiver.example/']) {
    expect(await sender.send(webhook(url))).toMatchObject({ errorCode: 'BLOCKED_ADDRESS', response: null });
  }
  expect(proxy.asked).toEqual([]);
});

test('the receiver’s certificate has to name the receiver', async () => {
  await using proxy = await startProxy();
  await using receiver = await httpsReceiver((_request, response) => response.end('ok'));
  await using sender = testSender({ proxy: proxy.at, ca: [TEST_CERT], lookup: answering('8.8.8.8') });
  expect(await sender.send(webhook(`https://other.example:${receiver.port}/`))).toMatchObject({
    errorCode: 'TLS',
  });
});

test('a proxy that cannot reach one address is asked for the next', async () => {
  await using proxy = await startProxy((authority) => (authority.startsWith('[') ? 502 : null));
  await using receiver = await httpReceiver((_request, response) => response.end('ok'));
  await using sender = testSender({ proxy: proxy.at, lookup: answering('2606:4700::1', '1.1.1.1') });
  const outcome = await sender.send(webhook(`http://receiver.example:${receiver.port}/`));
  expect(outcome).toMatchObject({ errorCode: null, response: { remoteAddress: '1.1.1.1' } });
  expect(proxy.asked.map(([authority]) => authority)).toEqual([
    `[2606:4700::1]:${receiver.port}`,
    `1.1.1.1:${receiver.port}`,
  ]);
});

test.each([
  [407, 'the egress proxy wants other credentials (407)'],
  [403, 'the egress proxy did not connect to 8.8.8.8 (403)'],
  [503, 'the egress proxy did not connect to 8.8.8.8 (503)'],
])('a proxy that answers %i is a NETWORK failure, and never a delivery', async (status, errorMessage) => {
  await using proxy = await startProxy(() => status);
  await using sender = testSender({ proxy: proxy.at });
  expect(await sender.send(webhook('http://8.8.8.8/'))).toMatchObject({
    errorCode: 'NETWORK',
    errorMessage,
    response: null,
  });
});

test('proxies that are away, hang up, talk nonsense, talk for ever, or say nothing', async () => {
  const dead = await unusedPort();
  await using closing = await rawReceiver((socket) => socket.end());
  await using nonsense = await rawReceiver((socket) => socket.write('220 mail.example\r\n\r\n'));
  await using endless = await rawReceiver((socket) =>
    socket.write(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(9_000)}`),
  );
  await using silent = await rawReceiver(() => {});
  const ends: (string | null)[] = [];
  for (const port of [dead, closing.port, nonsense.port, endless.port, silent.port]) {
    await using sender = testSender({ proxy: { host: '127.0.0.1', port, authorization: 'Basic geheim' } });
    const { errorCode, errorMessage, timings } = await sender.send(
      webhook('http://8.8.8.8/', { timeoutMs: 1_000 }),
    );
    ends.push(`${errorCode}: ${errorMessage}`);
    expect(timings.totalMs).toBeLessThan(3_000);
    await sender.close();
    expect(sender.stats.open).toBe(0);
  }
  expect(ends).toEqual([
    `NETWORK: the egress proxy cannot be used: connect ECONNREFUSED 127.0.0.1:${dead}`,
    'NETWORK: the egress proxy closed the connection without an answer',
    'NETWORK: the egress proxy answered something else than HTTP',
    'NETWORK: the egress proxy answered something else than HTTP',
    'TIMEOUT: no connection within 1000 ms',
  ]);
});
