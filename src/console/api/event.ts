/** Events: lists, one with everything about it, and queueing one. */
import { type Connection, document, type UserError } from './document.ts';
import { ATTEMPT, type InvocationDetail } from './invocation.ts';

export type EventStatus = 'SCHEDULED' | 'IN_PROGRESS' | 'SUCCEEDED' | 'FAILED' | 'CANCELLED' | 'UNMATCHED';

export const EVENT_STATUSES: readonly EventStatus[] = [
  'SCHEDULED',
  'IN_PROGRESS',
  'SUCCEEDED',
  'FAILED',
  'CANCELLED',
  'UNMATCHED',
];

export interface Counts {
  readonly total: number;
  readonly pending: number;
  readonly running: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
}

export interface EventRow {
  readonly id: string;
  readonly project: string;
  readonly type: string;
  readonly status: EventStatus;
  readonly receivedAt: string;
  readonly dueAt: string;
  readonly finishedAt: string | null;
  readonly origin: string;
  readonly dataSize: number;
  readonly invocationCounts: Counts;
}

export const EVENT_ROW = `id project type status receivedAt dueAt finishedAt origin dataSize
  invocationCounts { total pending running succeeded failed cancelled }`;

export interface EventFilter {
  readonly type?: readonly string[];
  readonly status?: readonly string[];
  readonly receivedAt?: { readonly from?: string; readonly to?: string };
}

export const EVENTS = document<
  { events: Connection<EventRow> },
  { filter: EventFilter; first: number; after: string | null }
>(`query Events($filter: EventFilter, $first: Int, $after: String) {
  events(filter: $filter, first: $first, after: $after) {
    nodes { ${EVENT_ROW} } pageInfo { hasNextPage endCursor } totalCount { value capped }
  }
}`);

export interface EventDetail extends EventRow {
  readonly source: string;
  readonly dataText: string | null;
  readonly dataRemoved: boolean;
  readonly idempotencyKey: string | null;
  readonly traceparent: string | null;
  /** The event that this one repeats. */
  readonly replayOf: { readonly id: string } | null;
  readonly invocations: Pick<Connection<InvocationDetail>, 'nodes' | 'totalCount'>;
}

const INVOCATION = `id triggerName status failureReason attemptCount maxAttempts nextAttemptAt createdAt updatedAt
  finishedAt deliveryLatencyMs
  trigger { id name url timeout retries retrySchedule status statusReason project }
  attempts(last: 20) { nodes { ${ATTEMPT} } totalCount { value capped } }`;

export const EVENT = document<{ event: EventDetail | null }, { id: string }>(`query Event($id: ID!) {
  event(id: $id) {
    ${EVENT_ROW} source dataText dataRemoved idempotencyKey traceparent replayOf { id }
    invocations(first: 50, orderBy: {field: CREATED_AT, direction: ASC}) {
      nodes { ${INVOCATION} } totalCount { value capped }
    }
  }
}`);

/** Says that something about the event has changed; what has is asked for with `EVENT`. */
export const EVENT_PROGRESS = document<
  { eventProgress: { readonly at: string; readonly done: boolean } },
  { id: string }
>('subscription EventProgress($id: ID!) { eventProgress(id: $id) { at done counts { total } } }');

/** What the receivers answered so far, for who waits for it. */
export const EVENT_ANSWER = document<
  {
    eventProgress: {
      readonly event: {
        readonly status: EventStatus;
        readonly invocations: { readonly nodes: readonly AnsweredInvocation[] };
      };
    };
  },
  { id: string }
>(`subscription EventAnswer($id: ID!) {
  eventProgress(id: $id) {
    event {
      status
      invocations(first: 20) {
        nodes { status lastAttempt { durationMs errorCode response { statusCode body } } }
      }
    }
  }
}`);

export interface AnsweredInvocation {
  readonly status: string;
  readonly lastAttempt: {
    readonly durationMs: number | null;
    readonly errorCode: string | null;
    readonly response: { readonly statusCode: number; readonly body: string | null } | null;
  } | null;
}

export interface QueueInput {
  readonly type: string;
  readonly project: string;
  readonly dataText: string;
  readonly delay?: number;
  readonly timestamp?: string;
}

export const QUEUE_EVENT = document<
  {
    queueEvent: { readonly event: { readonly id: string } | null; readonly userErrors: readonly UserError[] };
  },
  { input: QueueInput }
>(`mutation QueueEvent($input: QueueEventInput!) {
  queueEvent(input: $input) { event { id } userErrors { field code message } }
}`);

export const CANCEL_EVENT = document<
  { cancelEvent: { readonly cancelledCount: number; readonly userErrors: readonly UserError[] } },
  { input: { id: string } }
>(`mutation CancelEvent($input: CancelEventInput!) {
  cancelEvent(input: $input) { cancelledCount userErrors { field code message } }
}`);

export const RESCHEDULE_EVENT = document<
  {
    rescheduleEvent: {
      readonly event: { readonly dueAt: string } | null;
      readonly userErrors: readonly UserError[];
    };
  },
  { input: { id: string; timestamp?: string } }
>(`mutation RescheduleEvent($input: RescheduleEventInput!) {
  rescheduleEvent(input: $input) { event { dueAt } userErrors { field code message } }
}`);
