/** Statistics and the queue. */
import { document } from './document.ts';

export type StatsWindow = 'LAST_HOUR' | 'LAST_24_HOURS' | 'LAST_7_DAYS' | 'LAST_30_DAYS';

export interface Bucket {
  readonly from: string;
  readonly eventsQueued: number;
  readonly attemptsSucceeded: number;
  readonly attemptsFailed: number;
  readonly retries: number;
  readonly deliveryLatency: Pick<Latency, 'p50Ms' | 'p95Ms'>;
}

export interface Latency {
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  readonly maxMs: number | null;
}

export interface Stats {
  readonly from: string;
  readonly to: string;
  readonly eventsQueued: number;
  readonly invocationsSucceeded: number;
  readonly invocationsFailed: number;
  readonly attempts: number;
  readonly retries: number;
  readonly successRate: number | null;
  readonly attemptDuration: Latency;
  readonly deliveryLatency: Latency;
  readonly buckets: readonly Bucket[];
}

const STATS = `
  from to eventsQueued invocationsSucceeded invocationsFailed attempts retries successRate
  attemptDuration { p50Ms p95Ms p99Ms maxMs } deliveryLatency { p50Ms p95Ms p99Ms maxMs }
  buckets { from eventsQueued attemptsSucceeded attemptsFailed retries deliveryLatency { p50Ms p95Ms } }`;

export const DELIVERY_STATS = document<{ stats: Stats }, { window: StatsWindow }>(
  `query DeliveryStats($window: StatsWindow!) { stats(window: $window) { ${STATS} } }`,
);

export const TRIGGER_STATS = document<
  { trigger: { readonly stats: Stats } | null },
  { id: string; window: StatsWindow }
>(
  `query TriggerStats($id: ID!, $window: StatsWindow!) { trigger(id: $id) { stats(window: $window) { ${STATS} } } }`,
);

export interface Worker {
  readonly id: string;
  readonly startedAt: string;
  readonly heartbeatAt: string;
  readonly running: number;
  readonly concurrency: number;
}

export interface QueueStatus {
  readonly scheduled: number;
  readonly ready: number;
  readonly running: number;
  readonly retrying: number;
  readonly held: number;
  readonly deadLetters: number;
  readonly oldestReadyAgeSeconds: number;
  readonly workers: readonly Worker[];
}

export const QUEUE_STATUS = document<{ queueStatus: QueueStatus }>(`subscription QueueStatus {
  queueStatus(intervalMs: 1000) {
    scheduled ready running retrying held deadLetters oldestReadyAgeSeconds
    workers { id startedAt heartbeatAt running concurrency }
  }
}`);

export interface EventType {
  readonly type: string;
  readonly triggerCount: number;
  readonly eventCount: number;
  readonly lastSeenAt: string | null;
}

export const EVENT_TYPES = document<{ eventTypes: readonly EventType[] }>(
  'query EventTypes { eventTypes { type triggerCount eventCount lastSeenAt } }',
);
