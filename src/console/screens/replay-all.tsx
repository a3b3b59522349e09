/** Queues copies of all events of a list, for whom and how fast somebody wants. */
import { useState } from 'preact/hooks';
import { REPLAY_EVENTS } from '../api/bulk.ts';
import type { Connection } from '../api/document.ts';
import type { EventFilter } from '../api/event.ts';
import { TRIGGER_NAMES } from '../api/trigger.ts';
import { ask } from '../state/ask.ts';
import { useQuery } from '../state/hooks.ts';
import { may } from '../state/session.ts';
import { SelectField, TextField } from '../ui/field.tsx';
import { capped } from '../ui/words.ts';
import { BulkButton } from './bulk-button.tsx';

interface ReplayAllProps {
  /** What the list shows; everything at once is nobody's wish. */
  readonly filter: EventFilter;
  readonly total: Connection<unknown>['totalCount'] | null;
  readonly onChanged: () => void;
}

export function ReplayAll({ filter, total, onChanged }: ReplayAllProps) {
  const [trigger, setTrigger] = useState('');
  const [perMinute, setPerMinute] = useState('');
  const isAll = Object.keys(filter).length === 0;
  const count = total ?? { value: 0, capped: false };
  const start = async () => {
    const input = {
      filter,
      ...(trigger !== '' && { triggerIds: [trigger] }),
      ...(perMinute.trim() !== '' && { maxPerMinute: Math.round(Number(perMinute)) || 0 }),
    };
    return (await ask(REPLAY_EVENTS, { input })).replayEvents;
  };
  return (
    <BulkButton
      offered={!isAll && count.value > 0 && may('EVENTS_RETRY')}
      label="Replay all"
      title={`Replay ${capped(count)} ${count.value === 1 ? 'event' : 'events'}?`}
      start={start}
      started="They are being replayed in the background."
      onChanged={onChanged}
    >
      <p>
        Each is queued again as a new event, due now and spread over time; receivers see new{' '}
        <code>webhook-id</code>s. What no trigger takes now is left out, and so are copies that earlier
        replays made.
      </p>
      <TargetField types={filter.type ?? null} value={trigger} onChange={setTrigger} />
      <TextField
        label="At most"
        optional
        value={perMinute}
        onChange={setPerMinute}
        suffix="a minute"
        placeholder="30000"
        hint="Slower spares a receiver that has just come back"
      />
    </BulkButton>
  );
}

interface TargetFieldProps {
  readonly types: readonly string[] | null;
  readonly value: string;
  readonly onChange: (id: string) => void;
}

function TargetField({ types, value, onChange }: TargetFieldProps) {
  const { data } = useQuery(TRIGGER_NAMES, {});
  const fitting = (data?.triggers.nodes ?? []).filter(({ type }) => types === null || types.includes(type));
  return (
    <SelectField
      label="For"
      value={value}
      onChange={onChange}
      options={[
        ['', 'All triggers that match now'],
        ...fitting.map(({ id, name }) => [id, `Only ${name}`] as const),
      ]}
    />
  );
}
