/** GraphQL over WebSocket: the graphql-transport-ws protocol on /graphql. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { type ExecutionArgs, type ExecutionResult, GraphQLError, type GraphQLSchema } from 'graphql';
import {
  CloseCode,
  handleProtocols,
  makeServer,
  type ServerOptions,
  type SubscribePayload,
} from 'graphql-ws';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Caller } from '../domain/caller.ts';
import { AppError } from '../domain/errors.ts';
import { keepDigits } from '../domain/json.ts';
import type { ServerContext } from './context.ts';
import { graphqlError, shortened, type Translate, withoutInternals } from './errors.ts';
import type { GraphqlServices } from './services.ts';
import { createOutlet, type Outlet } from './websocket-outlet.ts';

export interface AttachOptions {
  readonly server: Server;
  /**
   * Who holds the token, which is bare, without `Bearer`; null where none was sent.
   * Errors: AppError UNAUTHENTICATED, RATE_LIMITED, UNAVAILABLE.
   */
  readonly authenticate: (token: string | null, req: IncomingMessage) => Promise<Caller>;
  /** Counts an operation of the caller's. Errors: AppError RATE_LIMITED. */
  readonly admit: (caller: Caller) => Promise<void>;
  /** Whether a page of the request's Origin may connect; requests without one are not browsers'. */
  readonly isOriginAllowed: (req: IncomingMessage) => boolean;
}

export interface WebSocketDoor {
  /**
   * Lets queries and mutations under way end, for a moment, closes every connection with 1012 (Service Restart), upon
   * which clients reconnect and subscribe again, and takes no more.
   */
  close(): Promise<void>;
}

export interface WebSocketDeps {
  readonly schema: GraphQLSchema;
  readonly services: GraphqlServices;
  readonly translate: Translate;
  /** Yoga's parse, validate, execute and subscribe, with all its plugins. */
  readonly envelop: (context: ServerContext & { readonly params: SubscribePayload }) => Enveloped;
}

interface Enveloped {
  readonly parse: (text: string) => ExecutionArgs['document'];
  readonly validate: (schema: GraphQLSchema, document: ExecutionArgs['document']) => readonly GraphQLError[];
  readonly contextFactory: () => unknown;
  readonly execute: (args: ExecutionArgs) => Promise<ExecutionResult>;
  readonly subscribe: (args: ExecutionArgs) => Promise<AsyncIterable<ExecutionResult> | ExecutionResult>;
}

/** Operations one connection may have at once. */
const MAX_OPERATIONS = 20;
/** Between pings, in ms; a connection that does not answer until the next one is dead. */
const PING_MS = 12_000;

/** Close codes (RFC 6455 section 7.4, IANA) after which clients connect again. */
const SERVICE_RESTART = 1012;
const TRY_AGAIN_LATER = 1013;
/** How long operations under way may take at the end, in ms. */
const LAST_WORK_MS = 2000;

/** Queries and mutations under way. */
interface Work {
  track<T>(operation: Promise<T>): Promise<T>;
  /** Resolves when there are none, or after a while. */
  ended(): Promise<void>;
}

function createWork(): Work {
  const running = new Set<Promise<unknown>>();
  return {
    track(operation) {
      running.add(operation);
      const leave = () => running.delete(operation);
      operation.then(leave, leave);
      return operation;
    },
    async ended() {
      if (running.size === 0) return;
      const timer = new AbortController();
      const late = pause(LAST_WORK_MS, undefined, { signal: timer.signal }).catch(() => {});
      await Promise.race([Promise.allSettled(running), late]);
      timer.abort();
      // Their answers go out before the end.
      await new Promise(setImmediate);
    },
  };
}

interface Extra {
  readonly request: IncomingMessage;
  readonly outlet: Outlet;
  /** Closes the connection because its token works no more. */
  readonly expel: () => void;
  caller: Caller | null;
  /** Ends the watching of the token. */
  unwatch: () => void;
}
type Params = Record<string, unknown>;

export function attachWebSocket(options: AttachOptions, deps: WebSocketDeps): WebSocketDoor {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: deps.services.maxBodyBytes,
    handleProtocols,
  });
  const work = createWork();
  const protocol = makeServer<Params, Extra>(protocolOptions(options, deps, work));
  let closing = false;

  const upgrade = (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (closing) refuse(socket, '503 Service Unavailable');
    else if (req.url?.split('?')[0] !== '/graphql') refuse(socket, '404 Not Found');
    else if (!options.isOriginAllowed(req)) refuse(socket, '403 Forbidden');
    else sockets.handleUpgrade(req, socket, head, (ws) => open(ws, req, socket));
  };

  function open(ws: WebSocket, request: IncomingMessage, socket: Duplex): void {
    const log = (error: unknown) => deps.services.log('warn', 'a WebSocket failed', { err: error });
    ws.on('error', log); // ws closes the connection itself, with the code that says why
    let alive = true;
    const pinging = setInterval(() => {
      if (!alive) return ws.terminate();
      alive = false;
      ws.ping();
    }, PING_MS);
    ws.on('pong', () => {
      alive = true;
    });
    const outlet = createOutlet(ws, socket);
    const extra: Extra = {
      request,
      outlet,
      expel: () => ws.close(CloseCode.Forbidden, 'Forbidden'),
      caller: null,
      unwatch: () => {},
    };
    const closed = protocol.opened(
      {
        protocol: ws.protocol,
        send: outlet.send,
        close: (code, reason) => ws.close(code, reason),
        onMessage: (receive) =>
          ws.on('message', (message) => {
            receive(String(message)).catch((error: unknown) => {
              log(error);
              const isAway = error instanceof AppError && error.code === 'UNAVAILABLE';
              if (isAway) ws.close(TRY_AGAIN_LATER, 'Try again later');
              else ws.close(CloseCode.InternalServerError, 'Internal server error');
            });
          }),
      },
      extra,
    );
    ws.once('close', (code, reason) => {
      clearInterval(pinging);
      extra.unwatch();
      closed(code, String(reason)).catch(log);
    });
  }

  options.server.on('upgrade', upgrade);
  return {
    async close() {
      closing = true;
      await work.ended();
      for (const ws of sockets.clients) ws.close(SERVICE_RESTART, 'Service restart');
      await Promise.all(Array.from(sockets.clients, untilClosed));
      sockets.close();
    },
  };
}

function protocolOptions(
  { authenticate, admit }: AttachOptions,
  { schema, translate, envelop }: WebSocketDeps,
  work: Work,
): ServerOptions<Params, Extra> {
  return {
    jsonMessageReviver: keepDigits,
    async onConnect({ connectionParams, extra }) {
      const token = tokenOf(connectionParams) ?? tokenOf({ ...extra.request.headers });
      try {
        extra.caller = await authenticate(token, extra.request);
      } catch (error) {
        // An outage closes with 1013; a refusal, of whatever kind, with 4403.
        if (error instanceof AppError && error.code !== 'UNAVAILABLE') return false;
        throw error;
      }
      extra.unwatch = extra.caller.watch(extra.expel);
      return true;
    },
    async onSubscribe({ extra, subscriptions }, id, params) {
      const { caller, request, outlet } = extra;
      if (caller === null) return [graphqlError('UNAUTHENTICATED', 'expected connection_init first')];
      if (Object.keys(subscriptions).length > MAX_OPERATIONS) {
        const message = `expected at most ${MAX_OPERATIONS} operations at once on one connection`;
        return [graphqlError('LIMIT_EXCEEDED', message)];
      }
      try {
        await admit(caller);
        const enveloped = envelop({
          ...{ caller, headers: request.headers, body: null, params },
          deliver: outlet.deliver(id),
        });
        const document = enveloped.parse(params.query);
        const errors = enveloped.validate(schema, document);
        if (errors.length > 0) return shortened(errors).map(withoutInternals);
        return {
          schema,
          document,
          operationName: params.operationName,
          variableValues: params.variables,
          contextValue: await enveloped.contextFactory(),
          enveloped,
        };
      } catch (error) {
        return [withoutInternals(parseFailure(error) ?? translate(error))];
      }
    },
    execute: (args) => work.track(envelopedOf(args).execute(args)),
    subscribe: (args) => envelopedOf(args).subscribe(args),
    onNext: (_context, _id, _payload, _args, result) =>
      result.errors && { ...result, errors: result.errors.map((error) => withoutInternals(error)) },
    onError: (_context, _id, _payload, errors) => {
      // graphql-ws wraps what a subscription throws; what was thrown is ours to translate.
      return errors.map((error) =>
        withoutInternals(error instanceof GraphQLError ? error : translate(error)),
      );
    },
  } as ServerOptions<Params, Extra>;
}

function envelopedOf(args: ExecutionArgs): Enveloped {
  return (args as ExecutionArgs & { readonly enveloped: Enveloped }).enveloped;
}

/** A syntax error, with the code that the HTTP door gives it. */
function parseFailure(error: unknown): GraphQLError | null {
  if (!(error instanceof GraphQLError) || error.extensions.code !== undefined) return null;
  return graphqlError('GRAPHQL_PARSE_FAILED', error.message);
}

/** The token in connection_init's payload or in the upgrade's headers, without `Bearer`. */
function tokenOf(given: Readonly<Record<string, unknown>> | undefined): string | null {
  const value = given?.authorization ?? given?.Authorization ?? given?.token;
  if (typeof value !== 'string') return null;
  const token = value.replace(/^Bearer(?:\s+|$)/i, '').trim();
  return token === '' ? null : token;
}

/** How long a client may take to answer the closing handshake, in ms. */
const CLOSE_MS = 1000;

function untilClosed(ws: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => ws.terminate(), CLOSE_MS);
    ws.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function refuse(socket: Duplex, status: string): void {
  socket.on('error', () => {});
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
