/** W3C Trace Context of an attempt: the event's trace goes on, each attempt is a span of its own. */

/**
 * The `traceparent` of one attempt. `received` is the event's own; without one the event's id is the trace id, so
 * that all attempts of an event can be found together. `spanId` is 16 hex digits, new for each attempt.
 */
export function attemptTraceparent(received: string | null, eventId: string, spanId: string): string {
  const [, traceId, , flags] = received?.split('-') ?? [];
  return `00-${traceId ?? eventId.replaceAll('-', '')}-${spanId}-${flags ?? '00'}`;
}
