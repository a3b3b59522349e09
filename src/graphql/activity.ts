/** What the live tail says of a change: its kinds, and a line of English. */
import type { AttemptRow } from '../store/attempts.ts';
import type { TriggerChange } from '../store/change-entries.ts';
import type { DatedChange } from '../store/change-log.ts';
import type { InvocationRow } from '../store/invocations.ts';

export type ActivityKind =
  | 'EVENT_QUEUED'
  | 'EVENT_UNMATCHED'
  | 'EVENT_CHANGED'
  | 'ATTEMPT_STARTED'
  | 'ATTEMPT_SUCCEEDED'
  | 'ATTEMPT_FAILED'
  | 'INVOCATION_FAILED'
  | 'TRIGGER_CHANGED'
  | 'RESYNC';

/** The kinds a change may turn out to be, before its rows are read; most are none. */
export function kindsOf(change: DatedChange): readonly ActivityKind[] {
  if (change.kind === 'TRIGGER') return ['TRIGGER_CHANGED'];
  if (change.kind === 'EVENT_QUEUED') return [change.invocations === 0 ? 'EVENT_UNMATCHED' : 'EVENT_QUEUED'];
  const { from, to, attempt } = change;
  if (attempt === null) {
    if (from === null) return [];
    if (to === 'FAILED') return ['INVOCATION_FAILED'];
    const moved = from === 'SCHEDULED' && (to === 'SCHEDULED' || to === 'QUEUED');
    return to === 'CANCELLED' || moved ? ['EVENT_CHANGED'] : [];
  }
  switch (to) {
    case 'RUNNING':
      return ['ATTEMPT_STARTED'];
    case 'SUCCEEDED':
      return ['ATTEMPT_SUCCEEDED'];
    case 'FAILED':
      return ['ATTEMPT_FAILED', 'INVOCATION_FAILED'];
    case 'CANCELLED':
      // The attempt was in flight when the invocation was cancelled: its row says how it ended.
      return ['ATTEMPT_SUCCEEDED', 'ATTEMPT_FAILED'];
    default:
      return ['ATTEMPT_FAILED'];
  }
}

export interface ChangeRows {
  readonly invocation: InvocationRow | null;
  readonly attempt: AttemptRow | null;
  /** The trigger's name, where the change is one of a trigger. */
  readonly triggerName: string | null;
}

/** Whether the change is of that kind indeed. */
export function isOfKind(kind: ActivityKind, change: DatedChange, { attempt }: ChangeRows): boolean {
  if (change.kind !== 'INVOCATION' || change.to !== 'CANCELLED' || change.attempt === null) return true;
  return (attempt?.status === 'SUCCEEDED') === (kind === 'ATTEMPT_SUCCEEDED');
}

export function summaryOf(kind: ActivityKind, change: DatedChange, rows: ChangeRows): string {
  if (change.kind === 'TRIGGER')
    return `trigger ${rows.triggerName ?? change.trigger} ${TRIGGER_VERBS[change.change]}`;
  if (change.kind === 'EVENT_QUEUED') return `${change.type} ${queued(change.invocations)}`;
  const { invocation, attempt } = rows;
  const what = `${change.type} → ${invocation?.triggerName ?? change.trigger}`;
  switch (kind) {
    case 'ATTEMPT_STARTED':
      return `${what}: attempt ${change.attempt} in flight`;
    case 'ATTEMPT_SUCCEEDED':
      return `${what}: attempt ${change.attempt} succeeded${outcomeOf(attempt)}`;
    case 'ATTEMPT_FAILED':
      return `${what}: attempt ${change.attempt} failed${outcomeOf(attempt)}${NEXT[change.to] ?? ''}`;
    case 'INVOCATION_FAILED':
      return `${what}: given up${invocation?.failureReason ? `, ${inWords(invocation.failureReason)}` : ''}`;
    default:
      return `${what}: ${change.to === 'CANCELLED' ? 'cancelled' : 'rescheduled'}`;
  }
}

const TRIGGER_VERBS: Readonly<Record<TriggerChange, string>> = {
  CREATED: 'created',
  CHANGED: 'changed',
  PAUSED: 'paused',
  RESUMED: 'resumed',
  DISABLED: 'disabled',
  DELETED: 'deleted',
};

const NEXT: Readonly<Partial<Record<string, string>>> = {
  RETRYING: '; a retry is planned',
  HELD: '; held, the trigger is paused',
};

function queued(invocations: number): string {
  if (invocations === 0) return 'queued; no trigger matches';
  return `queued for ${invocations} trigger${invocations === 1 ? '' : 's'}`;
}

/** `, 503 in 12 ms` or `, connection refused in 2 ms`, as far as it is known. */
function outcomeOf(attempt: AttemptRow | null): string {
  if (attempt === null) return '';
  const { responseStatus, errorCode } = attempt;
  // The status itself says what HTTP_STATUS does.
  const error = errorCode === null || errorCode === 'HTTP_STATUS' ? null : inWords(errorCode);
  const parts = [responseStatus, error].filter((part) => part !== null);
  const duration = attempt.totalMs === null ? '' : ` in ${Math.round(attempt.totalMs)} ms`;
  return parts.length === 0 && duration === '' ? '' : `, ${parts.join(' ')}${duration}`;
}

/** `CONNECTION_REFUSED` → `connection refused`. */
function inWords(code: string): string {
  return code
    .split('_')
    .map((word) => (ACRONYMS.has(word) ? word : word.toLowerCase()))
    .join(' ');
}

const ACRONYMS = new Set(['DNS', 'TLS']);
