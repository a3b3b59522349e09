import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import type { EgressPolicy } from '../../src/domain/address.ts';
import type { Header, WebhookRequest } from '../../src/domain/attempt.ts';
import { createSender, type Sender, type SenderOptions } from '../../src/webhook/send.ts';
import { TEST_CERT, TEST_KEY } from '../support/tls.ts';

export const PRIVATE: EgressPolicy = { mode: 'private', allowCidrs: [] };
export const PUBLIC: EgressPolicy = { mode: 'public', allowCidrs: [] };

/** A listening receiver on loopback. */
export interface Receiver extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:<port>/hook`, or https. */
  readonly url: string;
  /** How many connections were accepted so far. */
  readonly connections: number;
}

/** Answers the way the listener says. */
export function httpReceiver(listener: RequestListener): Promise<Receiver> {
  return listening(createHttpServer(listener), 'http');
}

export function httpsReceiver(listener: RequestListener, cert = TEST_CERT): Promise<Receiver> {
  return listening(createHttpsServer({ key: TEST_KEY, cert }, listener), 'https');
}

/** Does whatever it likes with each connection. */
export function rawReceiver(onConnection: (socket: Socket) => void): Promise<Receiver> {
  return listening(createTcpServer(onConnection), 'http');
}

/** Sends this text, whatever comes, once a request begins to arrive; the connection stays open. */
export function scripted(text: string): Promise<Receiver> {
  return rawReceiver((socket) => socket.once('data', () => socket.write(text, 'latin1')));
}

/** A port of loopback that nothing listens on. */
export async function unusedPort(): Promise<number> {
  await using receiver = await rawReceiver(() => {});
  return receiver.port;
}

export type DisposableSender = Sender & AsyncDisposable;

export function testSender(options: Partial<SenderOptions> = {}): DisposableSender {
  const sender = createSender({ policy: PRIVATE, ...options });
  return Object.assign(sender, { [Symbol.asyncDispose]: () => sender.close() });
}

export function webhook(url: string, parts: Partial<WebhookRequest> = {}): WebhookRequest {
  const headers: Header[] = [['content-type', 'application/json']];
  return { url, headers, body: Buffer.from('{"specversion":"1.0-rc1"}'), timeoutMs: 5_000, ...parts };
}

async function listening(server: Server, scheme: string): Promise<Receiver> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
  return {
    port: address.port,
    url: `${scheme}://127.0.0.1:${address.port}/hook`,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
