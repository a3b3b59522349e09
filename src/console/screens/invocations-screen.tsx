/** Every delivery of an event to a trigger, newest first, as it comes and changes. */
import type { Connection } from '../api/document.ts';
import {
  INVOCATION_STATUSES,
  INVOCATION_UPDATED,
  INVOCATIONS,
  type InvocationFilter,
  type InvocationRow,
} from '../api/invocation.ts';
import { now } from '../state/clock.ts';
import { useFeed } from '../state/feed.ts';
import { useLive } from '../state/hooks.ts';
import { Link } from '../state/route.tsx';
import { atTop, FeedTable } from '../ui/feed-table.tsx';
import { Empty, PageHead } from '../ui/parts.tsx';
import { Status } from '../ui/status.tsx';
import { Ago, Countdown } from '../ui/time.tsx';
import type { Column } from '../ui/virtual-table.tsx';
import { capped } from '../ui/words.ts';
import { ERROR_CODES, inShort } from './explain.ts';
import {
  ClearFilters,
  filterOf,
  SelectFilter,
  StatusFilter,
  TimeFilter,
  TriggerFilter,
  TypeFilter,
  timeRange,
} from './filters.tsx';
import { RetryAll } from './retry-all.tsx';
import { useTogether } from './together.ts';

function filter(): InvocationFilter {
  const createdAt = timeRange(now.value);
  return {
    ...(filterOf('trigger') !== '' && { triggerId: [filterOf('trigger')] }),
    ...(filterOf('type') !== '' && { eventType: [filterOf('type')] }),
    ...(filterOf('status') !== '' && { status: [filterOf('status')] }),
    ...(filterOf('error') !== '' && { lastErrorCode: [filterOf('error')] }),
    ...(createdAt !== undefined && { createdAt }),
  };
}

const pickInvocations = ({ invocations }: { readonly invocations: Connection<InvocationRow> }) => invocations;

export function InvocationsScreen() {
  const asked = filter();
  const feed = useFeed({
    document: INVOCATIONS,
    pick: pickInvocations,
    filter: asked,
    atTop,
  });
  const change = useTogether<InvocationRow>((rows) => {
    feed.patch(rows);
    feed.stir();
  });
  // Whatever state it is in: what leaves the filtered state must be seen to.
  const { status: _, lastErrorCode: __, createdAt: ___, ...watched } = asked;
  useLive(INVOCATION_UPDATED, { filter: watched }, ({ invocationUpdated }) => {
    if (invocationUpdated.invocation !== null) change(invocationUpdated.invocation);
    else feed.stir();
  });
  return (
    <>
      <PageHead
        title="Invocations"
        lead={
          feed.total === null
            ? 'Deliveries of events to triggers'
            : `${capped(feed.total)} deliveries to triggers`
        }
      />
      <search class="filters" aria-label="Filter invocations">
        <StatusFilter statuses={INVOCATION_STATUSES} />
        <TriggerFilter />
        <TypeFilter />
        <SelectFilter name="error" label="Error" all="Any error" options={ERROR_CODES} />
        <TimeFilter />
        <ClearFilters names={['status', 'trigger', 'type', 'error', 'since', 'from', 'to']} />
        <RetryAll filter={asked} total={feed.total} onChanged={feed.stir} />
      </search>
      <FeedTable
        label="Invocations"
        noun="invocation"
        feed={feed}
        columns={COLUMNS}
        linkOf={linkOf}
        empty={
          <Empty icon="send" title="No invocations here">
            <p>An event makes one for every trigger of its type. They appear here by themselves.</p>
          </Empty>
        }
      />
    </>
  );
}

const linkOf = ({ id, event }: InvocationRow): string => `/events/${event.id}#${id}`;

const COLUMNS: readonly Column<InvocationRow>[] = [
  { name: 'Status', width: '8.5rem', cell: ({ status }) => <Status of={status} /> },
  {
    name: 'Trigger',
    width: 'minmax(0, 1.1fr)',
    cell: (row) => (
      <Link to={linkOf(row)} class="row-link">
        {row.triggerName}
      </Link>
    ),
  },
  {
    name: 'Event type',
    width: 'minmax(0, 0.8fr)',
    wideOnly: true,
    cell: ({ event }) => event.type,
  },
  { name: 'Last answer', width: 'minmax(0, 1.9fr)', cell: (row) => <LastAnswer row={row} /> },
  {
    name: 'Attempts',
    width: '5rem',
    wideOnly: true,
    align: 'end',
    cell: ({ attemptCount, maxAttempts }) => `${attemptCount} of ${maxAttempts}`,
  },
  { name: 'Created', width: '6rem', align: 'end', cell: ({ createdAt }) => <Ago at={createdAt} /> },
];

function LastAnswer({ row: { status, nextAttemptAt, lastAttempt } }: { readonly row: InvocationRow }) {
  const waits = status === 'SCHEDULED' || status === 'RETRYING';
  return (
    <span class="muted ellipsis">
      {lastAttempt !== null && inShort(lastAttempt)}
      {waits && nextAttemptAt !== null && (
        <>
          {lastAttempt === null ? 'due ' : ', again '}
          <Countdown to={nextAttemptAt} />
        </>
      )}
    </span>
  );
}
