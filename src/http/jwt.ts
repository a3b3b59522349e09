/**
 * JSON Web Tokens (RFC 7519): HS256 with a shared secret, RS256 and ES256 with the public keys of a JWKS. Which key
 * may check a token follows from its algorithm alone, and both must be configured: an HS256 token signed with a public
 * key, and one without a signature, find no key at all.
 */
import { decodeProtectedHeader, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { AppError } from '../domain/errors.ts';
import { type Claims, holderOf, JWT_ALGORITHMS, type JwtAlgorithm } from '../domain/jwt.ts';
import type { Log } from '../log.ts';
import type { FoundToken, TokenSource } from './token.ts';

export interface JwtOptions {
  /** Null where HS256 is not taken. */
  readonly secret: string | null;
  /** Public keys; null where RS256 and ES256 are not taken. */
  readonly keys: JWTVerifyGetKey | null;
  readonly algorithms: readonly JwtAlgorithm[];
  /** Wanted `iss` and `aud`; null for any. */
  readonly issuer: string | null;
  readonly audience: string | null;
  /** How far the clocks of issuers may be off. */
  readonly clockSkewSeconds: number;
  readonly log: Log;
}

/** Keys tried for a token that names none: a JWKS in the middle of a rotation. */
const MAX_KEYS_TRIED = 4;

export function createJwt(options: JwtOptions): TokenSource {
  const secret = options.secret === null ? null : new TextEncoder().encode(options.secret);

  function keyFor(algorithm: JwtAlgorithm): Uint8Array | JWTVerifyGetKey | null {
    return algorithm === 'HS256' ? secret : options.keys;
  }

  async function verify(token: string): Promise<Verified | null> {
    const algorithm = algorithmOf(token);
    const allowed = JWT_ALGORITHMS.find((one) => one === algorithm && options.algorithms.includes(one));
    const key = allowed === undefined ? null : keyFor(allowed);
    if (allowed === undefined || key === null) return null;
    const payload = await check(token, key, {
      algorithms: [allowed],
      requiredClaims: ['exp'],
      clockTolerance: options.clockSkewSeconds,
      ...(options.issuer !== null && { issuer: options.issuer }),
      ...(options.audience !== null && { audience: options.audience }),
    });
    return { algorithm: allowed, payload };
  }

  /** Null where the token is not to be trusted. Errors: AppError UNAVAILABLE where its keys cannot be had. */
  async function verified(token: string): Promise<Verified | null> {
    try {
      return await verify(token);
    } catch (error) {
      // Why exactly is for the log: whoever guesses must not be told how far they got.
      if (isRefusal(error)) {
        options.log('debug', 'a JWT was refused', { code: error.code, reason: error.message });
        return null;
      }
      options.log('warn', 'the keys of JWT_JWKS cannot be read', { error: String(error) });
      throw new AppError('UNAVAILABLE', 'the keys to check this token with cannot be had; try again', {
        cause: error,
      });
    }
  }

  return {
    async find(token): Promise<FoundToken | null> {
      if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return null;
      const found = await verified(token);
      if (found === null) return null;
      const holder = holderOf(found.payload as Claims, found.algorithm);
      if (holder === null) return null;
      return { holder, stillWorks: async () => (await verified(token)) !== null, noteUse: () => {} };
    },
  };
}

interface Verified {
  readonly algorithm: JwtAlgorithm;
  readonly payload: JWTPayload;
}

type VerifyOptions = NonNullable<Parameters<typeof jwtVerify>[2]>;

async function check(
  token: string,
  key: Uint8Array | JWTVerifyGetKey,
  options: VerifyOptions,
): Promise<JWTPayload> {
  if (key instanceof Uint8Array) return (await jwtVerify(token, key, options)).payload;
  try {
    return (await jwtVerify(token, key, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    let tried = 0;
    for await (const one of error) {
      if (tried++ === MAX_KEYS_TRIED) break;
      try {
        return (await jwtVerify(token, one, options)).payload;
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

function algorithmOf(token: string): unknown {
  try {
    return decodeProtectedHeader(token).alg;
  } catch {
    return null;
  }
}

/** Errors of the token's own making; the others are about getting the keys. */
function isRefusal(error: unknown): error is errors.JOSEError {
  return (
    error instanceof errors.JOSEError &&
    !(error instanceof errors.JWKSTimeout) &&
    !(error instanceof errors.JWKSInvalid) &&
    error.code !== 'ERR_JOSE_GENERIC'
  );
}
