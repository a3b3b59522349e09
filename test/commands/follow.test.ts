/** `follow` against a server whose connections break off, end and fall behind as told. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { ApiError, type Connection, connect } from '../../src/commands/connection.ts';
import { follow, type Link } from '../../src/commands/follow.ts';
import { until } from '../support/until.ts';

interface Count {
  readonly cursor: string | null;
  readonly number: number;
}

interface CountServer extends AsyncDisposable {
  readonly connection: Connection;
  /** `after` of each subscription. */
  readonly asked: readonly (string | null)[];
  /** Updates that left the server. */
  readonly sent: () => number;
}

type Ending = 'GO_ON' | 'CUT' | 'COMPLETE' | 'REFUSE';

/** Counts on behind `after` for ever; instead of an update, a connection ends as `ending` says. */
async function startCounting(
  ending: (connection: number, number: number) => Ending,
  padding = '',
): Promise<CountServer> {
  const asked: (string | null)[] = [];
  let sent = 0;
  async function count(after: string | null, response: ServerResponse): Promise<void> {
    const connection = asked.push(after);
    // Resolves when it has been handed on: what was sent before a cut has left, and a slow reader is waited for.
    const send = (event: string, data: object | null): Promise<void> => {
      const text = `event: ${event}\ndata: ${data === null ? '' : JSON.stringify(data)}\n\n`;
      return new Promise((resolve) => response.write(text, () => resolve()));
    };
    for (let number = Number(after ?? 0) + 1; !response.destroyed; number++) {
      switch (ending(connection, number)) {
        case 'CUT':
          return void response.destroy();
        case 'COMPLETE':
          await send('complete', null);
          return void response.end();
        case 'REFUSE':
          return send('next', { errors: [{ message: 'enough', extensions: { code: 'UNAUTHENTICATED' } }] });
        case 'GO_ON':
          sent++;
          await send('next', { data: { count: { cursor: String(number), number, padding } } });
      }
    }
  }
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { variables } = JSON.parse(body) as { variables: { after: string | null } };
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    count(variables.after, response).catch(() => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const connection = await connect({
    options: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: 'x' },
    words: [],
    env: {},
    print: async () => {},
    notice: () => {},
    readInput: async () => '',
    isTerminal: false,
    stopSignal: () => new AbortController().signal,
  });
  return {
    connection,
    asked,
    sent: () => sent,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const QUERY = 'subscription ($after: String) { count(after: $after) { cursor number padding } }';

function read(connection: Connection, signal: AbortSignal, links: Link[] = [], after: string | null = null) {
  return follow<Count>(connection, {
    ...{ query: QUERY, variables: {}, after, signal },
    onLink: (link) => links.push(link),
  });
}

test('goes on behind the last cursor after a break, and after a completion', async () => {
  await using server = await startCounting((connection, number) => {
    if (connection === 1 && number === 5) return 'CUT';
    return connection === 2 && number === 20 ? 'COMPLETE' : 'GO_ON';
  });
  const stopping = new AbortController();
  const links: Link[] = [];
  const numbers: number[] = [];
  for await (const { number } of read(server.connection, stopping.signal, links, '1')) {
    numbers.push(number);
    if (number === 30) stopping.abort();
  }
  // Without a gap, however much of what was sent before the break had arrived.
  expect(numbers.slice(0, 29)).toEqual(Array.from({ length: 29 }, (_, index) => index + 2));
  expect(server.asked).toEqual(['1', expect.stringMatching(/^[1-4]$/), '19']);
  expect(links.map((link) => (typeof link === 'string' ? link : 'BREAK'))).toEqual([
    ...['CONNECTED', 'BREAK', 'BACK', 'BREAK', 'BACK'],
  ]);
});

test('goes on from `since` where no place had come yet', async () => {
  await using server = await startCounting((connection) => (connection === 1 ? 'COMPLETE' : 'GO_ON'));
  const updates = follow<Count>(server.connection, {
    ...{ query: QUERY, variables: {}, after: null, since: '7' },
    ...{ signal: new AbortController().signal, onLink: () => {} },
  });
  expect((await updates.next()).value).toMatchObject({ number: 8 });
  expect(server.asked).toEqual([null, '7']);
  await updates.return();
});

test('ends where trying again cannot help', async () => {
  await using server = await startCounting((_, number) => (number === 3 ? 'REFUSE' : 'GO_ON'));
  const numbers: number[] = [];
  const reading = (async () => {
    for await (const { number } of read(server.connection, new AbortController().signal))
      numbers.push(number);
  })();
  await expect(reading).rejects.toThrow(ApiError);
  expect(numbers).toEqual([1, 2]);
});

test('ends at once where the first connection fails', async () => {
  const server = await startCounting(() => 'GO_ON');
  await server[Symbol.asyncDispose]();
  const updates = read(server.connection, new AbortController().signal);
  await expect(updates.next()).rejects.toThrow('Nothing answers');
});

test('reads no faster than its updates are used', async () => {
  // Large, so that the buffers of sockets hold few.
  await using server = await startCounting(() => 'GO_ON', 'x'.repeat(65_536));
  const stopping = new AbortController();
  const updates = read(server.connection, stopping.signal);
  await updates.next();
  let before = 0;
  let looks = 0;
  // It stands still when the count is the same at several looks.
  await until(() => {
    looks = server.sent() === before ? looks + 1 : 0;
    before = server.sent();
    return looks > 10;
  }, 'the server to wait');
  expect(server.sent()).toBeLessThan(1000);
  stopping.abort();
  await updates.return();
});
