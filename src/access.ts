/** The wiring of who may call: kinds of tokens, limits, Host and Origin. */
import type { Config } from './config.ts';
import { currentAdminToken } from './data-dir.ts';
import { createAddressOf } from './http/address.ts';
import { createAdminToken } from './http/admin-token.ts';
import { createApiKeys } from './http/api-key.ts';
import { type Authenticate, createAuthenticate } from './http/auth.ts';
import { createJwks } from './http/jwks.ts';
import { createJwt } from './http/jwt.ts';
import { createLoginLimit } from './http/login-limit.ts';
import { createOriginPolicy, type OriginPolicy } from './http/origin.ts';
import { type Admit, createAdmit } from './http/rate-limit.ts';
import { createSessions, type Sessions } from './http/sessions.ts';
import type { Log } from './log.ts';
import { listenForRevocations } from './store/api-keys.ts';
import type { Database, openClient } from './store/database.ts';

export interface AccessParts {
  readonly config: Config;
  readonly log: Log;
  /** Takes what has to be closed. */
  readonly opened: { push(one: { readonly what: string; readonly close: () => void }): unknown };
  readonly db: Database;
  /** Null with AUTH=off. */
  readonly adminToken: string | null;
  readonly listener: ReturnType<typeof openClient>;
}

export interface Access {
  readonly authenticate: Authenticate;
  readonly admit: Admit;
  readonly origins: OriginPolicy;
}

export async function openAccess(parts: AccessParts): Promise<Access> {
  const { config, log } = parts;
  const { rateLimitPerSecond, loginFailuresPerMinute, trustedProxies, allowedHosts } = config.access;
  const admit = createAdmit(rateLimitPerSecond);
  const authenticate = createAuthenticate({
    sessions: await openSessions(parts),
    logins: createLoginLimit(loginFailuresPerMinute),
    admit,
    addressOf: createAddressOf(trustedProxies),
    log,
  });
  const { host: boundTo, corsOrigins } = config;
  return { authenticate, admit, origins: createOriginPolicy({ boundTo, allowedHosts, corsOrigins }) };
}

/** Who may call; null with AUTH=off. */
async function openSessions(parts: AccessParts): Promise<Sessions | null> {
  const { config, log, opened, db, adminToken, listener } = parts;
  if (adminToken === null) return null;
  const { jwtSecret, jwtJwks, jwtAlgorithms, jwtIssuer, jwtAudience, jwtClockSkewSeconds } = config.access;
  const readAdmin = async () => config.adminToken ?? currentAdminToken(config.dataDir);
  const jwt = createJwt({
    secret: jwtSecret,
    keys: jwtJwks === null ? null : createJwks(jwtJwks),
    algorithms: jwtAlgorithms,
    issuer: jwtIssuer,
    audience: jwtAudience,
    clockSkewSeconds: jwtClockSkewSeconds,
    log,
  });
  const sources = [createAdminToken(adminToken, readAdmin, log), createApiKeys(db, log), jwt];
  const sessions = createSessions(sources, log);
  opened.push({ what: 'sessions', close: () => sessions.close() });
  await listenForRevocations(listener, () => sessions.doubt());
  return sessions;
}
