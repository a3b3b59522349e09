/** A TCP proxy in front of a test's Postgres that can go silent: connections stay open, and nothing passes any more. */

import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';
import type { TestDatabase } from './database.ts';

export interface Proxy extends AsyncDisposable {
  /** As `DATABASE_URL`. */
  readonly url: string;
  /** While true, bytes in both directions are swallowed, of old connections and of new ones. */
  silent: boolean;
  /** Resets every open connection. */
  reset(): void;
}

export async function startProxy(database: TestDatabase): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const nears = new Set<Socket>();
  const server = createServer((near) => {
    nears.add(near);
    near.on('close', () => nears.delete(near));
    const far = connect(`${database.host}/.s.PGSQL.${database.port}`);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk) => {
        if (!proxy.silent) to.write(chunk);
      });
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        // A connection that was cut off stays so on the server's side: it never hears of the end.
        if (!proxy.silent) to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const proxy: Proxy = {
    url: `postgres://${database.user}@127.0.0.1:${port}/${database.database}`,
    silent: false,
    reset() {
      for (const socket of nears) socket.resetAndDestroy();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
