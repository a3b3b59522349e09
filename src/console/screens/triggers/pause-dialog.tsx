/** Pausing holds deliveries, resuming lets them go; both say how many. */
import { PAUSE_TRIGGER, RESUME_TRIGGER, TRIGGER_PENDING, type Trigger } from '../../api/trigger.ts';
import { ask, refuse } from '../../state/ask.ts';
import { useQuery } from '../../state/hooks.ts';
import { Confirm } from '../../ui/confirm.tsx';
import { capped, plural } from '../../ui/words.ts';
import { explainPause } from '../explain.ts';

interface PauseDialogProps {
  readonly trigger: Trigger;
  readonly to: 'PAUSE' | 'RESUME';
  readonly onClose: () => void;
  readonly onDone: () => void;
}

export function PauseDialog({ trigger: { id, name, statusReason }, to, onClose, onDone }: PauseDialogProps) {
  const { data } = useQuery(TRIGGER_PENDING, { id });
  const pending = data?.trigger?.pending.totalCount;
  const verb = to === 'PAUSE' ? 'Pause' : 'Resume';
  return (
    <Confirm
      title={`${verb} ${name}?`}
      verb={verb}
      run={() => change(id, name, to)}
      onClose={onClose}
      onDone={onDone}
    >
      {to === 'PAUSE' ? (
        <p>
          Deliveries are held until you resume it. <strong>Nothing is lost</strong>: new events go on making
          deliveries, which wait.
        </p>
      ) : (
        <p>
          {statusReason !== null &&
            statusReason !== 'MANUAL' &&
            `It was paused because ${explainPause(statusReason)}. `}
          What was held goes out first, then everything new.
        </p>
      )}
      {pending !== undefined && (
        <p class="muted">
          {pending.value === 0 ? 'Nothing is waiting now.' : `Waiting now: ${capped(pending)}.`}
        </p>
      )}
    </Confirm>
  );
}

async function change(id: string, name: string, to: 'PAUSE' | 'RESUME'): Promise<string> {
  if (to === 'PAUSE') {
    const { pauseTrigger } = await ask(PAUSE_TRIGGER, { input: { id } });
    refuse(pauseTrigger.userErrors);
    return `${name} is paused.`;
  }
  const { resumeTrigger } = await ask(RESUME_TRIGGER, { input: { id } });
  refuse(resumeTrigger.userErrors);
  const { releasedCount } = resumeTrigger;
  return releasedCount === 0
    ? `${name} delivers again.`
    : `${name} delivers again; ${plural(releasedCount, 'held delivery', 'held deliveries')} released.`;
}
