/** The admin token: set, or kept in a file that the command line may replace while we run. */
import { timingSafeEqual } from 'node:crypto';
import { tokenDigest } from '../domain/api-key.ts';
import { ALL_PROJECTS_ADMIN } from '../domain/caller.ts';
import type { Log } from '../log.ts';
import type { TokenSource } from './token.ts';

/** How long a look into the file holds, in ms. */
const LOOK_MS = 250;
/** What is shorter is no token but a file somebody is writing by hand. */
const MIN_LENGTH = 16;

/** `read` says what the token is now; while it cannot, the last answer holds. */
export function createAdminToken(current: string, read: () => Promise<string>, log: Log): TokenSource {
  let expected = tokenDigest(current);
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | null = null;

  async function look(): Promise<void> {
    try {
      const token = (await read()).trim();
      if (token.length < MIN_LENGTH) return;
      const digest = tokenDigest(token);
      if (digest !== expected) log('warn', 'the admin token was replaced; the old one works no more');
      expected = digest;
    } catch (error) {
      log('debug', 'could not look at the admin token', { error: String(error) });
    } finally {
      lookedAt = performance.now();
      looking = null;
    }
  }

  async function matches(digest: string): Promise<boolean> {
    if (performance.now() - lookedAt > LOOK_MS) {
      looking ??= look();
      await looking;
    }
    return timingSafeEqual(Buffer.from(digest), Buffer.from(expected));
  }

  return {
    async find(_token, digest) {
      if (!(await matches(digest))) return null;
      const { watch: _, ...holder } = ALL_PROJECTS_ADMIN;
      return { holder, stillWorks: () => matches(digest), noteUse: () => {} };
    },
  };
}
