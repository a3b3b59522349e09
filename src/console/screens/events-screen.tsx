/** Every event, newest first, as it comes. */
import { EVENT_ACTIVITY } from '../api/activity.ts';
import type { Connection } from '../api/document.ts';
import { EVENT_STATUSES, EVENTS, type EventFilter, type EventRow } from '../api/event.ts';
import { now } from '../state/clock.ts';
import { useFeed } from '../state/feed.ts';
import { useLive } from '../state/hooks.ts';
import { Link } from '../state/route.tsx';
import { atTop, FeedTable } from '../ui/feed-table.tsx';
import { Empty, PageHead } from '../ui/parts.tsx';
import { Status } from '../ui/status.tsx';
import { Ago, Countdown } from '../ui/time.tsx';
import type { Column } from '../ui/virtual-table.tsx';
import { bytes, capped } from '../ui/words.ts';
import { ClearFilters, filterOf, StatusFilter, TimeFilter, TypeFilter, timeRange } from './filters.tsx';
import { ReplayAll } from './replay-all.tsx';
import { useTogether } from './together.ts';

function filter(): EventFilter {
  const receivedAt = timeRange(now.value);
  return {
    ...(filterOf('type') !== '' && { type: [filterOf('type')] }),
    ...(filterOf('status') !== '' && { status: [filterOf('status')] }),
    ...(receivedAt !== undefined && { receivedAt }),
  };
}

const pickEvents = ({ events }: { readonly events: Connection<EventRow> }) => events;

export function EventsScreen() {
  const asked = filter();
  const feed = useFeed({
    document: EVENTS,
    pick: pickEvents,
    filter: asked,
    atTop,
  });
  const change = useTogether<EventRow>((rows) => {
    feed.patch(rows);
    feed.stir();
  });
  useLive(
    EVENT_ACTIVITY,
    { filter: asked.type === undefined ? {} : { eventType: asked.type } },
    ({ liveTail }) => {
      if (liveTail.event !== null) change(liveTail.event);
      else feed.stir();
    },
  );
  return (
    <>
      <PageHead
        title="Events"
        lead={feed.total === null ? 'What was queued' : `${capped(feed.total)} events`}
      />
      <search class="filters" aria-label="Filter events">
        <StatusFilter statuses={EVENT_STATUSES} />
        <TypeFilter />
        <TimeFilter />
        <ClearFilters names={['status', 'type', 'since', 'from', 'to']} />
        <ReplayAll filter={asked} total={feed.total} onChanged={feed.stir} />
      </search>
      <FeedTable
        label="Events"
        noun="event"
        feed={feed}
        columns={COLUMNS}
        linkOf={({ id }) => `/events/${id}`}
        empty={
          <Empty icon="events" title="No events here">
            <p>
              Queue one with <strong>Trigger</strong> in a row of <Link to="/triggers">Triggers</Link>, or
              over the API. It appears here by itself.
            </p>
          </Empty>
        }
      />
    </>
  );
}

const COLUMNS: readonly Column<EventRow>[] = [
  { name: 'Status', width: '8.5rem', cell: ({ status }) => <Status of={status} /> },
  {
    name: 'Type',
    width: 'minmax(0, 1.6fr)',
    cell: ({ id, type }) => (
      <Link to={`/events/${id}`} class="row-link">
        {type}
      </Link>
    ),
  },
  { name: 'Deliveries', width: 'minmax(0, 1.2fr)', cell: (event) => <Deliveries event={event} /> },
  {
    name: 'Event id',
    width: '9.5rem',
    wideOnly: true,
    cell: ({ id }) => <code title={id}>{`${id.slice(0, 8)}…${id.slice(-8)}`}</code>,
  },
  {
    name: 'Data',
    width: '5rem',
    wideOnly: true,
    align: 'end',
    cell: ({ dataSize }) => bytes(dataSize),
  },
  {
    name: 'Received',
    width: '7.5rem',
    align: 'end',
    cell: ({ status, dueAt, receivedAt }) =>
      status === 'SCHEDULED' ? <Countdown to={dueAt} /> : <Ago at={receivedAt} />,
  },
];

/** A dot for each kind of outcome, with its number. */
function Deliveries({ event: { invocationCounts: counts } }: { readonly event: EventRow }) {
  const parts = [
    ['good', counts.succeeded, 'delivered'],
    ['bad', counts.failed, 'failed'],
    ['busy', counts.pending + counts.running, 'open'],
    ['idle', counts.cancelled, 'cancelled'],
  ] as const;
  if (counts.total === 0) return <span class="muted">no trigger</span>;
  return (
    <span class="tally">
      {parts
        .filter(([, value]) => value > 0)
        .map(([tone, value, word]) => (
          <span key={word} class={`tone-${tone}`}>
            <i />
            {value} {word}
          </span>
        ))}
    </span>
  );
}
