/** How many requests one token may make in a second, in this process. */
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Caller } from '../domain/caller.ts';
import { AppError } from '../domain/errors.ts';

/** Errors: AppError RATE_LIMITED. */
export type Admit = (caller: Caller) => Promise<void>;

/** `perSecond` 0 admits everybody. */
export function createAdmit(perSecond: number): Admit {
  if (perSecond === 0) return async () => {};
  const limiter = new RateLimiterMemory({ points: perSecond, duration: 1 });
  return async ({ id }) => {
    try {
      await limiter.consume(id);
    } catch (spent) {
      if (!(spent instanceof RateLimiterRes)) throw spent;
      throw new AppError('RATE_LIMITED', `expected at most ${perSecond} requests a second with one token`, {
        retryAfterMs: Math.max(1, spent.msBeforeNext),
      });
    }
  };
}
