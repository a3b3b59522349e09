/** What an error of the database says, whichever library wraps it: for callers, for the log, for whether to try again. */
import { AppError } from '../domain/errors.ts';

/** How often a transaction that lost to another one (40001, 40P01) is run again before the caller hears of it. */
const CONFLICT_RETRIES = 3;

/** Runs `work`, one statement or one whole transaction, again where it lost against a concurrent one. */
export async function repeatingConflicts<T>(work: () => Promise<T>): Promise<T> {
  for (let retry = 0; ; retry++) {
    try {
      return await work();
    } catch (error) {
      const lost = ['40001', '40P01'].includes(sqlState(error) ?? '');
      if (!lost || retry === CONFLICT_RETRIES) throw error;
    }
  }
}

/** The SQLSTATE or connection code behind an error of drizzle's or postgres.js's. */
export function sqlState(error: unknown): string | undefined {
  return fieldOfCause(error, 'code');
}

/** Name of the constraint an error is about. */
export function constraintOf(error: unknown): string | undefined {
  return fieldOfCause(error, 'constraint_name');
}

/** The first text called `field` on an error or what caused it: drizzle wraps the driver's errors. */
function fieldOfCause(error: unknown, field: string): string | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const value: unknown = Reflect.get(cause, field);
    if (typeof value === 'string') return value;
  }
  return undefined;
}

/** What is behind an error of drizzle's, whose own message is the statement with its parameters. */
export function rootOf(error: unknown): unknown {
  let root = error;
  while (root instanceof Error && root.cause instanceof Error) root = root.cause;
  return root;
}

/** An error for the log: drizzle's message holds the statement's parameters, that is, event data and secrets. */
export function describeError(error: unknown): string {
  const state = sqlState(error);
  const root = rootOf(error);
  if (state !== undefined) {
    const constraint = constraintOf(error);
    const message = root instanceof Error ? root.message : String(root);
    return `${state} ${message}${constraint === undefined ? '' : ` (${constraint})`}`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Classes of failure that mean "the database is away or full": nothing was stored, try again later. */
const UNAVAILABLE =
  /^(?:08|53|57P|25006|55P03|57014|CONNECTION_|CONNECT_TIMEOUT|ECONNREFUSED|ECONNRESET|ENOENT|EPIPE|ETIMEDOUT|40001|40P01)/;

/** The server is starting, stopping or full, or the connection to it broke: soon it may be there again. */
const PASSING = /^(?:08|57P0[123]|53300|CONNECTION_CLOSED|ECONNRESET|EPIPE)/;

/** Whether the same may go well in a moment. Not where nobody listens at the address: that is more likely to be wrong. */
export function isPassing(error: unknown): boolean {
  // pg gives this one no code.
  return PASSING.test(sqlState(error) ?? '') || /Connection terminated/.test(describeError(error));
}

/** `error` as callers should hear it: UNAVAILABLE where the database is away, INVALID for U+0000, else unchanged. */
export function translateDatabaseError(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const state = sqlState(error);
  if (state === undefined) return error;
  if (UNAVAILABLE.test(state)) {
    return new AppError(
      'UNAVAILABLE',
      'the database is not available and nothing was acknowledged; try again, with the same idempotency key to be sure',
      {
        cause: error,
      },
    );
  }
  if (state === '22021') return new AppError('INVALID', 'expected text without U+0000', { cause: error });
  return error;
}

/** Whether a statement took too long. */
export function isTimeout(error: unknown): boolean {
  return sqlState(error) === '57014';
}

/** Whether what was given is at fault (SQLSTATE classes 22 and 23): the same fails again. */
export function isOfData(error: unknown): boolean {
  return /^2[23]/.test(sqlState(error) ?? '');
}

/** Whether the database is away, busy or full: nothing was stored, and the same may go well later. */
export function isAway(error: unknown): boolean {
  const translated = translateDatabaseError(error);
  return translated instanceof AppError && translated.code === 'UNAVAILABLE';
}
