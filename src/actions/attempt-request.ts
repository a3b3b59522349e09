/** What one attempt sends, and what is recorded of it. */
import type { Header, WebhookRequest } from '../domain/attempt.ts';
import { deliveryHeaders, envelope } from '../domain/envelope.ts';
import type { AttemptCause } from '../domain/invocation.ts';
import { sign } from '../domain/signature.ts';
import { attemptTraceparent } from '../domain/trace.ts';
import type { Delivery } from '../store/invocations.ts';
import type { AttemptRequest } from '../store/settlements.ts';
import { VERSION } from '../version.ts';
import { newSpanId, newUuid } from './ids.ts';
import type { DeliveryTrigger } from './trigger-cache.ts';

/** What an event and its invocation give to a request; the trigger gives the rest. `id` is the `webhook-id`. */
export type Message = Pick<
  Delivery,
  'id' | 'eventId' | 'type' | 'source' | 'data' | 'dueAtMs' | 'traceparent' | 'tracestate'
>;

/** The request of one attempt (wire.md section 1): the same id and body every time, a new time and span. */
export function buildRequest(message: Message, trigger: DeliveryTrigger): WebhookRequest {
  const nowMs = Date.now();
  const { eventId, type, source, data } = message;
  const event = { id: eventId, type, source, data, dueAt: new Date(message.dueAtMs) };
  const { headers, body } = envelope(event, trigger.contentMode, trigger.specVersion);
  const timestamp = Math.floor(nowMs / 1000);
  const keys = trigger.keys
    .filter(({ expiresAt }) => expiresAt === null || expiresAt > nowMs)
    .map(({ key }) => key);
  const own: readonly Header[] = [
    ...headers,
    ...deliveryHeaders({
      version: VERSION,
      id: message.id,
      timestamp,
      signature: sign(keys, message.id, timestamp, body),
      traceparent: attemptTraceparent(message.traceparent, eventId, newSpanId()),
      tracestate: message.tracestate,
    }),
  ];
  return { url: trigger.url, headers: [...own, ...trigger.headers], body, timeoutMs: trigger.timeoutMs };
}

/** The attempt as it is recorded, secrets in the trigger's own headers masked. */
export function toAttempt(
  cause: AttemptCause,
  trigger: DeliveryTrigger,
  request: WebhookRequest,
): AttemptRequest {
  const ownHeaders = request.headers.slice(0, request.headers.length - trigger.headers.length);
  return {
    id: newUuid(Date.now()),
    cause,
    url: request.url,
    headers: [...ownHeaders, ...trigger.maskedHeaders],
    bodySize: request.body.length,
    contentMode: trigger.contentMode,
    specVersion: trigger.specVersion,
  };
}
