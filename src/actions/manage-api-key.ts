/** Creates and revokes API keys. */
import { randomBytes } from 'node:crypto';
import {
  API_KEY_BYTES,
  type ApiKeySettings,
  checkApiKey,
  formatApiKey,
  MAX_API_KEYS,
  shownPrefix,
  tokenDigest,
} from '../domain/api-key.ts';
import { type Caller, onlyProject, seesProjects } from '../domain/caller.ts';
import { fail, type Problem, problem, type Result, succeed } from '../domain/errors.ts';
import {
  type ApiKeyRow,
  countWorkingKeys,
  insertApiKey,
  listApiKeys,
  lockApiKey,
  markRevoked,
} from '../store/api-keys.ts';
import { recordAudit } from '../store/audit.ts';
import type { Database } from '../store/database.ts';
import { isUuid } from '../store/pages.ts';
import { writing } from './writing.ts';

/** `secret` is the key itself: it is nowhere else. A caller bound to projects can make keys for those only. */
export async function createApiKey(
  db: Database,
  caller: Caller,
  asked: ApiKeySettings,
): Promise<Result<{ readonly apiKey: ApiKeyRow; readonly secret: string }>> {
  const projects = asked.projects && [...new Set(asked.projects)];
  const settings = { ...asked, projects, scopes: [...new Set(asked.scopes)] };
  const problems = checkApiKey(settings, new Date());
  if (problems.length > 0) return fail(...problems);
  if (!seesProjects(caller, projects)) return fail(outsideProjects(caller));
  const secret = formatApiKey(randomBytes(API_KEY_BYTES));
  return writing(db, async (tx) => {
    if ((await countWorkingKeys(tx)) >= MAX_API_KEYS) {
      return fail(problem([], 'LIMIT_EXCEEDED', `expected at most ${MAX_API_KEYS} keys; revoke one first`));
    }
    const apiKey = await insertApiKey(tx, {
      ...settings,
      prefix: shownPrefix(secret),
      digest: tokenDigest(secret),
    });
    await recordAudit(tx, caller, { action: 'API_KEY_CREATED', ...subjectOf(apiKey) });
    return succeed({ apiKey, secret });
  });
}

/** Works at once: every process hears of it at commit, and looks by itself every second. */
export async function revokeApiKey(
  db: Database,
  caller: Caller,
  { id }: { readonly id: string },
): Promise<Result<ApiKeyRow>> {
  const notFound = problem('id', 'NOT_FOUND', `no API key ${JSON.stringify(id)}`);
  if (!isUuid(id)) return fail(notFound);
  return writing(db, async (tx) => {
    const before = await lockApiKey(tx, id);
    if (before === null || !seesProjects(caller, before.projects)) return fail(notFound);
    // Asked again, the answer is the same: whoever revokes a leaked key in haste must not be told of an error.
    if (before.revokedAt !== null) return succeed(before);
    const apiKey = await markRevoked(tx, id);
    await recordAudit(tx, caller, { action: 'API_KEY_REVOKED', ...subjectOf(apiKey) });
    return succeed(apiKey);
  });
}

/** Newest first; those for the caller's projects only where it is bound to some. */
export async function visibleApiKeys(db: Database, caller: Caller): Promise<readonly ApiKeyRow[]> {
  const keys = await listApiKeys(db);
  return keys.filter(({ projects }) => seesProjects(caller, projects));
}

function subjectOf({ id, name, projects }: ApiKeyRow) {
  return { id, name, project: onlyProject(projects) };
}

function outsideProjects({ projects }: Caller): Problem {
  const message = `expected some of the projects of the calling token: ${(projects ?? []).join(', ')}`;
  return problem('projects', 'INVALID', message);
}
