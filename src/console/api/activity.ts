/** The live tail. */
import { document } from './document.ts';
import { EVENT_ROW, type EventRow } from './event.ts';

export const ACTIVITY_KINDS = [
  'EVENT_QUEUED',
  'EVENT_UNMATCHED',
  'EVENT_CHANGED',
  'ATTEMPT_STARTED',
  'ATTEMPT_SUCCEEDED',
  'ATTEMPT_FAILED',
  'INVOCATION_FAILED',
  'TRIGGER_CHANGED',
] as const;

export interface Activity {
  readonly cursor: string | null;
  readonly kind: (typeof ACTIVITY_KINDS)[number] | 'RESYNC';
  readonly at: string;
  readonly summary: string;
  readonly event: { readonly id: string; readonly type: string } | null;
  readonly trigger: { readonly id: string; readonly name: string } | null;
  readonly invocation: { readonly id: string; readonly triggerName: string } | null;
  readonly attempt: {
    readonly number: number;
    readonly durationMs: number | null;
    readonly errorCode: string | null;
    readonly response: { readonly statusCode: number } | null;
  } | null;
}

export interface ActivityFilter {
  readonly kind?: readonly string[];
  readonly eventType?: readonly string[];
  readonly triggerId?: readonly string[];
}

export const LIVE_TAIL = document<
  { liveTail: Activity },
  { filter: ActivityFilter; after: string | null }
>(`subscription LiveTail($filter: ActivityFilter, $after: String) {
  liveTail(filter: $filter, after: $after) {
    cursor kind at summary
    event { id type } trigger { id name } invocation { id triggerName }
    attempt { number durationMs errorCode response { statusCode } }
  }
}`);

/** What keeps a list of events fresh. */
export const EVENT_ACTIVITY = document<
  { liveTail: { readonly kind: string; readonly event: EventRow | null } },
  { filter: ActivityFilter }
>(`subscription EventActivity($filter: ActivityFilter) {
  liveTail(filter: $filter) { kind event { ${EVENT_ROW} } }
}`);
