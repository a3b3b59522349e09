/** Jobs over many rows. */
import { document, type UserError } from './document.ts';
import type { EventFilter } from './event.ts';
import type { InvocationFilter } from './invocation.ts';

export type BulkKind = 'RETRY_INVOCATIONS' | 'CANCEL_EVENTS' | 'REPLAY_EVENTS';

export interface BulkOperation {
  readonly id: string;
  readonly kind: BulkKind;
  readonly status: 'RUNNING' | 'COMPLETED' | 'FAILED' | 'CANCELLED';
  readonly matched: number | null;
  readonly processed: number;
  readonly skipped: number;
  readonly createdAt: string;
  readonly filter: { readonly type?: readonly string[]; readonly eventType?: readonly string[] };
  readonly maxPerMinute: number | null;
  readonly errorMessage: string | null;
}

export interface BulkPayload {
  readonly bulkOperation: BulkOperation | null;
  readonly userErrors: readonly UserError[];
}

const OPERATION = 'id kind status matched processed skipped createdAt filter maxPerMinute errorMessage';
const PAYLOAD = `bulkOperation { ${OPERATION} } userErrors { field code message }`;

export const RETRY_INVOCATIONS = document<
  { retryInvocations: BulkPayload },
  { input: { filter: InvocationFilter } }
>(`mutation RetryInvocations($input: RetryInvocationsInput!) {
  retryInvocations(input: $input) { ${PAYLOAD} }
}`);

export const REPLAY_EVENTS = document<
  { replayEvents: BulkPayload },
  { input: { filter: EventFilter; triggerIds?: readonly string[]; maxPerMinute?: number } }
>(`mutation ReplayEvents($input: ReplayEventsInput!) {
  replayEvents(input: $input) { ${PAYLOAD} }
}`);

export const CANCEL_BULK_OPERATION = document<
  { cancelBulkOperation: BulkPayload },
  { input: { id: string } }
>(`mutation CancelBulkOperation($input: CancelBulkOperationInput!) {
  cancelBulkOperation(input: $input) { ${PAYLOAD} }
}`);

export const BULK_OPERATION = document<
  { bulkOperation: BulkOperation | null },
  { id: string }
>(`query BulkOperation($id: ID!) {
  bulkOperation(id: $id) { ${OPERATION} }
}`);

export const RUNNING_OPERATIONS = document<{
  bulkOperations: { readonly nodes: readonly BulkOperation[] };
}>(`query RunningOperations {
  bulkOperations(filter: {status: [RUNNING]}, first: 20) { nodes { ${OPERATION} } }
}`);
