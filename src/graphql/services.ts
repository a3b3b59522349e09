/** What the GraphQL door needs from the house; `app.ts` hands it over. */

import type { BulkRunner } from '../actions/bulk-runner.ts';
import type { Queue } from '../actions/queue-event.ts';
import type { Trials } from '../actions/try-trigger.ts';
import type { TriggerDeps } from '../actions/write-trigger.ts';
import type { ChangeFeed } from '../store/changes.ts';
import type { Database } from '../store/database.ts';

export type { Caller } from '../domain/caller.ts';

export interface GraphqlServices {
  readonly db: Database;
  readonly feed: ChangeFeed;
  readonly queue: Queue;
  readonly triggers: TriggerDeps;
  readonly trials: Trials;
  readonly bulk: BulkRunner;
  readonly server: {
    readonly version: string;
    /** CloudEvents `source` of events that name none. */
    readonly defaultSource: string;
    /** In words, e.g. `public addresses only`. */
    readonly egressPolicy: string;
    readonly retentionDays: number;
  };
  /** Largest request body and WebSocket message. */
  readonly maxBodyBytes: number;
  readonly log: (level: 'warn' | 'error', message: string, fields: Record<string, unknown>) => void;
}
