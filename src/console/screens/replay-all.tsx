/** Queues copies of all events of a list. */
import { REPLAY_EVENTS } from '../api/bulk.ts';
import type { Connection } from '../api/document.ts';
import type { EventFilter } from '../api/event.ts';
import { ask } from '../state/ask.ts';
import { may } from '../state/session.ts';
import { capped } from '../ui/words.ts';
import { BulkButton } from './bulk-button.tsx';

interface ReplayAllProps {
  /** What the list shows; everything at once is nobody's wish. */
  readonly filter: EventFilter;
  readonly total: Connection<unknown>['totalCount'] | null;
  readonly onChanged: () => void;
}

export function ReplayAll({ filter, total, onChanged }: ReplayAllProps) {
  const isAll = Object.keys(filter).length === 0;
  const count = total ?? { value: 0, capped: false };
  return (
    <BulkButton
      offered={!isAll && count.value > 0 && may('EVENTS_RETRY')}
      label="Replay all"
      title={`Replay ${capped(count)} ${count.value === 1 ? 'event' : 'events'}?`}
      start={async () => (await ask(REPLAY_EVENTS, { input: { filter } })).replayEvents}
      started="They are being replayed in the background."
      onChanged={onChanged}
    >
      <p>
        Each is queued again as a new event, due now and spread over time, for the triggers that match now;
        receivers see new <code>webhook-id</code>s. What no trigger matches is left out, and so are copies
        that earlier replays made.
      </p>
    </BulkButton>
  );
}
