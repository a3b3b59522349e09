/** One trigger's delivery of the event: a timeline of everything that happened and will. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { EventDetail } from '../../api/event.ts';
import type { InvocationDetail } from '../../api/invocation.ts';
import { Link } from '../../state/route.tsx';
import { Copy } from '../../ui/copy.tsx';
import { Icon, type IconName } from '../../ui/icon.tsx';
import { iconOf, Status, type Tone } from '../../ui/status.tsx';
import { Countdown, Moment } from '../../ui/time.tsx';
import { milliseconds } from '../../ui/words.ts';
import { explainPause, explainReason } from '../explain.ts';
import { AttemptItem } from './attempt-item.tsx';
import { InvocationActions } from './invocation-actions.tsx';

interface InvocationCardProps {
  readonly invocation: InvocationDetail;
  readonly event: EventDetail;
  readonly onChanged: () => void;
}

export function InvocationCard({ invocation, event, onChanged }: InvocationCardProps) {
  const { id, trigger, triggerName, status, attempts, attemptCount, maxAttempts } = invocation;
  const card = useRef<HTMLElement>(null);
  useEffect(() => {
    if (location.hash === `#${id}`) card.current?.scrollIntoView({ block: 'nearest' });
  }, [id]);
  const older = attempts.totalCount.value - attempts.nodes.length;
  return (
    <section class="panel flush" ref={card} id={id} aria-label={`Delivery to ${triggerName}`}>
      <header class="panel-head">
        <div>
          <h2>
            {trigger === null ? triggerName : <Link to={`/triggers/${trigger.id}`}>{triggerName}</Link>}
          </h2>
          <p class="muted ellipsis">{trigger === null ? 'This trigger was deleted' : trigger.url}</p>
        </div>
        <div class="panel-side">
          <Status of={status} />
          <span class="muted nowrap">
            {attemptCount} of {maxAttempts} attempts
          </span>
          <InvocationActions invocation={invocation} onChanged={onChanged} />
        </div>
      </header>
      <ol class="timeline">
        <Step icon="inbox" tone="idle" at={event.receivedAt}>
          Queued
          <span class="muted">
            {' '}
            webhook-id <code>{id}</code> <Copy text={id} what="webhook-id" />
          </span>
        </Step>
        {Date.parse(event.dueAt) - Date.parse(event.receivedAt) > 1000 && (
          <Step icon="clock" tone="idle" at={event.dueAt}>
            Due
          </Step>
        )}
        {older > 0 && (
          <Step icon="more" tone="idle">
            {older} earlier attempts
          </Step>
        )}
        {attempts.nodes.map((attempt, index) => (
          <AttemptItem
            key={attempt.id}
            attempt={attempt}
            timeoutMs={trigger?.timeout ?? null}
            isLast={index === attempts.nodes.length - 1}
            advice={event.invocations.nodes.length > 1 || index < attempts.nodes.length - 1}
          />
        ))}
        <Outcome invocation={invocation} />
      </ol>
    </section>
  );
}

interface StepProps {
  readonly icon: IconName;
  readonly tone: Tone;
  readonly at?: string;
  readonly children: ComponentChildren;
}

export function Step({ icon, tone, at, children }: StepProps) {
  return (
    <li class="step">
      <span class={`step-icon tone-${tone}`}>
        <Icon name={icon} size={13} />
      </span>
      <div class="step-line">
        <span class="step-text">{children}</span>
        {at !== undefined && <Moment at={at} />}
      </div>
    </li>
  );
}

/** Where it stands now. */
function Outcome({ invocation }: { readonly invocation: InvocationDetail }) {
  const { status, nextAttemptAt, finishedAt, attemptCount, maxAttempts, trigger } = invocation;
  const left = maxAttempts - attemptCount;
  switch (status) {
    case 'SCHEDULED':
      return (
        <Step icon="clock" tone="busy" {...(nextAttemptAt !== null && { at: nextAttemptAt })}>
          First attempt {nextAttemptAt !== null && <Countdown to={nextAttemptAt} />}
        </Step>
      );
    case 'RETRYING':
      return (
        <Step icon="retry" tone="warn" {...(nextAttemptAt !== null && { at: nextAttemptAt })}>
          <strong>Next attempt {nextAttemptAt !== null && <Countdown to={nextAttemptAt} />}</strong>
          <span class="muted">
            , {left} left{trigger?.retrySchedule == null && ', waiting longer each time'}
          </span>
        </Step>
      );
    case 'HELD':
      return (
        <Step icon="pause" tone="warn">
          Held while the trigger is paused
          {trigger?.statusReason != null && ` (${explainPause(trigger.statusReason)})`}.{' '}
          {trigger !== null && <Link to={`/triggers/${trigger.id}`}>Resume it</Link>}
        </Step>
      );
    case 'QUEUED':
      return (
        <Step icon="inbox" tone="busy">
          Due, waiting for a free worker or for the trigger’s limits
        </Step>
      );
    case 'RUNNING':
      return (
        <Step icon="send" tone="busy">
          An attempt is in flight
        </Step>
      );
    case 'SUCCEEDED':
      return (
        <Step icon="check" tone="good" {...(finishedAt !== null && { at: finishedAt })}>
          <strong>Delivered</strong>
          <span class="muted"> {milliseconds(invocation.deliveryLatencyMs)} after it was due</span>
        </Step>
      );
    case 'FAILED':
    case 'CANCELLED':
      return (
        <Step
          icon={iconOf(status)}
          tone={status === 'FAILED' ? 'bad' : 'idle'}
          {...(finishedAt !== null && { at: finishedAt })}
        >
          <strong>{status === 'FAILED' ? 'Given up' : 'Cancelled'}</strong>
          <span class="muted"> {explainReason(invocation.failureReason)}</span>
        </Step>
      );
  }
}
