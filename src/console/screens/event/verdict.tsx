/** Why an event was, or was not, delivered: one sentence and what to do. */
import type { ComponentChildren } from 'preact';
import type { EventDetail } from '../../api/event.ts';
import type { InvocationDetail } from '../../api/invocation.ts';
import { Link } from '../../state/route.tsx';
import { Icon } from '../../ui/icon.tsx';
import { iconOf, type Tone, toneOf } from '../../ui/status.tsx';
import { Countdown } from '../../ui/time.tsx';
import { milliseconds, plural } from '../../ui/words.ts';
import { explain, explainReason } from '../explain.ts';

export function Verdict({ event }: { readonly event: EventDetail }) {
  const { status } = event;
  const troubled = event.invocations.nodes.find(
    (one) => one.status === 'FAILED' || one.status === 'RETRYING',
  );
  const held = event.invocations.nodes.find((one) => one.status === 'HELD');
  const tone: Tone = status === 'IN_PROGRESS' && troubled !== undefined ? 'warn' : toneOf(status);
  return (
    <section class={`verdict tone-${tone}`} aria-label="What became of it">
      <Icon name={status === 'IN_PROGRESS' && troubled !== undefined ? 'retry' : iconOf(status)} size={18} />
      <div role="status">
        <p class="verdict-what">{sentence(event, troubled, held)}</p>
        {advice(event, troubled)}
      </div>
    </section>
  );
}

function sentence(
  event: EventDetail,
  troubled: InvocationDetail | undefined,
  held: InvocationDetail | undefined,
): ComponentChildren {
  const { total, succeeded, failed } = event.invocationCounts;
  switch (event.status) {
    case 'SUCCEEDED':
      return `Delivered to ${total === 1 ? `“${event.invocations.nodes[0]?.triggerName}”` : plural(total, 'trigger')}${slowest(event)}.`;
    case 'FAILED':
      return `Not delivered to ${total === 1 ? `“${troubled?.triggerName ?? 'its trigger'}”` : `${failed} of ${plural(total, 'trigger')}`}. ${explainLast(troubled)}`;
    case 'UNMATCHED':
      return `No trigger was registered for “${event.type}” when this event was queued, so nothing was sent.`;
    case 'CANCELLED':
      return event.invocations.nodes.some(wasAnswered)
        ? 'Cancelled while an attempt was in flight, which the receiver took.'
        : 'Cancelled before it was delivered.';
    case 'SCHEDULED':
      return (
        <>
          Waiting until it is due, <Countdown to={event.dueAt} />.
        </>
      );
    case 'IN_PROGRESS':
      if (troubled !== undefined)
        return `Not delivered yet to “${troubled.triggerName}”. ${explainLast(troubled)}`;
      if (held !== undefined) return `Held, as the trigger “${held.triggerName}” is paused. Nothing is lost.`;
      return succeeded === 0
        ? 'Being delivered.'
        : `Delivered to ${succeeded} of ${plural(total, 'trigger')} so far.`;
  }
}

/** Cancelled, and received all the same. */
function wasAnswered({ attempts }: InvocationDetail): boolean {
  return attempts.nodes.some(({ status }) => status === 'SUCCEEDED');
}

function explainLast(invocation: InvocationDetail | undefined): string {
  const last = invocation?.attempts.nodes.at(-1);
  const explained = last === undefined ? null : explain(last);
  return explained?.what ?? explainReason(invocation?.failureReason ?? null);
}

function slowest(event: EventDetail): string {
  const latencies = event.invocations.nodes.map(({ deliveryLatencyMs }) => deliveryLatencyMs ?? 0);
  const attempts = Math.max(...event.invocations.nodes.map(({ attemptCount }) => attemptCount));
  const after = latencies.length === 0 ? '' : ` ${milliseconds(Math.max(...latencies))} after it was due`;
  return attempts > 1 ? `${after}, at attempt ${attempts}` : after;
}

function advice(event: EventDetail, troubled: InvocationDetail | undefined): ComponentChildren {
  if (event.status === 'UNMATCHED') {
    const to = `/triggers?add=${encodeURIComponent(event.type)}`;
    return (
      <p>
        Triggers see only events that come after them. <Link to={to}>Add a trigger for this type</Link>, then
        send the event again.
      </p>
    );
  }
  const last = troubled?.attempts.nodes.at(-1);
  if (troubled === undefined || last === undefined) return null;
  return (
    <p>
      {explain(last)?.advice}{' '}
      {troubled.status === 'RETRYING' && troubled.nextAttemptAt !== null && (
        <strong>
          Next attempt <Countdown to={troubled.nextAttemptAt} />.
        </strong>
      )}
    </p>
  );
}
