/** The HTTP server: who may enter, which door, and a close that leaves nobody hanging. */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Caller } from '../domain/caller.ts';
import { AppError, StartupError } from '../domain/errors.ts';
import type { Log } from '../log.ts';
import { describeError, translateDatabaseError } from '../store/database.ts';
import { type Authenticate, bearerToken } from './auth.ts';
import type { OriginPolicy } from './origin.ts';
import { problemOf, sendProblem } from './problem.ts';
import { handleQueue, type QueueHandlerDeps, type QueueRoute, queueRoute } from './queue.ts';

/** The doors behind the server that it does not know itself; app.ts hands them in. */
export interface Doors {
  readonly graphql: (req: IncomingMessage, res: ServerResponse, caller: Caller) => Promise<void> | void;
  readonly graphiql: (req: IncomingMessage, res: ServerResponse) => void;
  readonly queue: QueueHandlerDeps;
}

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  readonly authenticate: Authenticate;
  readonly origins: OriginPolicy;
  /** Null in a process without the role `api`: it answers health checks only. */
  readonly doors: Doors | null;
  /** Resolves when the database answers. */
  readonly checkDatabase: () => Promise<void>;
  readonly log: Log;
}

export interface HttpServer {
  readonly server: Server;
  /** `http://127.0.0.1:4000`. */
  readonly url: string;
  /** From now on `/readyz` says no, so that no new work is sent here. */
  drain(): void;
  /** Stops accepting, waits a moment for answers under way, then closes what is left. */
  close(): Promise<void>;
}

/** Milliseconds a client may take for its header, and for its whole request. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
/** Longer than the 60 s after which load balancers drop idle connections, so that they never reuse a closed one. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** How long answers under way may take after close(). */
const CLOSE_TIMEOUT_MS = 5000;

/** Errors: StartupError where the port is taken or the address is not ours. */
export async function startServer(options: ServerOptions): Promise<HttpServer> {
  let draining = false;
  const server = createServer(
    { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS },
    (req, res) => {
      answer(options, () => draining, req, res).catch((error: unknown) => sendError(options.log, res, error));
    },
  );
  server.keepAliveTimeout = KEEP_ALIVE_TIMEOUT_MS;
  await listen(server, options.host, options.port);
  const { port } = server.address() as AddressInfo;
  return {
    server,
    url: `http://${options.host.includes(':') ? `[${options.host.replace(/[[\]]/g, '')}]` : options.host}:${port}`,
    drain: () => {
      draining = true;
    },
    close: () => close(server),
  };
}

async function answer(
  options: ServerOptions,
  isDraining: () => boolean,
  req: IncomingMessage,
  res: ServerResponse,
) {
  const path = pathOf(req);
  if (path === '/livez') return void res.writeHead(200, TEXT).end('ok\n');
  if (path === '/readyz') return answerReady(options, isDraining(), res);
  const { doors, origins } = options;
  if (doors === null) throw new AppError('NOT_FOUND', 'this process has no API; its ROLES are worker only');
  if (isDraining()) throw new AppError('UNAVAILABLE', 'Herald is shutting down; try again');
  if (!origins.allows(req))
    throw new AppError('FORBIDDEN', 'the Host or Origin of this request is not allowed');
  if (origins.answerCors(req, res)) return;
  if (path === '/') return void res.writeHead(302, { location: '/graphql' }).end();
  if (path === '/graphql') return answerGraphql(options, doors, req, res);
  const route = queueRoute(path);
  if (route === null) throw new AppError('NOT_FOUND', `nothing is at ${path}`);
  return answerQueue(options, doors, route, req, res);
}

async function answerReady(options: ServerOptions, draining: boolean, res: ServerResponse): Promise<void> {
  if (draining) return void res.writeHead(503, TEXT).end('shutting down\n');
  try {
    await options.checkDatabase();
    res.writeHead(200, TEXT).end('ok\n');
  } catch {
    res.writeHead(503, TEXT).end('the database is not available\n');
  }
}

function answerGraphql(options: ServerOptions, doors: Doors, req: IncomingMessage, res: ServerResponse) {
  const asksForPage =
    req.method === 'GET' && req.headers.accept?.includes('text/html') && !req.url?.includes('?query=');
  if (asksForPage) return doors.graphiql(req, res);
  const caller = options.authenticate(bearerToken(req.headers.authorization));
  if (caller !== null) return doors.graphql(req, res, caller);
  const error = { message: UNAUTHENTICATED, extensions: { code: 'UNAUTHENTICATED' } };
  const headers = { 'content-type': 'application/json', 'www-authenticate': 'Bearer realm="herald"' };
  res.writeHead(401, headers).end(JSON.stringify({ errors: [error] }));
}

const UNAUTHENTICATED =
  'expected Authorization: Bearer <token>; the admin token is in the file admin-token of DATA_DIR, or as set in ADMIN_TOKEN';
const TEXT = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' };

async function answerQueue(
  options: ServerOptions,
  doors: Doors,
  route: QueueRoute,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  if (req.method !== 'POST') {
    const document = {
      status: 405,
      title: 'Method Not Allowed',
      code: 'INVALID',
      detail: `expected POST, got ${req.method}`,
    };
    res.setHeader('allow', 'POST');
    return sendProblem(res, document);
  }
  if (options.authenticate(bearerToken(req.headers.authorization)) === null) {
    throw new AppError('UNAUTHENTICATED', UNAUTHENTICATED);
  }
  if (!/^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(req.headers['content-type'] ?? '')) {
    const detail = 'expected Content-Type: application/json';
    return sendProblem(res, { status: 415, title: 'Unsupported Media Type', code: 'INVALID', detail });
  }
  await handleQueue(doors.queue, route, req, res);
}

function sendError(log: Log, res: ServerResponse, error: unknown): void {
  const translated = translateDatabaseError(error);
  if (res.headersSent) {
    res.destroy();
    return;
  }
  // What is left of a body that we refused to read is not worth reading.
  res.setHeader('connection', 'close');
  if (translated instanceof AppError) {
    sendProblem(res, problemOf(translated));
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

function pathOf(req: IncomingMessage): string {
  const [path = '/'] = (req.url ?? '/').split('?');
  return path;
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
