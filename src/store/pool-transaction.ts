/** A transaction on a connection that nobody else uses meanwhile. */
import { connectionError, type PoolConnection } from './pool-connection.ts';
import { createStatement, type Statements } from './pool-statement.ts';

/** Statements of a transaction. */
export interface TransactionStatements extends Statements {
  /** Runs `work`; where it fails, what it did is undone, and the transaction can go on. */
  savepoint<T>(work: (transaction: TransactionStatements) => Promise<T>): Promise<T>;
}

/**
 * BEGIN, `work`, COMMIT; or ROLLBACK where `work` or any of its statements failed, even one whose failure it caught, unless
 * a savepoint was there to go back to: by then the server has given the transaction up. Statements that `work` sends after
 * its end are refused.
 */
export async function runTransaction<T>(
  connection: PoolConnection,
  work: (transaction: TransactionStatements) => Promise<T>,
): Promise<T> {
  let over = false;
  const failures: unknown[] = [];
  const run: PoolConnection['run'] = async (ask) => {
    if (over) throw connectionError('CONNECTION_CLOSED');
    try {
      return await connection.run(ask);
    } catch (error) {
      failures.push(error);
      throw error;
    }
  };
  let savepoints = 0;
  const transaction: TransactionStatements = {
    unsafe: (text, parameters, options) => createStatement(run, text, parameters, options),
    async savepoint(inner) {
      const name = `s${++savepoints}`;
      const before = failures.length;
      await run((client) => client.unsafe(`savepoint ${name}`));
      try {
        const answer = await inner(transaction);
        if (failures.length > before) throw failures[before];
        await run((client) => client.unsafe(`release savepoint ${name}`));
        return answer;
      } catch (error) {
        await run((client) => client.unsafe(`rollback to savepoint ${name}`));
        failures.length = before;
        throw error;
      }
    },
  };
  await connection.run((client) => client.unsafe('begin'));
  try {
    const answer = await work(transaction);
    if (failures.length > 0) throw failures[0];
    over = true;
    await connection.run((client) => client.unsafe('commit'));
    return answer;
  } catch (error) {
    over = true;
    // Without a connection there is no transaction left; and one that cannot be rolled back must not be used again.
    if (!connection.isClosed()) {
      await connection.run((client) => client.unsafe('rollback')).catch(() => connection.close());
    }
    throw error;
  }
}
