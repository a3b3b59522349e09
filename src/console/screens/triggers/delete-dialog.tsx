/** Deleting asks what becomes of the deliveries that have not ended. */
import { useState } from 'preact/hooks';
import { DELETE_TRIGGER, TRIGGER_PENDING, type Trigger } from '../../api/trigger.ts';
import { ask, refuse } from '../../state/ask.ts';
import { useQuery } from '../../state/hooks.ts';
import { Confirm } from '../../ui/confirm.tsx';
import { capped, plural } from '../../ui/words.ts';

interface DeleteDialogProps {
  readonly trigger: Trigger;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

const POLICIES = [
  ['CANCEL', 'Cancel them', 'Nothing more is sent. Their events show them as cancelled.'],
  ['FINISH', 'Let them finish', 'They are delivered and retried to the end with the present settings.'],
] as const;

export function DeleteDialog({ trigger: { id, name }, onClose, onDone }: DeleteDialogProps) {
  const [pending, setPending] = useState<'CANCEL' | 'FINISH'>('CANCEL');
  const { data } = useQuery(TRIGGER_PENDING, { id });
  const waiting = data?.trigger?.pending.totalCount;
  const run = async (): Promise<string> => {
    const { deleteTrigger } = await ask(DELETE_TRIGGER, { input: { id, pending } });
    refuse(deleteTrigger.userErrors);
    const { cancelledCount } = deleteTrigger;
    const cancelled =
      cancelledCount > 0 ? ` ${plural(cancelledCount, 'delivery', 'deliveries')} cancelled.` : '';
    return `${name} is deleted.${cancelled}`;
  };
  return (
    <Confirm
      title={`Delete ${name}?`}
      verb="Delete trigger"
      dismissal="Keep it"
      danger
      run={run}
      onClose={onClose}
      onDone={onDone}
    >
      <p>Events of its type are no longer sent to it. This cannot be undone; past deliveries stay visible.</p>
      <fieldset class="radios">
        <legend>
          Deliveries that have not ended
          {waiting !== undefined && <span class="muted"> {capped(waiting)} now</span>}
        </legend>
        {POLICIES.map(([value, label, meaning]) => (
          <label key={value} class="radio">
            <input
              type="radio"
              name="pending"
              value={value}
              checked={pending === value}
              onChange={() => setPending(value)}
            />
            <span>
              {label}
              <span class="hint">{meaning}</span>
            </span>
          </label>
        ))}
      </fieldset>
    </Confirm>
  );
}
