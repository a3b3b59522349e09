/**
 * Tokens that were found to be good, by their SHA-256: a request with a hot token costs one hash and one look into a
 * Map. Each is asked about again after a second, so that a revoked key stops working within it in every process,
 * whether or not the notification of its revocation arrives.
 */
import { tokenDigest } from '../domain/api-key.ts';
import type { Caller } from '../domain/caller.ts';
import type { Log } from '../log.ts';
import type { FoundToken, TokenSource } from './token.ts';

export interface Sessions {
  /** Who holds the token, without asking anybody where that was known a moment ago; null where it is not known. */
  known(token: string): Promise<Caller | null>;
  /** Who holds the token; null where nobody does. Errors: AppError UNAVAILABLE. */
  find(token: string): Promise<Caller | null>;
  /** Ask about all of them again, now: some token may have stopped working. */
  doubt(): void;
  close(): void;
}

/** How long an answer is trusted, in ms. */
const TRUST_MS = 1000;
/** Tokens remembered; beyond it the one that was found first is asked about anew. */
const MAX_SESSIONS = 10_000;

interface Session {
  readonly digest: string;
  readonly token: FoundToken;
  readonly caller: Caller;
  readonly watchers: Set<() => void>;
  checkedAt: number;
  checking: Promise<boolean> | null;
}

/** The first of `sources` that knows a token decides. */
export function createSessions(sources: readonly TokenSource[], log: Log): Sessions {
  const sessions = new Map<string, Session>();
  /** Those with open subscriptions, which somebody must end when the token does. */
  const watched = new Set<Session>();

  async function works(session: Session): Promise<boolean> {
    if (performance.now() - session.checkedAt < TRUST_MS) return true;
    session.checking ??= check(session);
    return session.checking;
  }

  async function check(session: Session): Promise<boolean> {
    try {
      const stillWorks = await session.token.stillWorks();
      if (stillWorks) session.checkedAt = performance.now();
      else end(session);
      return stillWorks;
    } finally {
      session.checking = null;
    }
  }

  function end(session: Session): void {
    if (sessions.get(session.digest) === session) sessions.delete(session.digest);
    watched.delete(session);
    for (const ended of [...session.watchers]) ended();
    session.watchers.clear();
  }

  function open(digest: string, token: FoundToken): Session {
    const session: Session = {
      digest,
      token,
      caller: { ...token.holder, watch: (ended) => watch(session, ended) },
      watchers: new Set(),
      checkedAt: performance.now(),
      checking: null,
    };
    const [oldest] = sessions.keys();
    if (sessions.size >= MAX_SESSIONS && oldest !== undefined) sessions.delete(oldest);
    sessions.set(digest, session);
    return session;
  }

  function watch(session: Session, ended: () => void): () => void {
    // A function of its own for each call: two subscriptions may hand in the same one.
    const watcher = () => ended();
    session.watchers.add(watcher);
    watched.add(session);
    return () => {
      session.watchers.delete(watcher);
      if (session.watchers.size === 0) watched.delete(session);
    };
  }

  function lookAtWatched(): void {
    for (const session of watched) {
      session.token.noteUse();
      // While the database is away nobody can have revoked anything.
      works(session).catch((error: unknown) =>
        log('debug', 'could not look at a token again', { error: String(error) }),
      );
    }
  }
  const timer = setInterval(lookAtWatched, TRUST_MS / 2).unref();

  async function known(token: string): Promise<Caller | null> {
    const session = sessions.get(tokenDigest(token));
    if (session === undefined || !(await works(session))) return null;
    session.token.noteUse();
    return session.caller;
  }

  return {
    known,
    async find(token) {
      const digest = tokenDigest(token);
      for (const source of sources) {
        const found = await source.find(token, digest);
        if (found === null) continue;
        // Requests that came at the same time share what the first of them opened.
        const session = sessions.get(digest) ?? open(digest, found);
        session.token.noteUse();
        return session.caller;
      }
      return null;
    },
    doubt() {
      for (const session of [...sessions.values(), ...watched]) session.checkedAt = Number.NEGATIVE_INFINITY;
      lookAtWatched();
    },
    close: () => clearInterval(timer),
  };
}
