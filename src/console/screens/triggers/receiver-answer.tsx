/** Waits for an event's first good answer, and shows it: what "synchronously" means. */
import { useEffect, useState } from 'preact/hooks';
import { type AnsweredInvocation, EVENT_ANSWER, type EventStatus } from '../../api/event.ts';
import { listen } from '../../state/connection.ts';
import { Body } from '../../ui/body.tsx';
import { Icon } from '../../ui/icon.tsx';
import { milliseconds } from '../../ui/words.ts';
import { inShort } from '../explain.ts';

interface Seen {
  readonly status: EventStatus;
  readonly succeeded: boolean;
  readonly last: AnsweredInvocation['lastAttempt'];
  readonly sinceMs: number;
}

export function ReceiverAnswer({
  eventId,
  onOpen,
}: {
  readonly eventId: string;
  readonly onOpen: () => void;
}) {
  const [seen, setSeen] = useState<Seen | null>(null);
  useEffect(() => {
    const startedAt = performance.now();
    let answered = false;
    const stop = listen(EVENT_ANSWER, () => ({ id: eventId }), {
      next: ({ eventProgress: { event } }) => {
        if (answered) return;
        const { nodes } = event.invocations;
        const good = nodes.find(({ status }) => status === 'SUCCEEDED');
        answered = good !== undefined;
        const tried = good ?? nodes.find(({ lastAttempt }) => lastAttempt !== null);
        setSeen({
          status: event.status,
          succeeded: answered,
          last: tried?.lastAttempt ?? null,
          sinceMs: performance.now() - startedAt,
        });
      },
    });
    return stop;
  }, [eventId]);
  const last = seen?.last ?? null;
  const tone = seen?.succeeded ? 'good' : seen?.status === 'FAILED' ? 'bad' : 'busy';
  return (
    <section class="receiver-answer" aria-label="Answer of the receiver">
      <div class={`verdict tone-${tone}`}>
        <Icon name={tone === 'good' ? 'check' : tone === 'bad' ? 'cross' : 'send'} size={18} />
        <div role="status">
          <p class="verdict-what">{said(seen)}</p>
          {last !== null && <p>{inShort({ ...last, errorMessage: null })}</p>}
        </div>
        <button type="button" class="button small" onClick={onOpen}>
          Open event
        </button>
      </div>
      {last?.response?.body != null && last.response.body !== '' && (
        <Body label="Answer of the receiver" text={last.response.body} />
      )}
    </section>
  );
}

function said(seen: Seen | null): string {
  if (seen?.succeeded) return `Answered after ${milliseconds(seen.sinceMs)}`;
  if (seen?.status === 'UNMATCHED') return 'No active trigger is registered for this type.';
  if (seen?.status === 'FAILED') return 'Every delivery failed';
  if (seen?.status === 'CANCELLED') return 'It was cancelled';
  return seen?.last == null ? 'Waiting for the receiver…' : 'Failed, trying again…';
}
