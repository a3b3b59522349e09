/** CloudEvents on the wire: the body around an event's data, and the headers that say how to read it. */
import type { Header } from './attempt.ts';

/** How a CloudEvent is put into the request (CloudEvents HTTP Protocol Binding, section 3). */
export const CONTENT_MODES = ['JSON', 'STRUCTURED', 'BINARY'] as const;
export type ContentMode = (typeof CONTENT_MODES)[number];

/** CloudEvents `specversion`s a trigger can send; the first is what Space Cloud sent. */
export const SPEC_VERSIONS = ['1.0-rc1', '1.0'] as const;
export type SpecVersion = (typeof SPEC_VERSIONS)[number];

export interface EnvelopeEvent {
  /** Id of the event, not of the invocation. */
  readonly id: string;
  readonly type: string;
  readonly source: string;
  /** The event's due time, never the attempt's. */
  readonly dueAt: Date;
  /** Exact JSON text. */
  readonly data: string;
}

export interface Envelope {
  readonly headers: readonly Header[];
  readonly body: Buffer;
}

/**
 * Body and content headers of `event`. The data are put in by concatenation, so their text arrives exactly as it
 * was received (wire.md section 1); the keys stand in the order Space Cloud sent them.
 */
export function envelope(event: EnvelopeEvent, mode: ContentMode, specVersion: SpecVersion): Envelope {
  if (mode === 'BINARY') return binary(event, specVersion);
  const text =
    `{"specversion":"${specVersion}","id":"${event.id}","type":${JSON.stringify(event.type)},` +
    `"source":${JSON.stringify(event.source)},"time":"${event.dueAt.toISOString()}","data":${event.data}}`;
  const type = mode === 'STRUCTURED' ? 'application/cloudevents+json' : 'application/json';
  return { headers: [['content-type', type]], body: Buffer.from(text) };
}

function binary(event: EnvelopeEvent, specVersion: SpecVersion): Envelope {
  return {
    headers: [
      ['content-type', 'application/json'],
      ['ce-specversion', specVersion],
      ['ce-id', event.id],
      ['ce-type', percentEncode(event.type)],
      ['ce-source', percentEncode(event.source)],
      ['ce-time', event.dueAt.toISOString()],
    ],
    body: Buffer.from(event.data),
  };
}

/** HTTP Protocol Binding section 3.1.3.2: space, `"`, `%` and all beyond visible ASCII as percent-encoded UTF-8. */
function percentEncode(text: string): string {
  return text.replace(/[^\x21\x23\x24\x26-\x7e]/gu, (character) =>
    Array.from(Buffer.from(character), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(
      '',
    ),
  );
}

/** What an attempt's own headers say, beside those of its envelope. */
export interface DeliveryFacts {
  /** Herald's release. */
  readonly version: string;
  /** Of the invocation. */
  readonly id: string;
  /** Whole seconds since the epoch. */
  readonly timestamp: number;
  /** See `sign`. */
  readonly signature: string;
  readonly traceparent: string;
  readonly tracestate: string | null;
}

/** Headers of every delivery: who sends it, Standard Webhooks', and W3C Trace Context. */
export function deliveryHeaders(facts: DeliveryFacts): readonly Header[] {
  return [
    ['user-agent', `herald/${facts.version}`],
    ['webhook-id', facts.id],
    ['webhook-timestamp', String(facts.timestamp)],
    ['webhook-signature', facts.signature],
    ['traceparent', facts.traceparent],
    ...(facts.tracestate === null ? [] : [['tracestate', facts.tracestate] as const]),
  ];
}
