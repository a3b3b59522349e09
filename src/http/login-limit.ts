/** Wrong tokens cost a look into the database each: who shows too many waits. Bounded whoever comes from wherever. */
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Caller } from '../domain/caller.ts';
import { AppError } from '../domain/errors.ts';
import { networkOf } from './address.ts';

export interface LoginLimit {
  /**
   * Runs `login`, which counts against the address unless it finds somebody.
   * Errors: AppError RATE_LIMITED, without running it, where too many failed within the minute.
   */
  guard(address: string, login: () => Promise<Caller | null>): Promise<Caller | null>;
}

const WINDOW_SECONDS = 60;
/** Addresses counted one by one in a minute; those beyond share counters. */
const MAX_ADDRESSES = 10_000;
const SHARED_COUNTERS = 1024;

/** `perMinute` 0 counts nothing. */
export function createLoginLimit(perMinute: number): LoginLimit {
  if (perMinute === 0) return { guard: (_address, login) => login() };
  const limiter = new RateLimiterMemory({ points: perMinute, duration: WINDOW_SECONDS });
  let seen = new Set<string>();
  let seenSince = performance.now();

  /** At most two windows' addresses are in the limiter's memory at once. */
  function counterOf(address: string): string {
    const network = networkOf(address);
    if (performance.now() - seenSince > WINDOW_SECONDS * 1000) {
      seen = new Set();
      seenSince = performance.now();
    }
    if (seen.has(network) || seen.size < MAX_ADDRESSES) return network;
    return `shared/${sharedCounter(network)}`;
  }

  async function count(counter: string): Promise<void> {
    try {
      await limiter.consume(counter);
    } catch (spent) {
      if (!(spent instanceof RateLimiterRes)) throw spent;
      throw new AppError('RATE_LIMITED', 'too many wrong tokens from this address', {
        retryAfterMs: Math.max(1, spent.msBeforeNext),
      });
    }
  }

  return {
    async guard(address, login) {
      const counter = counterOf(address);
      if (!counter.startsWith('shared/')) seen.add(counter);
      // Counted before it is known, or a thousand guesses at once would all be looked at.
      await count(counter);
      let failed = false;
      try {
        const caller = await login();
        failed = caller === null;
        return caller;
      } finally {
        if (!failed) await limiter.reward(counter);
      }
    },
  };
}

function sharedCounter(network: string): number {
  let sum = 0;
  for (const char of network) sum = (sum * 31 + char.charCodeAt(0)) % SHARED_COUNTERS;
  return sum;
}
