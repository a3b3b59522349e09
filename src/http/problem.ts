/** Errors of the REST endpoints: problem documents (RFC 9457) that legacy clients can read too (wire.md section 2). */
import type { ServerResponse } from 'node:http';
import type { AppError, AppErrorCode, Problem } from '../domain/errors.ts';

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

/** The first of `problems` decides the status; the others are in the detail. */
export function problemOfInput(problems: readonly Problem[]): ProblemDocument {
  const [first] = problems;
  const detail = problems.map(({ message }) => message).join('; ');
  switch (first?.code) {
    case 'NOT_FOUND':
      return { status: 404, title: 'Not Found', code: 'NOT_FOUND', detail };
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
export function sendProblem(res: ServerResponse, document: ProblemDocument, extra: object = {}): void {
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' };
  if (document.status === 401) headers['www-authenticate'] = 'Bearer realm="herald"';
  if (document.status === 503 || document.status === 429)
    headers['retry-after'] = String(RETRY_AFTER_SECONDS);
  // `error` is for the Go SDK, which panics without a top-level string of that name.
  const body = { type: 'about:blank', ...document, error: document.detail, ...extra };
  res.writeHead(document.status, headers).end(JSON.stringify(body));
}
