/** Jobs over many rows, which run in the background. */

export const BULK_OPERATION_KINDS = ['RETRY_INVOCATIONS', 'CANCEL_EVENTS'] as const;
export type BulkOperationKind = (typeof BULK_OPERATION_KINDS)[number];

export const BULK_OPERATION_STATUSES = ['RUNNING', 'COMPLETED', 'FAILED'] as const;
export type BulkOperationStatus = (typeof BULK_OPERATION_STATUSES)[number];

/** Most at work at once of callers that see the same projects: each holds up the others. */
export const MAX_RUNNING_OPERATIONS = 20;
/** Retries planned per minute where nobody says how many: as fast as a process on a small machine delivers with ease. */
export const DEFAULT_RETRIES_PER_MINUTE = 30_000;
/** Most per minute that can be asked for. */
export const MAX_RETRIES_PER_MINUTE = 600_000;
