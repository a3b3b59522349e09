/** Who is calling: the admin token for now. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ALL_PROJECTS_ADMIN, type Caller } from '../domain/caller.ts';

/** Answers who holds `token`; null where nobody does. */
export type Authenticate = (token: string | null) => Caller | null;

/** `adminToken` null means AUTH=off: whoever can connect may do everything. */
export function createAuthenticate(adminToken: string | null): Authenticate {
  if (adminToken === null) return () => ALL_PROJECTS_ADMIN;
  const expected = digest(adminToken);
  return (token) => (token !== null && timingSafeEqual(digest(token), expected) ? ALL_PROJECTS_ADMIN : null);
}

/** The token of an Authorization header; `Bearer` with nothing behind it counts as none (wire.md section 2). */
export function bearerToken(header: string | undefined): string | null {
  const [, token = ''] = /^Bearer(?:\s+(.*))?$/i.exec(header?.trim() ?? '') ?? [];
  return token.trim() === '' ? null : token.trim();
}

// Digests have equal lengths, which timingSafeEqual needs, and say nothing about the token's.
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
