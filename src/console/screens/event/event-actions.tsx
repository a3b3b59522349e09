/** What one does with an event: send it again, move it, cancel it. */
import { useState } from 'preact/hooks';
import { CANCEL_EVENT, type EventDetail, RESCHEDULE_EVENT } from '../../api/event.ts';
import { ask, refuse } from '../../state/ask.ts';
import { may } from '../../state/session.ts';
import { Confirm } from '../../ui/confirm.tsx';
import { TextField } from '../../ui/field.tsx';
import { Icon } from '../../ui/icon.tsx';
import { plural } from '../../ui/words.ts';
import { FireDialog } from '../triggers/fire-dialog.tsx';

interface EventActionsProps {
  readonly event: EventDetail;
  readonly onChanged: () => void;
}

export function EventActions({ event, onChanged }: EventActionsProps) {
  const [task, setTask] = useState<'SEND' | 'MOVE' | 'CANCEL' | null>(null);
  const { type, project, status, dataText } = event;
  if (!may('EVENTS_WRITE')) return null;
  const close = (): void => setTask(null);
  const changed = (): void => {
    onChanged();
    close();
  };
  return (
    <>
      {(status === 'SCHEDULED' || status === 'IN_PROGRESS') && (
        <button type="button" class="button" onClick={() => setTask('CANCEL')}>
          <Icon name="ban" size={14} /> Cancel event
        </button>
      )}
      {status === 'SCHEDULED' && (
        <button type="button" class="button" onClick={() => setTask('MOVE')}>
          <Icon name="clock" size={14} /> Reschedule
        </button>
      )}
      {dataText !== null && (
        <button type="button" class="button" onClick={() => setTask('SEND')}>
          <Icon name="retry" size={14} /> Send again
        </button>
      )}
      {task === 'SEND' && (
        <FireDialog
          type={type}
          project={project}
          data={dataText}
          title="Send again, as a new event"
          onClose={close}
        />
      )}
      {task === 'MOVE' && <RescheduleDialog event={event} onClose={close} onDone={changed} />}
      {task === 'CANCEL' && (
        <Confirm
          title={`Cancel this ${type}?`}
          verb="Cancel event"
          dismissal="Keep it"
          danger
          run={() => cancel(event)}
          onClose={close}
          onDone={changed}
        >
          <p>
            Its deliveries that have not ended are cancelled, which cannot be undone. An attempt that is in
            flight ends first.
          </p>
        </Confirm>
      )}
    </>
  );
}

async function cancel({ id }: EventDetail): Promise<string> {
  const { cancelEvent } = await ask(CANCEL_EVENT, { input: { id } });
  refuse(cancelEvent.userErrors);
  return `${plural(cancelEvent.cancelledCount, 'delivery', 'deliveries')} cancelled.`;
}

interface RescheduleDialogProps {
  readonly event: EventDetail;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

function RescheduleDialog({ event: { id, type, dueAt }, onClose, onDone }: RescheduleDialogProps) {
  const [time, setTime] = useState(() => toLocal(dueAt));
  const move = async (): Promise<string> => {
    const timestamp = time === '' ? {} : { timestamp: new Date(time).toISOString() };
    const { rescheduleEvent } = await ask(RESCHEDULE_EVENT, { input: { id, ...timestamp } });
    refuse(rescheduleEvent.userErrors);
    return time === '' ? 'It is due now.' : 'It is moved.';
  };
  return (
    <Confirm title={`Reschedule this ${type}`} verb="Reschedule" run={move} onClose={onClose} onDone={onDone}>
      <TextField
        label="Due"
        type="datetime-local"
        value={time}
        onChange={setTime}
        hint="Your time, not UTC. Empty: now"
      />
    </Confirm>
  );
}

/** For an input of type `datetime-local`. */
function toLocal(at: string): string {
  const time = new Date(at);
  time.setMinutes(time.getMinutes() - time.getTimezoneOffset());
  return time.toISOString().slice(0, time.getSeconds() === 0 ? 16 : 19);
}
