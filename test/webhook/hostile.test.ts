import { expect, test } from 'vitest';
import { TEST_CERT } from '../support/tls.ts';
import { HOSTILE, OK } from './hostile-receivers.ts';
import { httpReceiver, httpsReceiver, rawReceiver, scripted, testSender, webhook } from './receivers.ts';

/** Short where the deadline is what ends it; long where it must not. */
function timeoutFor(errorCode: string | null): number {
  return errorCode === 'TIMEOUT' ? 300 : 20_000;
}

test.each(HOSTILE)('%s', async (_name, start, errorCode) => {
  await using receiver = await start();
  await using sender = testSender();
  const outcome = await sender.send(webhook(receiver.url, { timeoutMs: timeoutFor(errorCode) }));
  expect(outcome.errorCode).toBe(errorCode);
  expect(outcome.timings.totalMs).toBeLessThan(4_000);
  if (errorCode === 'TIMEOUT') expect(outcome.errorMessage).toBe('no status line within 300 ms');
  if (errorCode === null) expect(outcome.response?.body.length).toBeLessThanOrEqual(16_384);
  else expect(outcome.response).toBe(null);
});

test('all of them at once, twice over, end by their deadline and leave nothing behind', async () => {
  await using stack = new AsyncDisposableStack();
  const sender = stack.use(testSender());
  const all = [...HOSTILE, ...HOSTILE];
  const receivers = await Promise.all(all.map(([, start]) => start()));
  for (const receiver of receivers) stack.use(receiver);
  const outcomes = await Promise.all(
    receivers.map(({ url }) => sender.send(webhook(url, { timeoutMs: 1_000 }))),
  );
  expect(outcomes.map((outcome) => outcome.errorCode)).toEqual(all.map(([, , errorCode]) => errorCode));
  expect(Math.max(...outcomes.map((outcome) => outcome.timings.totalMs))).toBeLessThan(5_000);
  await sender.close();
  expect(sender.stats).toEqual({ origins: 0, open: 0, idle: 0 });
});

test('a 2xx whose body does not end is delivered after a short grace, long before its deadline', async () => {
  await using receiver = await scripted(`${OK}content-length: 10\r\n\r\nhalf`);
  await using sender = testSender();
  const outcome = await sender.send(webhook(receiver.url, { timeoutMs: 60_000 }));
  expect(outcome).toMatchObject({ errorCode: null, response: { bodyTruncated: true } });
  expect(outcome.response?.body.toString()).toBe('half');
});

test('a failure whose body does not end keeps its status', async () => {
  await using receiver = await scripted('HTTP/1.1 503 No\r\ncontent-length: 10\r\n\r\nhalf');
  await using sender = testSender();
  const outcome = await sender.send(webhook(receiver.url, { timeoutMs: 100 }));
  expect(outcome).toMatchObject({
    errorCode: 'HTTP_STATUS',
    response: { statusCode: 503, bodyTruncated: true },
  });
});

test('a status below 100 is named', async () => {
  await using receiver = await scripted('HTTP/1.1 099 Low\r\ncontent-length: 0\r\n\r\n');
  await using sender = testSender();
  expect((await sender.send(webhook(receiver.url))).errorMessage).toBe(
    'expected a status between 100 and 999, got 99',
  );
});

const INTERIM =
  'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\nx: y\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n';

test.each([1, 7, 1_000])('after interim answers the final one counts, in pieces of %i', async (size) => {
  const answer = Buffer.from(`${INTERIM}HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nHT`);
  await using receiver = await rawReceiver((socket) => {
    socket.setNoDelay(true);
    socket.on('data', () => {
      let at = 0;
      const more = () => {
        if (at >= answer.length) return;
        socket.write(answer.subarray(at, at + size), () => setImmediate(more));
        at += size;
      };
      more();
    });
  });
  await using sender = testSender();
  for (let request = 0; request < 3; request++) {
    const outcome = await sender.send(webhook(receiver.url));
    expect(outcome).toMatchObject({ errorCode: null, response: { statusCode: 202 } });
    expect(outcome.response?.headers).toEqual([['content-length', '2']]);
    expect(outcome.response?.body.toString()).toBe('HT');
  }
  expect(receiver.connections).toBe(1);
});

test('an interim answer over TLS, and a failure behind one', async () => {
  await using receiver = await httpsReceiver((request, response) => {
    response.writeContinue();
    response.writeProcessing();
    response.writeHead(request.url === '/bad' ? 500 : 204).end();
  });
  await using sender = testSender({ ca: [TEST_CERT] });
  expect(await sender.send(webhook(receiver.url))).toMatchObject({ errorCode: null });
  const bad = await sender.send(webhook(`https://127.0.0.1:${receiver.port}/bad`));
  expect(bad).toMatchObject({ errorCode: 'HTTP_STATUS', response: { statusCode: 500 } });
});

test('an interim answer is a sign that the request was read: a reset after it is no stale connection', async () => {
  let requests = 0;
  await using receiver = await rawReceiver((socket) => {
    socket.on('data', () => {
      if (requests++ === 0) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      else socket.end('HTTP/1.1 100 Continue\r\n\r\n');
    });
  });
  await using sender = testSender();
  await sender.send(webhook(receiver.url));
  expect(await sender.send(webhook(receiver.url))).toMatchObject({ errorCode: 'CONNECTION_RESET' });
  expect(requests).toBe(2);
});

test.each([300, 301, 302, 303, 304, 305, 306, 307, 308])(
  '%i is not followed: the canary stays silent',
  async (status) => {
    await using canary = await httpReceiver((_request, response) => response.end());
    await using receiver = await httpReceiver((_request, response) =>
      response.writeHead(status, { location: `${canary.url}?secret=1` }).end(),
    );
    await using sender = testSender();
    const outcome = await sender.send(webhook(receiver.url));
    expect(outcome).toMatchObject({ errorCode: 'REDIRECT', response: { statusCode: status } });
    expect(outcome.errorMessage).not.toContain('secret');
    expect(canary.connections).toBe(0);
  },
);

test('an answer that came while the event loop stalled past the deadline still counts', async () => {
  await using receiver = await rawReceiver((socket) =>
    socket.once('data', () => {
      socket.write(`${OK}content-length: 0\r\n\r\n`, () => {
        const until = performance.now() + 500;
        while (performance.now() < until);
      });
    }),
  );
  await using sender = testSender();
  expect(await sender.send(webhook(receiver.url, { timeoutMs: 400 }))).toMatchObject({ errorCode: null });
});
