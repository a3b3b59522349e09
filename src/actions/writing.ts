/** One transaction for what a caller asks to be changed. */
import type { Result } from '../domain/errors.ts';
import { type Database, inTransaction, type Transaction } from '../store/database.ts';
import { translateDatabaseError } from '../store/database-errors.ts';

/** Runs `work`, which refuses before it writes anything. Errors: AppError where the database is away. */
export async function writing<T>(
  db: Database,
  work: (tx: Transaction) => Promise<Result<T>>,
): Promise<Result<T>> {
  try {
    return await inTransaction(db, work);
  } catch (error) {
    throw translateDatabaseError(error);
  }
}
