/**
 * The handful of ways a call can fail. Each transport has one table from these to its own codes
 * (`graphql/errors.ts`, `http/problem.ts`); whatever is not an AppError is our own fault, is masked, and is logged.
 */
import type { Scope } from './caller.ts';

export type AppErrorCode =
  | 'INVALID'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'TOO_LARGE'
  | 'RATE_LIMITED'
  | 'TIMEOUT'
  | 'UNAVAILABLE';

/** A failure the caller can do something about. `message` names what was expected and what came. */
export class AppError extends Error {
  readonly code: AppErrorCode;
  /** After how many milliseconds the call may be repeated; null where waiting does not help, or nobody knows. */
  readonly retryAfterMs: number | null;
  /** The scope that a FORBIDDEN caller lacks, if that is why. */
  readonly scope: Scope | null;

  constructor(code: AppErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options);
    this.name = 'AppError';
    this.code = code;
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.scope = options.scope ?? null;
  }
}

export interface AppErrorOptions extends ErrorOptions {
  readonly retryAfterMs?: number;
  readonly scope?: Scope;
}

/** Herald cannot start. `message` is the whole explanation: one sentence that says what to do. */
export class StartupError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartupError';
  }
}

/** Codes of `UserError` in the GraphQL schema; REST shows them as `code` of a problem document. */
export const PROBLEM_CODES = [
  'INVALID',
  'REQUIRED',
  'TOO_LARGE',
  'TAKEN',
  'NOT_FOUND',
  'VERSION_CONFLICT',
  'WRONG_STATE',
  'URL_SCHEME_NOT_ALLOWED',
  'URL_ADDRESS_FORBIDDEN',
  'HEADER_NOT_ALLOWED',
  'IDEMPOTENCY_KEY_REUSED',
  'IDEMPOTENCY_IN_PROGRESS',
  'LIMIT_EXCEEDED',
] as const;
export type ProblemCode = (typeof PROBLEM_CODES)[number];

/** Something wrong with one value of an input. The operation had no effect. */
export interface Problem {
  /** Path below the operation's input, e.g. `['url']` or `['events', '3', 'type']`. */
  readonly field: readonly string[];
  readonly code: ProblemCode;
  readonly message: string;
}

/** What a use case answers: its value, or everything that was wrong with what it was given. */
export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export const succeed = <T>(value: T): Result<T> => ({ ok: true, value });
export const fail = (...problems: readonly Problem[]): Result<never> => ({ ok: false, problems });
export const problem = (field: string | readonly string[], code: ProblemCode, message: string): Problem => ({
  field: typeof field === 'string' ? [field] : field,
  code,
  message,
});
