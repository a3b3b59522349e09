/** Names of the object types that refer to one another, so that their files need not. */
import type { AttemptRow } from '../store/attempts.ts';
import type { EventRow } from '../store/events.ts';
import type { InvocationRow } from '../store/invocations.ts';
import type { TriggerRow } from '../store/triggers.ts';
import { builder } from './builder.ts';

export const TriggerRef = builder.objectRef<TriggerRow>('Trigger');
export const EventRef = builder.objectRef<EventRow>('Event');
export const InvocationRef = builder.objectRef<InvocationRow>('Invocation');
/** An attempt: as it is stored, or that of a test, which brings along what else follows from its invocation. */
export interface ShownAttempt extends Omit<AttemptRow, 'invocationId'>, ShownRequest {
  readonly invocationId: string | null;
}

/** The part of an attempt that says what was sent. */
export interface ShownRequest
  extends Pick<
    AttemptRow,
    'requestUrl' | 'requestHeaders' | 'requestBodySize' | 'contentMode' | 'specVersion'
  > {
  readonly invocationId: string | null;
  /** Of requests that belong to no invocation. */
  readonly requestBody?: string;
}

export const AttemptRef = builder.objectRef<ShownAttempt>('Attempt');
export const AttemptRequestRef = builder.objectRef<ShownRequest>('AttemptRequest');
