/** What the claims of a JSON Web Token mean here. */
import { type Caller, SCOPES, type Scope } from './caller.ts';

export const JWT_ALGORITHMS = ['HS256', 'RS256', 'ES256'] as const;
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

export type Claims = Readonly<Record<string, unknown>>;

/** Longest name of a token's holder that is kept. */
const MAX_NAME_LENGTH = 200;
/** Projects a token may name. */
const MAX_PROJECTS = 100;
/**
 * What an HS256 token without scopes may do: Space Cloud's tokens name none, and what their holders did was to queue.
 * A token of an identity provider without scopes may do nothing: anybody may be able to get one there.
 */
const LEGACY_SCOPES: readonly Scope[] = ['EVENTS_WRITE'];

/**
 * The holder of a token whose signature and times were found good; null where its claims make no sense.
 * `scope` (RFC 9068: names between spaces) or `scopes` (a list) → scopes; `projects` (a list) or `project` → projects,
 * all of them where there is neither; `sub`, or Space Cloud's `id` → who it is; `name` → its name.
 */
export function holderOf(claims: Claims, algorithm: JwtAlgorithm): Omit<Caller, 'watch'> | null {
  const scopes = scopesOf(claims, algorithm);
  const projects = projectsOf(claims);
  if (scopes === null || projects === undefined) return null;
  const subject = text(claims.sub) ?? text(claims.id) ?? 'anonymous';
  return { id: `jwt:${subject}`, name: text(claims.name) ?? subject, scopes, projects };
}

/** Names that are none of ours belong to somebody else's API, and mean nothing here. */
function scopesOf({ scope, scopes }: Claims, algorithm: JwtAlgorithm): readonly Scope[] | null {
  const given = scope ?? scopes;
  if (given === undefined) return algorithm === 'HS256' ? LEGACY_SCOPES : [];
  const names = typeof given === 'string' ? given.split(' ') : given;
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) return null;
  return SCOPES.filter((one) => names.includes(one));
}

/** Null means all; undefined that the claim makes no sense. */
function projectsOf({ projects, project }: Claims): readonly string[] | null | undefined {
  const given = projects ?? (project === undefined ? undefined : [project]);
  if (given === undefined) return null;
  const valid =
    Array.isArray(given) && given.length <= MAX_PROJECTS && given.every((one) => typeof one === 'string');
  return valid ? (given as readonly string[]) : undefined;
}

/** Text that may be stored and logged. */
function text(claim: unknown): string | null {
  if (typeof claim !== 'string' || claim === '') return null;
  return claim
    .slice(0, MAX_NAME_LENGTH)
    .toWellFormed()
    .replace(/\p{Cc}/gu, ' ');
}
