/** Who is calling: looked up once a second for a token in use, guarded against guessing. */
import type { IncomingMessage } from 'node:http';
import { ALL_PROJECTS_ADMIN, type Caller } from '../domain/caller.ts';
import { AppError } from '../domain/errors.ts';
import type { Log } from '../log.ts';
import type { AddressOf } from './address.ts';
import type { LoginLimit } from './login-limit.ts';
import type { Admit } from './rate-limit.ts';
import type { Sessions } from './sessions.ts';

/**
 * Answers who holds `token` and admits the request. Errors: AppError UNAUTHENTICATED where nobody does, RATE_LIMITED
 * where the address showed too many wrong ones or the token came too often, UNAVAILABLE where nobody can tell.
 */
export type Authenticate = (token: string | null, req: IncomingMessage) => Promise<Caller>;

export interface AuthOptions {
  /** Null means AUTH=off: whoever can connect may do everything. */
  readonly sessions: Sessions | null;
  readonly logins: LoginLimit;
  readonly admit: Admit;
  readonly addressOf: AddressOf;
  readonly log: Log;
}

const NO_TOKEN =
  'expected Authorization: Bearer <token>; the admin token is in the file admin-token of DATA_DIR, or as set in ADMIN_TOKEN';
const WRONG_TOKEN = 'this token is unknown, or works no more';

/** Longest token looked at, in characters: a JWT with room to spare. */
const MAX_TOKEN_LENGTH = 8192;

export function createAuthenticate(options: AuthOptions): Authenticate {
  const { sessions, logins, admit, addressOf, log } = options;

  /** Requests that bring the same token at the same time share one look. */
  const looking = new Map<string, Promise<Caller | null>>();

  async function login(known: Sessions, token: string, req: IncomingMessage): Promise<Caller> {
    const hot = await known.known(token);
    // A token in use goes on working whatever else comes from its address.
    if (hot !== null) return hot;
    const address = addressOf(req);
    const look =
      looking.get(token) ??
      logins.guard(address, () => known.find(token)).finally(() => looking.delete(token));
    looking.set(token, look);
    const caller = await look;
    if (caller !== null) return caller;
    log('warn', 'a wrong token was refused', { address });
    throw new AppError('UNAUTHENTICATED', WRONG_TOKEN);
  }

  return async (token, req) => {
    if (sessions !== null && token === null) throw new AppError('UNAUTHENTICATED', NO_TOKEN);
    // Over WebSocket it may be as long as a message.
    if (token !== null && token.length > MAX_TOKEN_LENGTH) throw new AppError('UNAUTHENTICATED', WRONG_TOKEN);
    const caller =
      sessions === null || token === null ? ALL_PROJECTS_ADMIN : await login(sessions, token, req);
    await admit(caller);
    return caller;
  };
}

/** The value of WWW-Authenticate (RFC 6750 section 3) for a refusal. */
export function challenge(error: AppError): string {
  const realm = 'Bearer realm="herald"';
  if (error.scope !== null) return `${realm}, error="insufficient_scope", scope="${error.scope}"`;
  return error.message === NO_TOKEN ? realm : `${realm}, error="invalid_token"`;
}

/** The token of an Authorization header; `Bearer` with nothing behind it counts as none (wire.md section 2). */
export function bearerToken(header: string | undefined): string | null {
  const [, token = ''] = /^Bearer(?:\s+(.*))?$/i.exec(header?.trim() ?? '') ?? [];
  return token.trim() === '' ? null : token.trim();
}
