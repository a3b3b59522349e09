/** Every place that holds a secret: read in chunks and written anew, or counted by key. */
import { and, asc, eq, gt, like, sql } from 'drizzle-orm';
import type { Database, Transaction } from './database.ts';
import { installation, type StoredHeader, signingKeys, triggers } from './schema.ts';

/** How many secrets there are for each key id. */
export async function countSecretsByKey(db: Database): Promise<ReadonlyMap<string, number>> {
  const rows = await db.execute<{ key_id: string; count: number }>(sql`
    select split_part(s.value, '.', 2) as key_id, count(*)::int as count
      from (
        select k.secret as value from herald.signing_keys k
        union all
        select h ->> 'value'
          from herald.triggers t
          cross join json_array_elements(t.headers::json) h
          where t.headers like '%"secret":true%' and (h ->> 'secret')::boolean
      ) s
      group by 1`);
  return new Map(rows.map(({ key_id, count }) => [key_id, count]));
}

/** The next signing keys behind `after`, locked. */
export async function lockSecrets(tx: Transaction, after: string | null, limit: number) {
  return tx
    .select({ id: signingKeys.id, secret: signingKeys.secret })
    .from(signingKeys)
    .where(after === null ? undefined : gt(signingKeys.id, after))
    .orderBy(asc(signingKeys.id))
    .limit(limit)
    .for('update');
}

export async function writeSecret(tx: Transaction, id: string, secret: string): Promise<void> {
  await tx.update(signingKeys).set({ secret }).where(eq(signingKeys.id, id));
}

/** The next triggers behind `after` that have secret headers, deleted ones included, locked. */
export async function lockHeaders(tx: Transaction, after: string | null, limit: number) {
  return tx
    .select({ id: triggers.id, headers: triggers.headers })
    .from(triggers)
    .where(
      and(
        like(sql`${triggers.headers}`, '%"secret":true%'),
        after === null ? undefined : gt(triggers.id, after),
      ),
    )
    .orderBy(asc(triggers.id))
    .limit(limit)
    .for('update');
}

/** The values stay what they are, so the trigger's version does too. */
export async function writeHeaders(
  tx: Transaction,
  id: string,
  headers: readonly StoredHeader[],
): Promise<void> {
  await tx.update(triggers).set({ headers }).where(eq(triggers.id, id));
}

/** The proof of the encryption key, locked. */
export async function lockKeyCheck(tx: Transaction): Promise<string> {
  const [row] = await tx.select({ check: installation.encryptionCheck }).from(installation).for('update');
  return row?.check ?? '';
}

export async function writeKeyCheck(tx: Transaction, encryptionCheck: string): Promise<void> {
  await tx.update(installation).set({ encryptionCheck });
}
