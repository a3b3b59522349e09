/** Pausing holds deliveries, resuming lets them go; both say how many. */
import { useState } from 'preact/hooks';
import { PAUSE_TRIGGER, RESUME_TRIGGER, TRIGGER_PENDING, type Trigger } from '../../api/trigger.ts';
import { ask, Failure } from '../../state/ask.ts';
import { useQuery } from '../../state/hooks.ts';
import { toast } from '../../state/toast.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { capped, humane, plural } from '../../ui/words.ts';

interface PauseDialogProps {
  readonly trigger: Trigger;
  readonly to: 'PAUSE' | 'RESUME';
  readonly onClose: () => void;
  readonly onDone: () => void;
}

export function PauseDialog({ trigger: { id, name, statusReason }, to, onClose, onDone }: PauseDialogProps) {
  const [busy, setBusy] = useState(false);
  const { data } = useQuery(TRIGGER_PENDING, { id });
  const pending = data?.trigger?.pending.totalCount;
  const verb = to === 'PAUSE' ? 'Pause' : 'Resume';
  const run = async (): Promise<void> => {
    setBusy(true);
    try {
      toast('DONE', await change(id, name, to));
      onDone();
    } catch (error) {
      setBusy(false);
      if (error instanceof Failure) toast('FAILED', error.message);
    }
  };
  return (
    <Dialog
      title={`${verb} ${name}?`}
      onClose={onClose}
      footer={
        <>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="button" class="button primary" disabled={busy} onClick={run}>
            {verb}
          </button>
        </>
      }
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
            `It was paused because: ${humane(statusReason)}. `}
          What was held goes out first, then everything new.
        </p>
      )}
      {pending !== undefined && (
        <p class="muted">
          {pending.value === 0 ? 'Nothing is waiting now.' : `Waiting now: ${capped(pending)}.`}
        </p>
      )}
    </Dialog>
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

function refuse(errors: readonly { readonly code: string; readonly message: string }[]): void {
  const [first] = errors;
  if (first !== undefined) throw new Failure(first.code, first.message);
}
