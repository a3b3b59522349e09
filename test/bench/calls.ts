/** The calls that the load consists of. */
import { PAYLOAD_SIZE, payload, TOKEN } from './payload.ts';

export interface Call {
  readonly kind: 'QUEUE_EVENT' | 'QUEUE_EVENTS' | 'REST' | 'NO_DATABASE' | 'HAND_ROLLED';
  readonly url: string;
  /** Event types, taken in turns. */
  readonly types: readonly string[];
  /** Events a call. */
  readonly batch: number;
}

export const PAYLOAD_NOTE = `${PAYLOAD_SIZE} bytes of JSON`;

const QUEUE_EVENT = JSON.stringify(
  'mutation Queue($input: QueueEventInput!) { queueEvent(input: $input) { event { id } userErrors { code message } } }',
);
const QUEUE_EVENTS = JSON.stringify(
  'mutation Queue($input: QueueEventsInput!) { queueEvents(input: $input) { events { id } userErrors { code message } } }',
);
const HEADERS = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };

let lastId = 0;

/** `sentAt` in epoch milliseconds goes into the data of each event. */
export function writeCall(
  call: Call,
  sentAt: number,
): { readonly path: string; readonly headers: Readonly<Record<string, string>>; readonly body: string } {
  const event = (): string => {
    const id = ++lastId;
    return `{"type":"${call.types[id % call.types.length]}","data":${payload(id, sentAt)}}`;
  };
  switch (call.kind) {
    case 'QUEUE_EVENT':
      return graphql(`{"query":${QUEUE_EVENT},"variables":{"input":${event()}}}`);
    case 'QUEUE_EVENTS': {
      const events = Array.from({ length: call.batch }, event).join(',');
      return graphql(`{"query":${QUEUE_EVENTS},"variables":{"input":{"events":[${events}]}}}`);
    }
    case 'NO_DATABASE':
      return graphql('{"query":"{ __typename }"}');
    case 'REST':
    case 'HAND_ROLLED':
      return { path: '/queue', headers: HEADERS, body: event() };
  }
}

const graphql = (body: string) => ({ path: '/graphql', headers: HEADERS, body });

/** Errors in GraphQL come with 200. */
export function isAccepted(status: number, text: string): boolean {
  return status === 200 && !text.includes('"errors":[') && !text.includes('"userErrors":[{');
}
