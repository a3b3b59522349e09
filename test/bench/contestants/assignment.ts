/** What a contestant's process is told on its command line. */
import pg from 'pg';
import type { EmbeddedConnection } from '../../../src/store/embedded.ts';

export interface Assignment {
  readonly address: EmbeddedConnection;
  readonly url: string;
  /** AS_DOCUMENTED: what its documentation shows. TUNED: as fast as we could make it. */
  readonly manner: 'AS_DOCUMENTED' | 'TUNED';
  readonly redisUrl: string | null;
  /** Name of the queue in Redis. */
  readonly queue: string;
}

export function readAssignment(): Assignment {
  return JSON.parse(process.argv[2] ?? '{}') as Assignment;
}

export function openPool(assignment: Assignment, max: number, options = ''): pg.Pool {
  const pool = new pg.Pool({ ...assignment.address, max, ...(options !== '' && { options }) });
  // The database is dropped under us at the end.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}
