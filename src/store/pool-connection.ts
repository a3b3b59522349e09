/**
 * One connection of a pool: used until it breaks, and never after. postgres.js would mend it, and its new connection
 * (3.4.9) takes over what the broken one was doing: the result after one that was cut off begins with as many holes; a
 * statement that was about to leave keeps it from ever saying hello; what a transaction asks for late is done outside of
 * it, and its ROLLBACK, sent before there is a new socket, is an uncaught error that ends the process.
 */
import type postgres from 'postgres';

/** What a connection has to know of postgres.js's options; the rest is its opener's. */
export interface ConnectionHooks {
  /** Called once it has closed, whoever closed it. */
  readonly onclose: () => void;
  /** Whether it has: then nothing is to be dialled any more. */
  readonly isClosed: () => boolean;
}

export interface PoolConnection {
  /** Statements under way. */
  pending(): number;
  isClosed(): boolean;
  /** Whether it ever answered. */
  hasAnswered(): boolean;
  /** Runs one statement. Rejects at once where the connection has closed. */
  run<T>(ask: (client: postgres.Sql) => PromiseLike<T>): Promise<T>;
  /** Closes it; what is under way fails. */
  close(): Promise<void>;
}

/** A client of one connection, not yet open: the first statement opens it. */
export function createPoolConnection(
  open: (hooks: ConnectionHooks) => postgres.Sql,
  onClosed: () => void,
): PoolConnection {
  const pending = new Set<(error: Error) => void>();
  let closed = false;
  let answered = false;
  const client = open({ onclose, isClosed: () => closed });

  function onclose(): void {
    if (closed) return;
    closed = true;
    // postgres.js rejects what it knows to be under way, with the better error; it forgets what came since the error,
    // and keeps what had not left yet for a new connection.
    setImmediate(() => {
      for (const reject of pending) reject(connectionError('CONNECTION_CLOSED'));
    });
    void client.end({ timeout: 0 }).catch(() => {});
    onClosed();
  }

  async function run<T>(ask: (client: postgres.Sql) => PromiseLike<T>): Promise<T> {
    if (closed) throw connectionError('CONNECTION_CLOSED');
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    pending.add(reject);
    try {
      ask(client).then(resolve, reject);
      const answer = await promise;
      answered = true;
      return answer;
    } finally {
      pending.delete(reject);
    }
  }

  return {
    pending: () => pending.size,
    isClosed: () => closed,
    hasAnswered: () => answered,
    run,
    async close() {
      if (closed) return;
      closed = true;
      onClosed();
      // In good order, unless somebody waits for what may never come.
      await client.end(pending.size === 0 ? {} : { timeout: 0 });
    },
  };
}

/** As postgres.js has them. */
export function connectionError(
  code: 'CONNECTION_CLOSED' | 'CONNECTION_DESTROYED' | 'CONNECTION_ENDED',
): Error {
  return Object.assign(new Error(`write ${code}`), { code });
}
