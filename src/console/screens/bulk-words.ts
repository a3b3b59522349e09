/** Jobs over many rows, in words. */
import type { BulkKind, BulkOperation } from '../api/bulk.ts';
import { plural } from '../ui/words.ts';

/** What is done to how many. */
const DONE: Readonly<Record<BulkKind, (count: number) => string>> = {
  RETRY_INVOCATIONS: (count) => `${plural(count, 'delivery', 'deliveries')} retried`,
  CANCEL_EVENTS: (count) => `${plural(count, 'event')} cancelled`,
  REPLAY_EVENTS: (count) => `${plural(count, 'event')} replayed`,
};

export const DOING: Readonly<Record<BulkKind, string>> = {
  RETRY_INVOCATIONS: 'Retrying deliveries',
  CANCEL_EVENTS: 'Cancelling events',
  REPLAY_EVENTS: 'Replaying events',
};

export function outcomeOf({ kind, status, processed, skipped }: BulkOperation): string {
  const left = skipped > 0 ? `, ${skipped} left as they were` : '';
  const end = status === 'CANCELLED' ? ', then stopped' : '';
  return `${DONE[kind](processed)}${left}${end}.`;
}
