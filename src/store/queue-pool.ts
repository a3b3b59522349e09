/** The pg pool as graphile-worker needs it. */
import pg from 'pg';
import { steady } from './queue-statements.ts';

type Release = (error?: Error | boolean) => void;
type Connected = (error: Error | undefined, client: pg.PoolClient | undefined, release: Release) => void;

/**
 * Takes a connection back once, however often it is given back. A queue that is stopped while its LISTEN is on the way
 * to a database that goes away gives its connection back twice, and pg's answer would be an unhandled rejection, which
 * ends the process.
 */
export class QueuePool extends pg.Pool {
  override connect(): Promise<pg.PoolClient>;
  override connect(connected: Connected): void;
  override connect(connected?: Connected): Promise<pg.PoolClient> | undefined {
    if (connected === undefined) return super.connect();
    super.connect((error, client, release) => connected(error, client, once(release)));
    return undefined;
  }
}

/** Sends graphile-worker's statements in a form whose plan does not depend on when it was made (queue-statements.ts). */
export class QueueClient extends pg.Client {
  override query(...asked: unknown[]): never {
    const [first, ...others] = asked;
    // pg's own types for its many ways to be called cannot be met by one function; what comes back is passed on.
    return (super.query as (...all: unknown[]) => never).call(
      this,
      isNamed(first) ? { ...first, text: steady(first.text) } : first,
      ...others,
    );
  }
}

/** Statements that come again and again have a name. */
function isNamed(query: unknown): query is { readonly name: string; readonly text: string } {
  if (typeof query !== 'object' || query === null || !('name' in query) || !('text' in query)) return false;
  return typeof query.name === 'string' && typeof query.text === 'string';
}

function once(release: Release): Release {
  let released = false;
  return (error) => {
    if (released) return;
    released = true;
    release(error);
  };
}
