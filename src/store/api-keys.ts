/** API keys: found by what a caller shows, listed, made and revoked. */
import { and, count, desc, eq, gt, inArray, isNull, or, sql } from 'drizzle-orm';
import type postgres from 'postgres';
import { idArray } from './arrays.ts';
import type { Database, Executor, Transaction } from './database.ts';
import { apiKeys } from './schema.ts';

export type ApiKeyRow = typeof apiKeys.$inferSelect;

/** Keys one list holds. */
const LIST_SIZE = 500;
/** How long a key that no longer works stays in the list. */
const DEAD_KEPT_DAYS = 90;
const CHANNEL = 'herald_api_keys';

const working = and(
  isNull(apiKeys.revokedAt),
  or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, sql`now()`)),
);

/** The key with that SHA-256 if it works now, by the database's clock. */
export async function findWorkingKey(db: Executor, digest: string): Promise<ApiKeyRow | null> {
  const [row] = await db
    .select()
    .from(apiKeys)
    .where(and(eq(apiKeys.digest, digest), working));
  return row ?? null;
}

/** Which of these keys work now. */
export async function findWorkingIds(db: Executor, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await db
    .select({ id: apiKeys.id })
    .from(apiKeys)
    .where(and(sql`${apiKeys.id} = any(${sql.param(idArray(ids))}::uuid[])`, working));
  return new Set(rows.map(({ id }) => id));
}

/** Newest first, revoked ones included. */
export async function listApiKeys(db: Executor): Promise<readonly ApiKeyRow[]> {
  return db.select().from(apiKeys).orderBy(desc(apiKeys.id)).limit(LIST_SIZE);
}

export async function countWorkingKeys(db: Executor): Promise<number> {
  const [row] = await db.select({ count: count() }).from(apiKeys).where(working);
  return row?.count ?? 0;
}

export async function insertApiKey(
  tx: Transaction,
  row: Omit<typeof apiKeys.$inferInsert, 'id'>,
): Promise<ApiKeyRow> {
  const [inserted] = await tx
    .insert(apiKeys)
    .values({ ...row, id: sql`herald.uuid_v7()` })
    .returning();
  if (inserted === undefined) throw new Error('inserting an API key returned no row');
  return inserted;
}

/** Locks the key's row for the rest of the transaction; null when there is none. */
export async function lockApiKey(tx: Transaction, id: string): Promise<ApiKeyRow | null> {
  const [row] = await tx.select().from(apiKeys).where(eq(apiKeys.id, id)).for('update');
  return row ?? null;
}

/** Revokes the key and tells every process at commit. */
export async function markRevoked(tx: Transaction, id: string): Promise<ApiKeyRow> {
  const [row] = await tx.update(apiKeys).set({ revokedAt: sql`now()` }).where(eq(apiKeys.id, id)).returning();
  if (row === undefined) throw new Error(`API key ${id} vanished while its row was locked`);
  await tx.execute(sql`select pg_notify(${CHANNEL}, '')`);
  return row;
}

/** Calls `heard` when some key was revoked, and after each reconnection, when that may have been missed. */
export async function listenForRevocations(client: postgres.Sql, heard: () => void): Promise<void> {
  await client.listen(CHANNEL, heard, heard);
}

/** Notes that keys are in use; a process that noted it within the minute spares the others the write. */
export async function noteUsed(db: Database, ids: readonly string[]): Promise<void> {
  await db
    .update(apiKeys)
    .set({ lastUsedAt: sql`now()` })
    .where(
      and(
        inArray(apiKeys.id, [...ids]),
        or(isNull(apiKeys.lastUsedAt), sql`${apiKeys.lastUsedAt} < now() - interval '50 seconds'`),
      ),
    );
}

/** Removes keys that stopped working long ago. Returns how many. */
export async function pruneApiKeys(db: Database): Promise<number> {
  const rows = await db
    .delete(apiKeys)
    .where(
      sql`least(${apiKeys.revokedAt}, ${apiKeys.expiresAt}) < now() - make_interval(days => ${DEAD_KEPT_DAYS})`,
    )
    .returning({ id: apiKeys.id });
  return rows.length;
}
