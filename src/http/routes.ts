/** From a request to the door that answers it: may this browser's page come here, who is calling, may they. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Caller, mayCaller, seesProject } from '../domain/caller.ts';
import { AppError } from '../domain/errors.ts';
import { type Authenticate, bearerToken } from './auth.ts';
import { type Console, isConsolePath } from './console.ts';
import type { Metrics } from './metrics.ts';
import type { OriginPolicy } from './origin.ts';
import { headersOf, problemOf, sendProblem } from './problem.ts';
import { handleQueue, type QueueHandlerDeps, type QueueRoute, queueRoute } from './queue.ts';

/** The doors behind the server that it does not know itself; app.ts hands them in. */
export interface Doors {
  readonly graphql: (req: IncomingMessage, res: ServerResponse, caller: Caller) => Promise<void> | void;
  readonly graphiql: (req: IncomingMessage, res: ServerResponse) => void;
  readonly queue: QueueHandlerDeps;
  readonly console: Console;
}

export interface RouteOptions {
  readonly authenticate: Authenticate;
  readonly origins: OriginPolicy;
  /** Null in a process without the role `api`: it answers health checks and says its metrics. */
  readonly doors: Doors | null;
  readonly metrics: Metrics;
  /** Resolves when the database answers. */
  readonly checkDatabase: () => Promise<void>;
}

/** LEAVING says that it is not ready and still answers; DRAINING answers nothing but health checks. */
export type Stage = 'OPEN' | 'LEAVING' | 'DRAINING';

/** Errors: AppError, for the server to turn into a problem document. */
export async function answer(
  options: RouteOptions,
  stage: () => Stage,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const [path = '/'] = (req.url ?? '/').split('?');
  if (path === '/livez') return void res.writeHead(200, TEXT).end('ok\n');
  if (path === '/readyz') return answerReady(options, stage(), res);
  const { doors, origins } = options;
  if (doors === null && path !== '/metrics') {
    throw new AppError('NOT_FOUND', 'this process has no API; its ROLES are worker only');
  }
  if (stage() === 'DRAINING') throw new AppError('UNAVAILABLE', 'Herald is shutting down; try again');
  if (!origins.allows(req)) {
    throw new AppError(
      'FORBIDDEN',
      'the Host or Origin of this request is not allowed (ALLOWED_HOSTS, CORS_ORIGINS)',
    );
  }
  if (origins.answerCors(req, res)) return;
  if (doors === null || path === '/metrics') return answerMetrics(options, req, res);
  if (isConsolePath(path)) return doors.console.handle(req, res, path);
  if (path === '/graphql') return answerGraphql(options, doors, req, res);
  const route = queueRoute(path);
  if (route === null) throw new AppError('NOT_FOUND', `nothing is at ${path}`);
  return answerQueue(options, doors, route, req, res);
}

const TEXT = { 'content-type': 'text/plain; charset=utf-8' };

async function answerReady(options: RouteOptions, stage: Stage, res: ServerResponse): Promise<void> {
  if (stage !== 'OPEN') return void res.writeHead(503, TEXT).end('shutting down\n');
  try {
    await options.checkDatabase();
    res.writeHead(200, TEXT).end('ok\n');
  } catch {
    res.writeHead(503, TEXT).end('the database is not available\n');
  }
}

async function answerMetrics(
  { authenticate, metrics }: RouteOptions,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  if (req.method !== 'GET') return refuseMethod(req, res, 'GET');
  await metrics(res, await authenticate(bearerToken(req.headers.authorization), req));
}

function refuseMethod(req: IncomingMessage, res: ServerResponse, allow: 'GET' | 'POST'): void {
  const detail = `expected ${allow}, got ${req.method}`;
  const document = { status: 405, title: 'Method Not Allowed', code: 'INVALID', detail };
  sendProblem(res, document, {}, { allow });
}

async function answerGraphql(
  { authenticate }: RouteOptions,
  doors: Doors,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const asksForPage =
    req.method === 'GET' && req.headers.accept?.includes('text/html') && !req.url?.includes('?query=');
  if (asksForPage) return doors.graphiql(req, res);
  let caller: Caller;
  try {
    caller = await authenticate(bearerToken(req.headers.authorization), req);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return refuseGraphql(res, error);
  }
  return doors.graphql(req, res, caller);
}

/** In GraphQL's form, whose clients read no problem documents. */
function refuseGraphql(res: ServerResponse, error: AppError): void {
  const { status } = problemOf(error);
  const { code, message, retryAfterMs } = error;
  const extensions = { code, ...(retryAfterMs !== null && { retryAfterMs: Math.ceil(retryAfterMs) }) };
  // What is left of the body is not worth reading.
  const headers = { 'content-type': 'application/json', connection: 'close', ...headersOf(error) };
  res.writeHead(status, headers).end(JSON.stringify({ errors: [{ message, extensions }] }));
}

async function answerQueue(
  { authenticate }: RouteOptions,
  doors: Doors,
  route: QueueRoute,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  if (req.method !== 'POST') return refuseMethod(req, res, 'POST');
  mayQueue(await authenticate(bearerToken(req.headers.authorization), req), route);
  // Also what keeps a form of another site out: a browser asks before it sends JSON across origins.
  if (!/^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(req.headers['content-type'] ?? '')) {
    const detail = 'expected Content-Type: application/json';
    return sendProblem(res, { status: 415, title: 'Unsupported Media Type', code: 'INVALID', detail });
  }
  await handleQueue(doors.queue, route, req, res);
}

/** Says nothing of whether a project that is not the caller's exists. */
function mayQueue(caller: Caller, { project }: QueueRoute): void {
  if (!mayCaller(caller, 'EVENTS_WRITE')) {
    const message = 'this call needs a token with scope EVENTS_WRITE';
    throw new AppError('FORBIDDEN', message, { scope: 'EVENTS_WRITE' });
  }
  if (!seesProject(caller, project)) {
    throw new AppError('FORBIDDEN', `this token is not for project ${JSON.stringify(project)}`);
  }
}
