/** How the signing keys of a trigger come to their end. */
import { and, eq, lte, sql } from 'drizzle-orm';
import type { Transaction } from './database.ts';
import { signingKeys } from './schema.ts';

/** No key of the trigger signs for longer than `hours` from now; one that ends sooner still does. */
export async function retireKeys(tx: Transaction, triggerId: string, hours: number): Promise<void> {
  await tx
    .update(signingKeys)
    .set({ expiresAt: sql`least(${signingKeys.expiresAt}, now() + ${hours}::int * interval '1 hour')` })
    .where(eq(signingKeys.triggerId, triggerId));
}

/** Secrets that sign nothing any more are not kept. */
export async function removeExpiredKeys(tx: Transaction, triggerId: string): Promise<void> {
  await tx
    .delete(signingKeys)
    .where(and(eq(signingKeys.triggerId, triggerId), lte(signingKeys.expiresAt, sql`now()`)));
}
