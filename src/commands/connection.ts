/** The Herald that a command talks to: where it is, with which token, and what it answers. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isLoopbackHost } from '../domain/address.ts';
import { StartupError } from '../domain/errors.ts';
import { VERSION } from '../version.ts';
import { type CommandCall, type CommandOption, UsageError } from './command.ts';
import { textOf } from './options.ts';

export const CONNECTION_OPTIONS = {
  url: {
    type: 'string',
    value: '<url>',
    meaning: 'where Herald is [HERALD_URL, http://127.0.0.1:4000]',
  },
  token: {
    type: 'string',
    value: '<token>',
    meaning: 'admin token, API key or JWT [HERALD_TOKEN; for a Herald on this machine DATA_DIR/admin-token]',
  },
} as const satisfies Record<string, CommandOption>;

export interface Connection {
  /** Without a slash at its end. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Runs a query or mutation. Errors: ApiError. */
  ask<T>(query: string, variables?: object): Promise<T>;
  /** An answer that is not what was asked for, in words. */
  refusal(status: number, body: string): ApiError;
  /** That nobody answered, in words. */
  away(cause: unknown): ApiError;
  /** GraphQL's errors in words. */
  failure(errors: readonly GraphqlError[]): ApiError;
}

export interface GraphqlError {
  readonly message: string;
  readonly extensions?: { readonly code?: string; readonly scope?: string };
}

/** Herald cannot be reached, or does not do what was asked. */
export class ApiError extends StartupError {
  /** Of GraphQL's `extensions.code`; null where the answer was none of GraphQL's. */
  readonly code: string | null;
  /** Whether the same may succeed later. */
  readonly isPassing: boolean;

  constructor(message: string, { code = null, isPassing = false }: Partial<ApiError> = {}) {
    super(message);
    this.code = code;
    this.isPassing = isPassing;
  }
}

const DEFAULT_URL = 'http://127.0.0.1:4000';
/** Longer than any answer of Herald's may take: 10 s, and 50 s more where it tests a trigger. */
const ANSWER_TIMEOUT_MS = 75_000;

/** Looks up where and with which token; nothing is sent yet. Errors: UsageError. */
export async function connect({ options, env, stopSignal }: CommandCall): Promise<Connection> {
  const url = readUrl(textOf(options, 'url') ?? (env.HERALD_URL || DEFAULT_URL));
  const token = await findToken(options, env, new URL(url).hostname);
  const signal = stopSignal();
  const headers = token === null ? {} : { authorization: `Bearer ${token.value}` };
  const where = `Herald at ${url}`;

  const failure = (errors: readonly GraphqlError[]): ApiError => {
    const code = errors[0]?.extensions?.code ?? null;
    const message = errors.map((error) => error.message).join('; ');
    switch (code) {
      case 'UNAUTHENTICATED':
        return new ApiError(`${where} does not know who calls: ${message}.\n${adviceOn(token)}`, { code });
      case 'FORBIDDEN':
        return new ApiError(`${where} does not allow this to the token ${token?.from ?? ''}: ${message}`, {
          code,
        });
      case 'GRAPHQL_VALIDATION_FAILED':
        return new ApiError(
          `${where} does not know what this command asks for; is it older than ${VERSION}? It says: ${message}`,
          { code },
        );
      default: {
        const isPassing =
          code === 'UNAVAILABLE' || code === 'RATE_LIMITED' || code === 'INTERNAL_SERVER_ERROR';
        return new ApiError(`${where} says: ${message}`, { code, isPassing });
      }
    }
  };

  const refusal = (status: number, body: string): ApiError => {
    const errors = errorsIn(body);
    if (errors !== null) return failure(errors);
    const isPassing = status >= 500 || status === 429;
    return new ApiError(`${url} answers ${status}, and not as Herald does. Is --url right?`, { isPassing });
  };

  const away = (cause: unknown): ApiError => {
    const isLate = cause instanceof Error && cause.name === 'TimeoutError';
    const message = isLate
      ? `${where} did not answer within ${ANSWER_TIMEOUT_MS / 1000} s; what was asked for may still be done.`
      : `Nothing answers at ${url} (${reasonOf(cause)}). Is Herald running? \`npm start\` starts it; --url or HERALD_URL say where it is.`;
    return new ApiError(message, { isPassing: true });
  };

  return {
    url,
    headers,
    refusal,
    away,
    failure,
    async ask<T>(query: string, variables: object = {}): Promise<T> {
      const { status, text } = await post(`${url}/graphql`, headers, { query, variables }, signal).catch(
        (error: unknown) => {
          throw away(error);
        },
      );
      const answer = parseObject(text);
      if (answer === null || errorsIn(text) !== null || answer.data == null) throw refusal(status, text);
      return answer.data as T;
    },
  };
}

async function post(
  url: string,
  headers: Connection['headers'],
  body: object,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
  });
  return { status: response.status, text: await response.text() };
}

function readUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '') {
    throw new UsageError(`--url: expected a URL such as ${DEFAULT_URL}, got ${JSON.stringify(text)}`);
  }
  return url.origin + url.pathname.replace(/(?:\/graphql)?\/*$/, '');
}

interface Token {
  readonly value: string;
  readonly from: string;
}

async function findToken(
  options: CommandCall['options'],
  env: CommandCall['env'],
  host: string,
): Promise<Token | null> {
  const given = textOf(options, 'token');
  if (given !== null) return checked({ value: given, from: '--token' });
  if (env.HERALD_TOKEN) return checked({ value: env.HERALD_TOKEN, from: 'HERALD_TOKEN' });
  // The admin token of the Herald on this machine is nobody else's business.
  if (!isLoopbackHost(host)) return null;
  if (env.ADMIN_TOKEN) return checked({ value: env.ADMIN_TOKEN, from: 'ADMIN_TOKEN' });
  const path = join(env.DATA_DIR || '.herald', 'admin-token');
  const text = await readFile(path, 'utf8').catch(() => null);
  return text === null ? null : checked({ value: text.trim(), from: path });
}

function checked(token: Token): Token {
  if (!/^[\x21-\x7e]+$/.test(token.value)) {
    throw new UsageError(`expected the token of ${token.from} to be visible ASCII characters without spaces`);
  }
  return token;
}

function adviceOn(token: Token | null): string {
  return token === null
    ? 'No token was found: give one with --token or HERALD_TOKEN, or run this where DATA_DIR is.'
    : `The token came from ${token.from}; give another one with --token or HERALD_TOKEN.`;
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return value instanceof Object ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function errorsIn(text: string): readonly GraphqlError[] | null {
  const errors = parseObject(text)?.errors;
  return Array.isArray(errors) && errors.length > 0 ? (errors as GraphqlError[]) : null;
}

/** fetch hides why in a chain of causes. */
function reasonOf(error: unknown): string {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  if (!(cause instanceof Error)) return String(cause);
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : null;
  switch (code) {
    case 'ECONNREFUSED':
      return 'connection refused';
    case 'ENOTFOUND':
      return 'no such host';
    default:
      return cause.message || code || 'unknown reason';
  }
}

/** What was wrong with a mutation's input, as it answers. */
export type UserErrors = readonly { readonly field: readonly string[] | null; readonly message: string }[];

/**
 * Runs a mutation, `selection` being what is asked of its payload beside the errors. Errors: ApiError with what was
 * wrong.
 */
export async function mutate<Payload extends object>(
  connection: Connection,
  mutation: string,
  selection: string,
  input: object,
): Promise<Payload> {
  const inputType = `${mutation[0]?.toUpperCase()}${mutation.slice(1)}Input`;
  const answer = await connection.ask<Record<string, Payload & { readonly userErrors: UserErrors }>>(
    `mutation ($input: ${inputType}!) { ${mutation}(input: $input) { ${selection} userErrors { field message } } }`,
    { input },
  );
  const payload = answer[mutation];
  if (payload === undefined) throw new ApiError(`Herald did not answer ${mutation}.`);
  throwUserErrors(payload.userErrors);
  return payload;
}

/** The problems of a mutation's answer as one error, e.g. `url: expected …`. */
function throwUserErrors(userErrors: UserErrors): void {
  if (userErrors.length === 0) return;
  const lines = userErrors.map(({ field, message }) => {
    const place = field?.slice(1).join('.') ?? '';
    // What was named by its id is what the message is about.
    return place === '' || place === 'id' || message.includes(place) ? message : `${place}: ${message}`;
  });
  throw new ApiError(`Herald refuses this: ${lines.join('\n  ')}`);
}
