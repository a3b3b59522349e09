/** Jobs over many rows, which run in the background. */
import type { Scope } from './caller.ts';

export const BULK_OPERATION_KINDS = ['RETRY_INVOCATIONS', 'CANCEL_EVENTS', 'REPLAY_EVENTS'] as const;
export type BulkOperationKind = (typeof BULK_OPERATION_KINDS)[number];

export const BULK_OPERATION_STATUSES = ['RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'] as const;
export type BulkOperationStatus = (typeof BULK_OPERATION_STATUSES)[number];

/** Most at work at once of callers that see the same projects: each holds up the others. */
export const MAX_RUNNING_OPERATIONS = 20;
/** Rows a minute where nobody says how many: as fast as a process on a small machine delivers with ease. */
export const DEFAULT_ROWS_PER_MINUTE = 30_000;
/** Most per minute that can be asked for. */
export const MAX_ROWS_PER_MINUTE = 600_000;

/** What a token must be allowed to do to begin, or stop, an operation. */
export const SCOPE_OF_BULK: Readonly<Record<BulkOperationKind, Scope>> = {
  RETRY_INVOCATIONS: 'EVENTS_RETRY',
  CANCEL_EVENTS: 'EVENTS_WRITE',
  REPLAY_EVENTS: 'EVENTS_RETRY',
};
