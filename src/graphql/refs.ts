/** Names of the object types that refer to one another, so that their files need not. */
import type { AttemptRow } from '../store/attempts.ts';
import type { EventRow } from '../store/events.ts';
import type { InvocationRow } from '../store/invocations.ts';
import type { TriggerRow } from '../store/triggers.ts';
import { builder } from './builder.ts';

export const TriggerRef = builder.objectRef<TriggerRow>('Trigger');
export const EventRef = builder.objectRef<EventRow>('Event');
export const InvocationRef = builder.objectRef<InvocationRow>('Invocation');
export const AttemptRef = builder.objectRef<AttemptRow>('Attempt');
