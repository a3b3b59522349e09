/** The HTTP server: limits on what comes in, errors on what goes out, and a close that leaves nobody hanging. */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { AppError, StartupError } from '../domain/errors.ts';
import type { Log } from '../log.ts';
import { describeError, translateDatabaseError } from '../store/database-errors.ts';
import { headersOf, problemOf, sendProblem } from './problem.ts';
import { refusalOf, refuseConnection, setAnswerHeaders } from './request-check.ts';
import { answer, type RouteOptions, type Stage } from './routes.ts';

export interface ServerOptions extends RouteOptions {
  readonly host: string;
  readonly port: number;
  /** Most connections open at once; further ones are dropped. */
  readonly maxConnections: number;
  readonly log: Log;
}

export interface HttpServer {
  readonly server: Server;
  /** `http://127.0.0.1:4000`. */
  readonly url: string;
  /** From now on `/readyz` says no, so that calls are sent elsewhere; those that come are answered, and hung up on. */
  leave(): void;
  /** From now on calls are refused. */
  drain(): void;
  /** Stops accepting, waits a moment for answers under way, then closes what is left. */
  close(): Promise<void>;
}

const LIMITS = {
  /** Milliseconds a client may take for its header, and for its whole request; and how often that is looked at. */
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  connectionsCheckingInterval: 2000,
  /** Bytes of request line and header. */
  maxHeaderSize: 16 * 1024,
};
/** A connection on which nothing moves for so long is closed: its client has stopped reading, or is gone. */
const IDLE_TIMEOUT_MS = 120_000;
/** Longer than the 60 s after which load balancers drop idle connections, so that they never reuse a closed one. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
const SAY_DROPPED_MS = 60_000;
/** How long answers under way may take after close(). */
const CLOSE_TIMEOUT_MS = 5000;

/** Errors: StartupError where the port is taken or the address is not ours. */
export async function startServer(options: ServerOptions): Promise<HttpServer> {
  let stage: Stage = 'OPEN';
  /** Answers under way by connection: behind one that has begun nothing else may be written. */
  const answering = new WeakMap<Duplex, Set<ServerResponse>>();
  const server = createServer(LIMITS, (req, res) => {
    const { socket } = req;
    const answers = answering.get(socket) ?? new Set();
    answering.set(socket, answers.add(res));
    res.once('close', () => answers.delete(res));
    setAnswerHeaders(res);
    if (stage !== 'OPEN') res.setHeader('connection', 'close');
    const refusal = refusalOf(req);
    if (refusal !== null) return sendProblem(res, refusal, {}, { connection: 'close' });
    answer(options, () => stage, req, res).catch((error: unknown) => sendError(options.log, req, res, error));
  });
  server.keepAliveTimeout = KEEP_ALIVE_TIMEOUT_MS;
  server.setTimeout(IDLE_TIMEOUT_MS);
  server.maxConnections = options.maxConnections;
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const [first, ...others] = answering.get(socket) ?? [];
    const begun = first?.headersSent === true || others.length > 0;
    if (error.code === 'ECONNRESET' || !socket.writable || begun) socket.destroy();
    else refuseConnection(error, socket);
  });
  server.on('drop', sayDropped(options));
  await listen(server, options.host, options.port);
  const { port } = server.address() as AddressInfo;
  return {
    server,
    url: `http://${options.host.includes(':') ? `[${options.host.replace(/[[\]]/g, '')}]` : options.host}:${port}`,
    leave: () => {
      stage = 'LEAVING';
    },
    drain: () => {
      stage = 'DRAINING';
    },
    close: () => close(server),
  };
}

function sendError(log: Log, req: IncomingMessage, res: ServerResponse, error: unknown): void {
  // The client hung up in the middle of its request: nobody to answer, and no fault of ours.
  if (!(error instanceof AppError) && req.destroyed && !req.complete) return;
  const translated = translateDatabaseError(error);
  if (res.headersSent) {
    res.destroy();
    return;
  }
  // What is left of a body that we refused to read is not worth reading.
  res.setHeader('connection', 'close');
  if (translated instanceof AppError) {
    sendProblem(res, problemOf(translated), {}, headersOf(translated));
    return;
  }
  const requestId = randomUUID();
  log('error', 'request failed', {
    requestId,
    error: describeError(error),
  });
  const detail = `an unexpected error; its details are in the log under request id ${requestId}`;
  sendProblem(res, { status: 500, title: 'Internal Server Error', code: 'INTERNAL_SERVER_ERROR', detail });
}

/** One line a minute at most, however many are turned away. */
function sayDropped({ log, maxConnections }: ServerOptions): () => void {
  let saidAt = Number.NEGATIVE_INFINITY;
  return () => {
    if (performance.now() - saidAt < SAY_DROPPED_MS) return;
    saidAt = performance.now();
    log('warn', 'connections are being dropped: MAX_CONNECTIONS are open', { maxConnections });
  };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, host.replace(/[[\]]/g, ''), resolve);
  try {
    await promise;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EADDRINUSE') {
      throw new StartupError(`Port ${port} on ${host} is taken by another program; set PORT to a free one.`, {
        cause: error,
      });
    }
    if (code === 'EACCES')
      throw new StartupError(`Port ${port} needs privileges; set PORT to one above 1023.`, { cause: error });
    throw new StartupError(
      `Cannot listen on HOST=${host}: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  }
  server.off('error', reject);
}

async function close(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS);
  await promise;
  clearTimeout(timer);
}
