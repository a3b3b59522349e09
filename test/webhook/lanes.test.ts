import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { httpReceiver, rawReceiver, testSender, webhook } from './receivers.ts';

test('connections are reused; only the attempt that made one shows its cost', async () => {
  await using receiver = await httpReceiver((_request, response) => response.end('ok'));
  await using sender = testSender({
    lookup: (_host, _options, answer) => answer(null, [{ address: '127.0.0.1', family: 4 }]),
  });
  const url = `http://receiver.example:${receiver.port}/`;
  const first = (await sender.send(webhook(url))).timings;
  const second = (await sender.send(webhook(url))).timings;
  expect(receiver.connections).toBe(1);
  const order = [first.dnsMs, first.connectMs, first.firstByteMs, first.totalMs];
  expect(order).toEqual([...order].map(Number).sort((a, b) => a - b));
  expect(first.tlsMs).toBe(null);
  expect(second).toMatchObject({ dnsMs: null, connectMs: null, tlsMs: null });
  expect(second.firstByteMs).toBeLessThanOrEqual(second.totalMs);
  expect(Math.round(first.totalMs * 10) / 10).toBe(first.totalMs);
});

test('many at once share a bounded number of connections, and nothing is kept after the last closed', async () => {
  await using receiver = await httpReceiver((_request, response) => response.end('ok'));
  await using sender = testSender({ connectionsPerOrigin: 4 });
  const outcomes = await Promise.all(Array.from({ length: 100 }, () => sender.send(webhook(receiver.url))));
  expect(outcomes.every((outcome) => outcome.errorCode === null)).toBe(true);
  expect(receiver.connections).toBe(4);
  expect(sender.stats).toEqual({ origins: 1, open: 4, idle: 4 });
  await sender.close();
  expect(sender.stats).toEqual({ origins: 0, open: 0, idle: 0 });
});

test('an origin is forgotten when the receiver closes its connections', async () => {
  await using receiver = await httpReceiver((_request, response) =>
    response.setHeader('connection', 'close').end(),
  );
  await using sender = testSender();
  await Promise.all(Array.from({ length: 10 }, () => sender.send(webhook(receiver.url))));
  await expect.poll(() => sender.stats).toEqual({ origins: 0, open: 0, idle: 0 });
});

test('waiting for a free connection counts against the deadline, and hands over when one is lost', async () => {
  await using receiver = await httpReceiver((request, response) => {
    if (request.url === '/ok') response.end();
  });
  await using sender = testSender({ connectionsPerOrigin: 1 });
  const base = `http://127.0.0.1:${receiver.port}`;
  const outcomes = await Promise.all([
    sender.send(webhook(`${base}/hang`, { timeoutMs: 500 })),
    sender.send(webhook(`${base}/ok`, { timeoutMs: 50 })),
    sender.send(webhook(`${base}/ok`)),
  ]);
  expect(outcomes.map((outcome) => outcome.errorMessage)).toEqual([
    'no status line within 500 ms',
    'no free connection within 50 ms',
    null,
  ]);
});

test('a kept connection that the receiver closes on reuse costs no attempt: one retry on a fresh one', async () => {
  let requests = 0;
  await using receiver = await rawReceiver((socket) => {
    let served = 0;
    socket.on('data', () => {
      requests++;
      if (served++ === 0) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      else socket.resetAndDestroy();
    });
  });
  await using sender = testSender();
  expect((await sender.send(webhook(receiver.url))).errorCode).toBe(null);
  const second = await sender.send(webhook(receiver.url));
  expect(second.errorCode).toBe(null);
  expect(second.timings.connectMs).not.toBe(null);
  expect([requests, receiver.connections]).toEqual([3, 2]);
});

test('that retry happens once, and never on a fresh connection', async () => {
  let requests = 0;
  await using receiver = await rawReceiver((socket) => {
    socket.on('data', () => {
      if (requests++ === 0) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      else socket.end();
    });
  });
  await using sender = testSender();
  await sender.send(webhook(receiver.url));
  expect(await sender.send(webhook(receiver.url))).toMatchObject({ errorCode: 'CONNECTION_RESET' });
  expect([requests, receiver.connections]).toEqual([3, 2]);
  expect(await sender.send(webhook(receiver.url))).toMatchObject({
    errorCode: 'CONNECTION_RESET',
    errorMessage: 'the receiver closed the connection without an answer',
  });
  expect([requests, receiver.connections]).toEqual([4, 3]);
});

test('no retry once the receiver began to answer', async () => {
  let requests = 0;
  await using receiver = await rawReceiver((socket) => {
    socket.on('data', () => {
      if (requests++ === 0) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      else socket.end('HTTP/1.1 2');
    });
  });
  await using sender = testSender();
  await sender.send(webhook(receiver.url));
  expect((await sender.send(webhook(receiver.url))).response).toBe(null);
  expect([requests, receiver.connections]).toEqual([2, 1]);
});

test('close lets attempts end, then closes every socket; later sends are refused', async () => {
  const waiting: ServerResponse[] = [];
  await using receiver = await httpReceiver((_request, response) => void waiting.push(response));
  const sender = testSender();
  const pending = sender.send(webhook(receiver.url));
  await expect.poll(() => waiting.length).toBe(1);
  const closed = sender.close();
  expect(await sender.send(webhook(receiver.url))).toMatchObject({ errorCode: 'NETWORK' });
  waiting[0]?.end('ok');
  expect(await pending).toMatchObject({ errorCode: null });
  await closed;
  expect(sender.stats).toEqual({ origins: 0, open: 0, idle: 0 });
});
