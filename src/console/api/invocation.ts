/** Invocations and their attempts. */
import { type Connection, document, type UserError } from './document.ts';
import type { HttpHeader, Trigger } from './trigger.ts';

export type InvocationStatus =
  | 'SCHEDULED'
  | 'HELD'
  | 'QUEUED'
  | 'RUNNING'
  | 'RETRYING'
  | 'SUCCEEDED'
  | 'FAILED'
  | 'CANCELLED';

export const INVOCATION_STATUSES: readonly InvocationStatus[] = [
  'SCHEDULED',
  'HELD',
  'QUEUED',
  'RUNNING',
  'RETRYING',
  'SUCCEEDED',
  'FAILED',
  'CANCELLED',
];

/** Whether it stays so, unless somebody retries it. */
export function isFinal(status: InvocationStatus): boolean {
  return status === 'SUCCEEDED' || status === 'FAILED' || status === 'CANCELLED';
}

export interface InvocationRow {
  readonly id: string;
  readonly triggerName: string;
  readonly status: InvocationStatus;
  readonly failureReason: string | null;
  readonly attemptCount: number;
  readonly maxAttempts: number;
  readonly nextAttemptAt: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly event: { readonly id: string; readonly type: string };
  readonly lastAttempt: {
    readonly durationMs: number | null;
    readonly errorCode: string | null;
    readonly errorMessage: string | null;
    readonly response: { readonly statusCode: number } | null;
  } | null;
}

export const INVOCATION_ROW = `id triggerName status failureReason attemptCount maxAttempts nextAttemptAt createdAt
  updatedAt event { id type } lastAttempt { durationMs errorCode errorMessage response { statusCode } }`;

export interface InvocationFilter {
  readonly triggerId?: readonly string[];
  readonly eventType?: readonly string[];
  readonly status?: readonly string[];
  readonly lastErrorCode?: readonly string[];
  readonly createdAt?: { readonly from?: string; readonly to?: string };
}

export const INVOCATIONS = document<
  { invocations: Connection<InvocationRow> },
  { filter: InvocationFilter; first: number; after: string | null }
>(`query Invocations($filter: InvocationFilter, $first: Int, $after: String) {
  invocations(filter: $filter, first: $first, after: $after) {
    nodes { ${INVOCATION_ROW} } pageInfo { hasNextPage endCursor } totalCount { value capped }
  }
}`);

export interface InvocationUpdate {
  readonly kind: string;
  readonly status: InvocationStatus | null;
  readonly invocation: InvocationRow | null;
}

export const INVOCATION_UPDATED = document<
  { invocationUpdated: InvocationUpdate },
  { filter: InvocationFilter }
>(`subscription InvocationUpdated($filter: InvocationFilter) {
  invocationUpdated(filter: $filter, snapshot: false) { kind status invocation { ${INVOCATION_ROW} } }
}`);

/** The event an invocation belongs to: its page shows it. */
export const INVOCATION_EVENT = document<
  { invocation: { readonly event: { readonly id: string } } | null },
  { id: string }
>('query InvocationEvent($id: ID!) { invocation(id: $id) { event { id } } }');

export interface Timings {
  readonly dnsMs: number | null;
  readonly connectMs: number | null;
  readonly tlsMs: number | null;
  readonly firstByteMs: number | null;
  readonly totalMs: number | null;
}

export interface Attempt {
  readonly id: string;
  readonly number: number;
  readonly status: 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'ABANDONED';
  readonly cause: string;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly durationMs: number | null;
  readonly timings: Timings | null;
  readonly request: {
    readonly url: string;
    readonly headers: readonly HttpHeader[];
    readonly body: string | null;
    readonly bodySize: number;
  };
  readonly response: {
    readonly statusCode: number;
    readonly headers: readonly HttpHeader[];
    readonly body: string | null;
    readonly bodyTruncated: boolean;
    readonly remoteAddress: string | null;
  } | null;
}

export const REQUEST = 'url headers { name value } body bodySize';

export const ATTEMPT = `id number status cause errorCode errorMessage startedAt finishedAt durationMs
  timings { dnsMs connectMs tlsMs firstByteMs totalMs } request { ${REQUEST} }
  response { statusCode headers { name value } body bodyTruncated remoteAddress }`;

export interface InvocationDetail extends Omit<InvocationRow, 'event' | 'lastAttempt'> {
  readonly finishedAt: string | null;
  readonly deliveryLatencyMs: number | null;
  readonly trigger: Pick<
    Trigger,
    'id' | 'name' | 'url' | 'timeout' | 'retries' | 'retrySchedule' | 'status' | 'statusReason' | 'project'
  > | null;
  readonly attempts: Pick<Connection<Attempt>, 'nodes' | 'totalCount'>;
}

/** A dead letter, as far as grouping them needs it. */
export interface DeadLetter
  extends Pick<InvocationRow, 'id' | 'triggerName' | 'failureReason' | 'updatedAt'> {
  readonly trigger: { readonly id: string } | null;
  readonly event: { readonly id: string };
  readonly lastAttempt: InvocationRow['lastAttempt'];
}

export const DEAD_LETTERS = document<{ invocations: Connection<DeadLetter> }>(`query DeadLetters {
  invocations(filter: {status: [FAILED]}, first: 100, orderBy: {field: UPDATED_AT, direction: DESC}) {
    nodes {
      id triggerName failureReason updatedAt trigger { id } event { id }
      lastAttempt { durationMs errorCode errorMessage response { statusCode } }
    }
    pageInfo { hasNextPage endCursor } totalCount { value capped }
  }
}`);

interface InvocationPayload {
  readonly userErrors: readonly UserError[];
}

export const RETRY_INVOCATION = document<
  { retryInvocation: InvocationPayload },
  { input: { id: string } }
>(`mutation RetryInvocation($input: RetryInvocationInput!) {
  retryInvocation(input: $input) { userErrors { field code message } }
}`);

export const CANCEL_INVOCATION = document<
  { cancelInvocation: InvocationPayload },
  { input: { id: string } }
>(`mutation CancelInvocation($input: CancelInvocationInput!) {
  cancelInvocation(input: $input) { userErrors { field code message } }
}`);
