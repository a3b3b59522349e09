/** What callers hear of errors: one table of codes, and for everything unknown a request id to find the log line by. */
import { randomUUID } from 'node:crypto';
import { GraphQLError } from 'graphql';
import { AppError, type AppErrorCode } from '../domain/errors.ts';
import { translateDatabaseError } from '../store/database-errors.ts';
import type { GraphqlServices } from './services.ts';

export type ErrorCode =
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'BAD_USER_INPUT'
  | 'GRAPHQL_PARSE_FAILED'
  | 'GRAPHQL_VALIDATION_FAILED'
  | 'LIMIT_EXCEEDED'
  | 'RATE_LIMITED'
  | 'PAYLOAD_TOO_LARGE'
  | 'UNAVAILABLE'
  | 'INTERNAL_SERVER_ERROR';

const CODES: Readonly<Record<AppErrorCode, ErrorCode>> = {
  INVALID: 'BAD_USER_INPUT',
  UNAUTHENTICATED: 'UNAUTHENTICATED',
  FORBIDDEN: 'FORBIDDEN',
  NOT_FOUND: 'BAD_USER_INPUT',
  CONFLICT: 'BAD_USER_INPUT',
  TOO_LARGE: 'PAYLOAD_TOO_LARGE',
  RATE_LIMITED: 'RATE_LIMITED',
  TIMEOUT: 'UNAVAILABLE',
  UNAVAILABLE: 'UNAVAILABLE',
};

/** HTTP status of an answer that holds no data for the error's sake. Where there are data, it is 200. */
export const STATUS_OF_CODE: Readonly<Partial<Record<string, number>>> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  PAYLOAD_TOO_LARGE: 413,
  RATE_LIMITED: 429,
  UNAVAILABLE: 503,
  INTERNAL_SERVER_ERROR: 500,
};

/** An error with a code of ours, for what GraphQL itself has to refuse. */
export function graphqlError(code: ErrorCode, message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code } });
}

/** Turns whatever was thrown into what the caller hears; logs it, once, where the fault is ours. */
export type Translate = (error: unknown) => GraphQLError;

export function createTranslate(log: GraphqlServices['log']): Translate {
  const translated = new WeakSet<GraphQLError>();
  return (error) => {
    if (error instanceof GraphQLError && translated.has(error)) return error;
    const heard = translate(error, log);
    translated.add(heard);
    return heard;
  };
}

function translate(error: unknown, log: GraphqlServices['log']): GraphQLError {
  const cause = translateDatabaseError(rootCause(error));
  if (cause instanceof AppError) return located(error, cause.message, extensionsOf(cause));
  if (error instanceof GraphQLError && cause instanceof GraphQLError) {
    const code = codeOf(error);
    if (code !== null) return located(error, error.message, { ...error.extensions, code });
  }
  const requestId = randomUUID();
  log('error', 'unexpected error in GraphQL', {
    requestId,
    err: withoutParameters(cause),
    path: pathOf(error),
  });
  return located(error, 'Unexpected error', { code: 'INTERNAL_SERVER_ERROR', requestId, unexpected: true });
}

function extensionsOf({ code, retryAfterMs, scope }: AppError): Record<string, unknown> {
  return {
    code: CODES[code],
    ...(retryAfterMs !== null && { retryAfterMs: Math.ceil(retryAfterMs) }),
    ...(scope !== null && { scope }),
  };
}

/** The error behind those that GraphQL wraps around it to say where it happened. */
function rootCause(error: unknown): unknown {
  let cause = error;
  while (cause instanceof GraphQLError && cause.originalError !== undefined) cause = cause.originalError;
  return cause;
}

/** A failed statement without its values, which hold what callers sent. */
function withoutParameters(error: unknown): unknown {
  const isStatement = error instanceof Error && 'params' in error && error.cause instanceof Error;
  return isStatement ? error.cause : error;
}

/** The code of an error that GraphQL or yoga made; null where it is a fault of ours in disguise. */
function codeOf(error: GraphQLError): ErrorCode | null {
  const { code, http } = error.extensions as { code?: string; http?: { status?: number } };
  switch (code) {
    case undefined:
      break;
    case 'BAD_REQUEST':
    case 'OPERATION_RESOLUTION_FAILURE':
      return 'BAD_USER_INPUT';
    default:
      return code as ErrorCode;
  }
  if (http?.status === 403) return 'FORBIDDEN';
  if (error.path === undefined) return 'BAD_USER_INPUT';
  // While fields are executed GraphQL itself complains of arguments, or of what our resolvers gave it.
  return error.message.startsWith('Argument "') ? 'BAD_USER_INPUT' : null;
}

function located(error: unknown, message: string, extensions: Record<string, unknown>): GraphQLError {
  if (!(error instanceof GraphQLError)) return new GraphQLError(message, { extensions });
  // Without a path it is the request that is at fault; `spec` leaves 200 to clients of the old media type.
  const isRequest = error.path === undefined && extensions.unexpected === undefined;
  const http = isRequest && { http: { status: 400, spec: true } };
  return new GraphQLError(message, { ...placeOf(error), extensions: { ...http, ...extensions } });
}

function placeOf({ nodes, source, positions, path }: GraphQLError) {
  return { nodes: nodes ?? null, source: source ?? null, positions: positions ?? null, path: path ?? null };
}

function pathOf(error: unknown): string | undefined {
  return error instanceof GraphQLError ? error.path?.join('.') : undefined;
}

/** Characters of a message: GraphQL quotes what it was given, fifty times over where there are fifty mistakes in it. */
const MAX_MESSAGE_LENGTH = 1000;

/** `errors` with messages of bounded length. */
export function shortened(errors: readonly GraphQLError[]): readonly GraphQLError[] {
  if (errors.every(({ message }) => message.length <= MAX_MESSAGE_LENGTH)) return errors;
  return errors.map((error) => {
    if (error.message.length <= MAX_MESSAGE_LENGTH) return error;
    const message = `${error.message.slice(0, MAX_MESSAGE_LENGTH)}…`;
    return new GraphQLError(message, { ...placeOf(error), extensions: error.extensions });
  });
}

/** What may leave the house: extensions that are only meant for the HTTP layer are taken out. */
export function withoutInternals(error: GraphQLError): GraphQLError {
  const { http: _http, unexpected: _unexpected, ...extensions } = error.extensions;
  return new GraphQLError(error.message, { ...placeOf(error), extensions });
}
