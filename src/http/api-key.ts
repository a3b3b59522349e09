/** API keys as callers show them: looked up by their SHA-256, and looked at again together while they are in use. */
import { timingSafeEqual } from 'node:crypto';
import { isApiKey } from '../domain/api-key.ts';
import type { Log } from '../log.ts';
import { findWorkingIds, findWorkingKey, noteUsed } from '../store/api-keys.ts';
import { createBatcher } from '../store/batch.ts';
import type { Database } from '../store/database.ts';
import { describeError, translateDatabaseError } from '../store/database-errors.ts';
import type { TokenSource } from './token.ts';

/** How often a key in use is noted as used, in ms. */
const NOTE_MS = 60_000;

export function createApiKeys(db: Database, log: Log): TokenSource {
  const limits = { maxSize: 500, concurrency: 1, gatherMs: 5, maxWaiting: 20_000 };
  const checks = createBatcher({
    flush: async (ids: readonly string[]) => {
      const works = await findWorkingIds(db, [...new Set(ids)]);
      return ids.map((id) => works.has(id));
    },
    ...limits,
  });
  const uses = createBatcher({
    flush: async (ids: readonly string[]) => {
      await noteUsed(db, ids);
      return ids;
    },
    ...limits,
  });

  return {
    async find(token, digest) {
      if (!isApiKey(token)) return null;
      const row = await translating(findWorkingKey(db, digest));
      if (row === null || !timingSafeEqual(Buffer.from(row.digest), Buffer.from(digest))) return null;
      let notedAt = Number.NEGATIVE_INFINITY;
      return {
        holder: { id: `key:${row.id}`, name: row.name, scopes: row.scopes, projects: row.projects },
        stillWorks: () => translating(checks.add(row.id)),
        noteUse() {
          const now = performance.now();
          if (now - notedAt < NOTE_MS) return;
          notedAt = now;
          uses
            .add(row.id)
            .catch((error: unknown) =>
              log('debug', 'could not note the use of an API key', { error: describeError(error) }),
            );
        },
      };
    },
  };
}

async function translating<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw translateDatabaseError(error);
  }
}
