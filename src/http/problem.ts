/** Errors of the REST endpoints: problem documents (RFC 9457) that legacy clients can read too (wire.md section 2). */
import type { ServerResponse } from 'node:http';
import type { AppError, AppErrorCode, Problem } from '../domain/errors.ts';
import { challenge } from './auth.ts';

/** The one table from our errors to HTTP. */
const STATUS: Readonly<Record<AppErrorCode, readonly [status: number, title: string]>> = {
  INVALID: [400, 'Bad Request'],
  UNAUTHENTICATED: [401, 'Unauthorized'],
  FORBIDDEN: [403, 'Forbidden'],
  NOT_FOUND: [404, 'Not Found'],
  CONFLICT: [422, 'Unprocessable Content'],
  TOO_LARGE: [413, 'Content Too Large'],
  RATE_LIMITED: [429, 'Too Many Requests'],
  TIMEOUT: [504, 'Gateway Timeout'],
  UNAVAILABLE: [503, 'Service Unavailable'],
};

/** Seconds a caller should wait before it tries again while the database is away. */
const RETRY_AFTER_SECONDS = 1;

export interface ProblemDocument {
  readonly status: number;
  readonly title: string;
  readonly code: string;
  readonly detail: string;
}

export function problemOf(error: AppError): ProblemDocument {
  const [status, title] = STATUS[error.code];
  return { status, title, code: error.code, detail: error.message };
}

/** Headers that belong to an error, whatever the form of its body. */
export function headersOf(error: AppError): Readonly<Record<string, string>> {
  const { code, scope, retryAfterMs } = error;
  if (code === 'UNAUTHENTICATED' || scope !== null) return { 'www-authenticate': challenge(error) };
  if (retryAfterMs !== null) return { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) };
  return code === 'UNAVAILABLE' || code === 'RATE_LIMITED'
    ? { 'retry-after': String(RETRY_AFTER_SECONDS) }
    : {};
}

/** The first of `problems` decides the status; the others are in the detail. */
export function problemOfInput(problems: readonly Problem[]): ProblemDocument {
  const [first] = problems;
  const detail = problems.map(({ message }) => message).join('; ');
  switch (first?.code) {
    case 'NOT_FOUND':
      return { status: 404, title: 'Not Found', code: 'NOT_FOUND', detail };
    case 'IDEMPOTENCY_IN_PROGRESS':
      return { status: 409, title: 'Conflict', code: first.code, detail };
    case 'IDEMPOTENCY_KEY_REUSED':
      return { status: 422, title: 'Unprocessable Content', code: first.code, detail };
    case 'TOO_LARGE':
      return first.field.at(-1) === 'data'
        ? { status: 413, title: 'Content Too Large', code: first.code, detail }
        : { status: 400, title: 'Bad Request', code: first.code, detail };
    default:
      return { status: 400, title: 'Bad Request', code: first?.code ?? 'INVALID', detail };
  }
}

/** Writes the document; `extra` members tell more, e.g. the id of what was stored before the error. */
export function sendProblem(
  res: ServerResponse,
  document: ProblemDocument,
  extra: object = {},
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = problemText(document, extra);
  res.writeHead(document.status, { 'content-type': 'application/problem+json', ...headers }).end(body);
}

/** `error` is for the Go SDK, which panics without a top-level string of that name. */
export function problemText(document: ProblemDocument, extra: object = {}): string {
  return JSON.stringify({ type: 'about:blank', ...document, error: document.detail, ...extra });
}
