/** GraphQL over HTTP: POST, GET and server-sent events on /graphql, for callers who are known already. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { useCSRFPrevention } from '@graphql-yoga/plugin-csrf-prevention';
import type { DocumentNode } from 'graphql';
import { createYoga } from 'graphql-yoga';
import type { Caller } from '../domain/caller.ts';
import { AppError } from '../domain/errors.ts';
import { readBody } from '../request-body.ts';
import { createBatcher } from '../store/batch.ts';
import { type EventRow, findEvents } from '../store/events.ts';
import { createBudget } from './budget.ts';
import type { GraphqlContext, ServerContext } from './context.ts';
import { createTranslate, STATUS_OF_CODE } from './errors.ts';
import { executionPlugin, type Stream } from './execution-plugin.ts';
import { createDocumentCache, errorSizePlugin, limitPlugin } from './limits.ts';
import { createLiveRows } from './live-rows.ts';
import { createLoaders } from './loaders.ts';
import { requestPlugin } from './request-plugin.ts';
import { schema } from './schema.ts';
import type { GraphqlServices } from './services.ts';
import { readTrace } from './trace.ts';
import { type AttachOptions, attachWebSocket, type WebSocketDoor } from './websocket.ts';

export interface Graphql {
  /** Answers an HTTP request to /graphql. Never rejects. */
  handle(req: IncomingMessage, res: ServerResponse, caller: Caller): Promise<void>;
  /** The same without a port. */
  fetch(request: Request, caller: Caller): Promise<Response>;
  /**
   * Ends the responses of subscriptions, without the word that says they are complete: clients reconnect, elsewhere.
   * Whoever comes later is sent away.
   */
  hangUp(): void;
  /** Answers graphql-transport-ws on the server's /graphql; every other upgrade is refused. */
  attach(options: AttachOptions): WebSocketDoor;
}

export function createGraphql(services: GraphqlServices): Graphql {
  const translate = createTranslate(services.log);
  const readQueued = createReadQueued(services);
  const live = createLiveRows(services.feed.db);
  const streams = new Set<Stream>();
  let closing = false;
  const contextOf = ({ caller, headers, deliver }: ServerContext): GraphqlContext => ({
    services,
    caller,
    live,
    readQueued,
    trace: readTrace(headers),
    deliver,
    patienceMs: 0,
    hasTested: false,
    loaders: createLoaders(services.db, createBudget()),
  });

  const yoga = createYoga<ServerContext, GraphqlContext>({
    schema,
    context: contextOf,
    graphqlEndpoint: '/graphql',
    plugins: [
      // A browser asks before it sends any of these across origins, or sends Authorization, which a form cannot.
      useCSRFPrevention({
        requestHeaders: ['authorization', 'x-graphql-yoga-csrf', 'apollo-require-preflight'],
      }),
      requestPlugin(),
      limitPlugin(),
      errorSizePlugin(),
      executionPlugin(translate, streams),
    ],
    parserAndValidationCache: {
      documentCache: createDocumentCache<DocumentNode>(),
      errorCache: createDocumentCache<unknown>(),
    },
    maskedErrors: { maskError: translate },
    logging: false,
    graphiql: false,
    landingPage: false,
    healthCheckEndpoint: '/graphql/health',
    cors: false,
    multipart: false,
    batching: false,
    // Bodies are read before yoga sees the request, see `readBody`.
    maxRequestBodySize: false,
  });

  return {
    async handle(req, res, caller) {
      try {
        if (closing && /text\/event-stream/.test(req.headers.accept ?? '')) {
          throw new AppError('UNAVAILABLE', 'this server is shutting down; connect to another one');
        }
        const body = req.method === 'POST' ? await readBody(req, services.maxBodyBytes) : null;
        await yoga(req, res, { caller, headers: req.headers, body, deliver: null });
      } catch (error) {
        // The client hung up: nobody to answer, and no fault of ours.
        if (!(error instanceof AppError) && req.destroyed && !req.complete) return;
        const { message, extensions } = translate(error);
        const code = String(extensions.code);
        sendError(res, STATUS_OF_CODE[code] ?? 400, code, message);
      }
    },
    async fetch(request, caller) {
      const body = request.method === 'POST' ? await request.text() : null;
      if (body !== null && Buffer.byteLength(body) > services.maxBodyBytes) {
        throw new AppError('TOO_LARGE', `expected a body of at most ${services.maxBodyBytes} bytes`);
      }
      return yoga.fetch(request, {
        caller,
        headers: Object.fromEntries(request.headers),
        body,
        deliver: null,
      });
    },
    hangUp() {
      closing = true;
      for (const stream of streams) stream.end();
    },
    attach: (options) =>
      attachWebSocket(options, {
        schema,
        services,
        translate,
        envelop: (context) => yoga.getEnveloped(context as never),
      }),
  };
}

/** Callers who queue at the same time read back what they queued in one statement. */
function createReadQueued({ db }: GraphqlServices): (id: string) => Promise<EventRow | null> {
  const batcher = createBatcher<string, EventRow | null>({
    flush: async (ids) => {
      const byId = new Map((await findEvents(db, ids)).map((row) => [row.id, row]));
      return ids.map((id) => byId.get(id) ?? null);
    },
    maxSize: 200,
    concurrency: 4,
    gatherMs: 2,
    maxWaiting: 20_000,
  });
  return (id) => batcher.add(id);
}

/** Answers in place of GraphQL, in GraphQL's form. */
export function sendError(res: ServerResponse, status: number, code: string, message: string): void {
  if (res.destroyed) return;
  const body = JSON.stringify({ errors: [{ message, extensions: { code } }] });
  // The rest of the request, if any, is not waited for.
  const headers = { 'content-type': 'application/json; charset=utf-8', connection: 'close' };
  res.writeHead(status, headers).end(body);
}
