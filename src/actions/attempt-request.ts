/** What one attempt sends, and what is recorded of it. */
import type { Header, WebhookRequest } from '../domain/attempt.ts';
import { deliveryHeaders, envelope } from '../domain/envelope.ts';
import { causeOf } from '../domain/invocation.ts';
import { sign } from '../domain/signature.ts';
import { attemptTraceparent } from '../domain/trace.ts';
import type { Delivery } from '../store/invocations.ts';
import type { AttemptRequest } from '../store/settlements.ts';
import { VERSION } from '../version.ts';
import { newSpanId, newUuid } from './ids.ts';
import type { DeliveryTrigger } from './trigger-cache.ts';

/** The request of one attempt (wire.md section 1): the same id and body every time, a new time and span. */
export function buildRequest(delivery: Delivery, trigger: DeliveryTrigger): WebhookRequest {
  const nowMs = Date.now();
  const { eventId: id, type, source, data } = delivery;
  const event = { id, type, source, data, dueAt: new Date(delivery.dueAtMs) };
  const { headers, body } = envelope(event, trigger.contentMode, trigger.specVersion);
  const timestamp = Math.floor(nowMs / 1000);
  const keys = trigger.keys
    .filter(({ expiresAt }) => expiresAt === null || expiresAt > nowMs)
    .map(({ key }) => key);
  const own: readonly Header[] = [
    ...headers,
    ...deliveryHeaders({
      version: VERSION,
      id: delivery.id,
      timestamp,
      signature: sign(keys, delivery.id, timestamp, body),
      traceparent: attemptTraceparent(delivery.traceparent, delivery.eventId, newSpanId()),
      tracestate: delivery.tracestate,
    }),
  ];
  return { url: trigger.url, headers: [...own, ...trigger.headers], body, timeoutMs: trigger.timeoutMs };
}

/** The attempt as it is recorded, secrets in the trigger's own headers masked. */
export function toAttempt(
  delivery: Delivery,
  trigger: DeliveryTrigger,
  request: WebhookRequest,
): AttemptRequest {
  const ownHeaders = request.headers.slice(0, request.headers.length - trigger.headers.length);
  return {
    id: newUuid(Date.now()),
    cause: causeOf(delivery.attemptCount + 1, delivery.manualAttempt),
    url: request.url,
    headers: [...ownHeaders, ...trigger.maskedHeaders],
    bodySize: request.body.length,
    contentMode: trigger.contentMode,
    specVersion: trigger.specVersion,
  };
}
