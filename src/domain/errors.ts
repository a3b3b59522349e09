/**
 * The handful of ways a call can fail. Each transport has one table from these to its own codes
 * (`graphql/errors.ts`, `http/problem.ts`); whatever is not an AppError is our own fault, is masked, and is logged.
 */
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

  constructor(code: AppErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AppError';
    this.code = code;
  }
}

/** Herald cannot start. `message` is the whole explanation: one sentence that says what to do. */
export class StartupError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartupError';
  }
}
