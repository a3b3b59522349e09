/** One event: what became of it, and why. */
import { useEffect } from 'preact/hooks';
import { EVENT, EVENT_PROGRESS, type EventDetail } from '../../api/event.ts';
import { isFinal } from '../../api/invocation.ts';
import { listen } from '../../state/connection.ts';
import { useQuery, useThrottled } from '../../state/hooks.ts';
import { Link } from '../../state/route.tsx';
import { Body } from '../../ui/body.tsx';
import { Copy, Id } from '../../ui/copy.tsx';
import { Icon } from '../../ui/icon.tsx';
import { Empty, Loading, Problem } from '../../ui/parts.tsx';
import { Status } from '../../ui/status.tsx';
import { Moment } from '../../ui/time.tsx';
import { bytes, humane, milliseconds } from '../../ui/words.ts';
import { EventActions } from './event-actions.tsx';
import { InvocationCard } from './invocation-card.tsx';
import { Verdict } from './verdict.tsx';

/** Between two looks at an event that changes, in ms. */
const LOOK_MS = 150;

export function EventScreen({ id }: { readonly id: string }) {
  const { data, failure, reload } = useQuery(EVENT, { id });
  const look = useThrottled(reload, LOOK_MS);
  const unfinished = data === null || (data.event !== null && isUnfinished(data.event));
  useEffect(() => {
    if (!unfinished) return;
    return listen(EVENT_PROGRESS, () => ({ id }), { next: look, ended: look });
  }, [id, unfinished, look]);
  if (data === null) return failure === null ? <Loading /> : <Problem failure={failure} />;
  if (data.event === null) {
    return (
      <Empty icon="question" title="There is no such event">
        <p>Finished events are removed after the days of retention.</p>
        <Link class="button" to="/events">
          All events
        </Link>
      </Empty>
    );
  }
  return <EventPage event={data.event} onChanged={reload} />;
}

/** By all that it says: its parts were read one after the other, and may contradict one another. */
function isUnfinished({ finishedAt, invocations }: EventDetail): boolean {
  return finishedAt === null || invocations.nodes.some(({ status }) => !isFinal(status));
}

interface EventPageProps {
  readonly event: EventDetail;
  readonly onChanged: () => void;
}

function EventPage({ event, onChanged }: EventPageProps) {
  const { id, type, status, invocations } = event;
  const hidden = invocations.totalCount.value - invocations.nodes.length;
  return (
    <>
      <Link class="crumb" to="/events">
        <Icon name="back" size={14} /> Events
      </Link>
      <header class="page-head">
        <div>
          <h1 tabIndex={-1} class="with-status">
            <span class="ellipsis">{type}</span> <Status of={status} />
          </h1>
          <p class="lead">
            <Id id={id} what="event id" />
          </p>
        </div>
        <div class="actions">
          <EventActions event={event} onChanged={onChanged} />
        </div>
      </header>
      <Verdict event={event} />
      <div class="event-grid">
        <div class="stack">
          {invocations.nodes.map((invocation) => (
            <InvocationCard key={invocation.id} invocation={invocation} event={event} onChanged={onChanged} />
          ))}
          {hidden > 0 && <p class="muted">{hidden} more deliveries of this event are not shown.</p>}
        </div>
        <aside class="stack" aria-label="About this event">
          <Facts event={event} />
          <section class="panel">
            <h2>Data</h2>
            {event.dataText === null ? (
              <p class="muted">{event.dataRemoved ? 'Removed after the days of retention.' : 'None.'}</p>
            ) : (
              <Body label="Event data" text={event.dataText} />
            )}
          </section>
        </aside>
      </div>
    </>
  );
}

const ORIGINS: Readonly<Record<string, string>> = { GRAPHQL: 'GraphQL', REST: 'REST', SQL: 'SQL' };

function Facts({ event }: { readonly event: EventDetail }) {
  const { receivedAt, dueAt, finishedAt } = event;
  const delayed = Date.parse(dueAt) - Date.parse(receivedAt) > 1000;
  // What is cancelled may end before it was due.
  const tookMs = Date.parse(finishedAt ?? '') - Date.parse(delayed ? dueAt : receivedAt);
  return (
    <section class="panel">
      <h2>Facts</h2>
      <dl class="facts">
        <dt>Received</dt>
        <dd>
          <Moment at={receivedAt} />
        </dd>
        {delayed && (
          <>
            <dt>Due</dt>
            <dd>
              <Moment at={dueAt} />
            </dd>
          </>
        )}
        {finishedAt !== null && (
          <>
            <dt>Finished</dt>
            <dd>
              <Moment at={finishedAt} />
              {tookMs >= 0 && <span class="muted"> after {milliseconds(tookMs)}</span>}
            </dd>
          </>
        )}
        <dt>Came by</dt>
        <dd>
          {ORIGINS[event.origin] ?? humane(event.origin)}
          {event.replayOf !== null && (
            <>
              {' of '}
              <Link to={`/events/${event.replayOf.id}`}>another event</Link>
            </>
          )}
        </dd>
        <dt>Project</dt>
        <dd>{event.project}</dd>
        <dt>Source</dt>
        <dd>
          <code>{event.source}</code>
        </dd>
        <dt>Size</dt>
        <dd>{bytes(event.dataSize)}</dd>
        {event.idempotencyKey !== null && (
          <>
            <dt>Idempotency</dt>
            <dd>
              <code>{event.idempotencyKey}</code>
            </dd>
          </>
        )}
        {event.traceparent !== null && (
          <>
            <dt>Trace</dt>
            <dd class="id">
              <code>{event.traceparent.split('-')[1]}</code>
              <Copy text={event.traceparent} what="traceparent" />
            </dd>
          </>
        )}
      </dl>
    </section>
  );
}
