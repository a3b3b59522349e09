/** Queues an event by hand, then goes where its progress can be watched, or shows the receiver's answer. */
import { useId, useState } from 'preact/hooks';
import { QUEUE_EVENT } from '../../api/event.ts';
import { ask, Failure } from '../../state/ask.ts';
import { go } from '../../state/route.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { CheckField, TextField } from '../../ui/field.tsx';
import { Icon } from '../../ui/icon.tsx';
import { jsonProblem } from '../../ui/json-text.ts';
import { Alarm } from '../../ui/parts.tsx';
import { EventData } from './event-data.tsx';
import { errorsByField, type FieldErrors } from './form-values.ts';
import { lastData, rememberData } from './last-data.ts';
import { ReceiverAnswer } from './receiver-answer.tsx';

interface FireDialogProps {
  readonly title: string;
  readonly type: string;
  readonly project: string;
  /** To begin with; null for what was sent last from this tab, or a sample. */
  readonly data: string | null;
  readonly onClose: () => void;
}

export function FireDialog({ title, type, project, data, onClose }: FireDialogProps) {
  const [text, setText] = useState(() => data ?? lastData(project, type));
  const [delay, setDelay] = useState('');
  const [time, setTime] = useState('');
  const [synchronously, setSynchronously] = useState(false);
  const [errors, setErrors] = useState<FieldErrors>({});
  const [busy, setBusy] = useState(false);
  const [eventId, setEventId] = useState<string | null>(null);
  const formId = useId();
  const problem = jsonProblem(text);
  const later = delay.trim() !== '' || time !== '';

  const open = (id: string): void => {
    onClose();
    go(`/events/${id}`);
  };
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (problem !== null) return;
    const seconds = Number(delay);
    if (delay.trim() !== '' && !(seconds >= 0)) return setErrors({ delay: 'Expected seconds, 0 or more' });
    setBusy(true);
    try {
      const { queueEvent } = await ask(QUEUE_EVENT, {
        input: {
          type,
          project,
          dataText: text,
          ...(delay.trim() !== '' && { delay: seconds }),
          ...(time !== '' && { timestamp: new Date(time).toISOString() }),
        },
      });
      if (queueEvent.event === null) return setErrors(errorsByField(queueEvent.userErrors));
      rememberData(project, type, text);
      setErrors({});
      if (synchronously && !later) setEventId(queueEvent.event.id);
      else open(queueEvent.event.id);
    } catch (error) {
      if (error instanceof Failure) setErrors({ '': error.message });
    } finally {
      setBusy(false);
    }
  };
  const dataError = errors.dataText ?? errors.data;
  return (
    <Dialog
      title={title}
      shape="sheet"
      onClose={onClose}
      footer={
        <>
          <button type="button" class="button" onClick={onClose}>
            {eventId === null ? 'Cancel' : 'Close'}
          </button>
          <button type="submit" form={formId} class="button primary" disabled={busy || problem !== null}>
            <Icon name="bolt" size={14} />{' '}
            {later ? 'Schedule' : eventId === null ? 'Trigger' : 'Trigger again'}
          </button>
        </>
      }
    >
      <form id={formId} onSubmit={submit} noValidate class="form">
        <Alarm text={errors[''] ?? errors.type ?? errors.project} />
        <p class="muted">
          Queues an event of type <code>{type}</code>: every active trigger of this type fires.
        </p>
        <EventData text={text} onChange={setText} problem={problem} error={dataError} />
        <div class="pair">
          <TextField
            label="Delay"
            optional
            value={delay}
            onChange={setDelay}
            error={errors.delay}
            suffix="s"
            placeholder="0"
            hint="Added to the time, or to now"
          />
          <TextField
            label="Time"
            optional
            type="datetime-local"
            value={time}
            onChange={setTime}
            error={errors.timestamp}
            hint="Yours, not UTC. Empty: now"
          />
        </div>
        <CheckField
          label="Synchronously"
          hint={later ? 'Only for events that are due now' : 'Wait here for the receiver’s answer'}
          checked={synchronously && !later}
          onChange={setSynchronously}
        />
      </form>
      {eventId !== null && <ReceiverAnswer key={eventId} eventId={eventId} onOpen={() => open(eventId)} />}
    </Dialog>
  );
}
