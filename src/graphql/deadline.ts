/** How long an operation may take. */
import { AppError } from '../domain/errors.ts';

/** Longest a query, a mutation or a payload of a subscription may take, in ms. */
const EXECUTION_TIMEOUT_MS = 10_000;

/** What an operation is given beyond that: whoever waits for somebody else adds to it. */
export interface Patience {
  patienceMs: number;
}

/** The result, where it comes in time. Errors: TIMEOUT. */
export async function inTime<T>(executed: Promise<T>, patience: Patience): Promise<T> {
  const deadline = Promise.withResolvers<never>();
  let givenMs = EXECUTION_TIMEOUT_MS;
  let timer = setTimeout(onTimer, givenMs);
  function onTimer(): void {
    const { patienceMs } = patience;
    if (patienceMs > 0) {
      patience.patienceMs = 0;
      givenMs += patienceMs;
      timer = setTimeout(onTimer, patienceMs);
      return;
    }
    const seconds = Math.round(givenMs / 1000);
    deadline.reject(
      new AppError('TIMEOUT', `the operation took longer than ${seconds} s; it may still complete`),
    );
  }
  try {
    return await Promise.race([executed, deadline.promise]);
  } finally {
    clearTimeout(timer);
  }
}
