/** One webhook, the way undici does it fastest: its low-level dispatch, one connection for each request in flight. */
import { type Dispatcher, Pool } from 'undici';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly ms: number;
}

export type Post = (id: string, body: string) => Promise<Answer>;

export interface Target {
  readonly url: string;
  readonly connections: number;
}

/** The headers of a signed webhook. The signature is no real one: it is the log that has to be alike. */
export function webhookHeaders(id: string): Record<string, string> {
  return {
    'content-type': 'application/json',
    'user-agent': 'contestant/1.0.0',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(Date.now() / 1000)),
    'webhook-signature': 'v1,wMi7qH6BBr13FZNdcNte/hm1P8QlgSJJ0g1x8kqTbR8=',
    traceparent: '00-019ee0a52c1b7d1183c4b5a697887960-73b65916a38a81c2-00',
  };
}

export function createPost({ url, connections }: Target): Post {
  const { origin, pathname } = new URL(url);
  const pool = new Pool(origin, { connections, pipelining: 1 });
  return (id, body) =>
    new Promise((resolve, reject) => {
      const startedAt = performance.now();
      const chunks: Buffer[] = [];
      let status = 0;
      let headers: Answer['headers'] = {};
      const handler: Dispatcher.DispatchHandler = {
        onRequestStart() {}, // undici insists
        onResponseStart(_controller, statusCode, received) {
          status = statusCode;
          headers = received;
        },
        onResponseData(_controller, chunk) {
          chunks.push(chunk);
        },
        onResponseEnd() {
          resolve({ status, headers, body: Buffer.concat(chunks), ms: performance.now() - startedAt });
        },
        onResponseError(_controller, error) {
          reject(error);
        },
      };
      pool.dispatch({ path: pathname, method: 'POST', headers: webhookHeaders(id), body }, handler);
    });
}
