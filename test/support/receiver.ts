/** A real webhook receiver on loopback whose answer can change in the middle of a test. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { until } from './until.ts';

export interface Delivery {
  readonly headers: IncomingHttpHeaders;
  /** Exact bytes. */
  readonly body: Buffer;
  readonly text: string;
  readonly path: string;
  /** `performance.now()` and `Date.now()` when the request had arrived. */
  readonly at: number;
  readonly atEpochMs: number;
}

export type Answer = (delivery: Delivery, res: ServerResponse) => void;

export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly deliveries: readonly Delivery[];
  /** How the next requests are answered. */
  answer: Answer;
  /** Waits until `count` requests have come, and returns all. */
  received(count: number, timeoutMs?: number): Promise<readonly Delivery[]>;
}

export const status =
  (code: number, body = '', headers: Record<string, string> = {}): Answer =>
  (_, res) =>
    void res.writeHead(code, headers).end(body);

export const ok: Answer = status(200, '{"ok":true}', { 'content-type': 'application/json' });

export async function startReceiver(answer: Answer = ok): Promise<Receiver> {
  const deliveries: Delivery[] = [];
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const delivery = {
      headers: req.headers,
      body,
      text: body.toString(),
      path: req.url ?? '',
      at: performance.now(),
      atEpochMs: Date.now(),
    };
    deliveries.push(delivery);
    receiver.answer(delivery, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    deliveries,
    answer,
    received: (count, timeoutMs) =>
      until(() => deliveries.length >= count && deliveries, `delivery ${count}`, timeoutMs),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}
