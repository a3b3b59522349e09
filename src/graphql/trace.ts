/** W3C Trace Context of the request, to continue with what it queues. */
import { isTraceparent } from '../domain/event.ts';
import type { RequestHeaders, Trace } from './context.ts';

/** Characters of a tracestate that must be kept (Trace Context, section 3.3.1.5); longer ones are dropped whole. */
const MAX_TRACESTATE_LENGTH = 512;

/** A malformed traceparent starts a new trace, as the specification has it, and is no error. */
export function readTrace({ traceparent, tracestate }: RequestHeaders): Trace {
  if (typeof traceparent !== 'string' || !isTraceparent(traceparent))
    return { traceparent: null, tracestate: null };
  const state = typeof tracestate === 'string' ? tracestate : '';
  const fits = /^[\x20-\x7e]+$/.test(state) && state.length <= MAX_TRACESTATE_LENGTH;
  return { traceparent, tracestate: fits ? state : null };
}
