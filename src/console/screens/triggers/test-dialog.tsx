/** Tries a trigger out: shows what would be sent, or sends it once, and what came back. */
import { useId, useState } from 'preact/hooks';
import type { Attempt } from '../../api/invocation.ts';
import { PREVIEW_DELIVERY, TEST_TRIGGER } from '../../api/trial.ts';
import type { Trigger } from '../../api/trigger.ts';
import { ask, Failure } from '../../state/ask.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { Icon } from '../../ui/icon.tsx';
import { jsonProblem } from '../../ui/json-text.ts';
import { Alarm } from '../../ui/parts.tsx';
import { iconOf, toneOf } from '../../ui/status.tsx';
import { milliseconds } from '../../ui/words.ts';
import { AttemptDetail, RequestPart } from '../event/attempt-detail.tsx';
import { inShort } from '../explain.ts';
import { EventData } from './event-data.tsx';
import { errorsByField, type FieldErrors } from './form-values.ts';
import { lastData, rememberData } from './last-data.ts';

interface TestDialogProps {
  readonly trigger: Trigger;
  readonly onClose: () => void;
}

/** What there is to show: what would be sent, or what came of sending it. */
type Shown = { readonly request: Attempt['request'] } | { readonly attempt: Attempt };

export function TestDialog({ trigger, onClose }: TestDialogProps) {
  const { id: triggerId, name, project, type, url, timeout } = trigger;
  const [text, setText] = useState(() => lastData(project, type));
  const [errors, setErrors] = useState<FieldErrors>({});
  const [busy, setBusy] = useState(false);
  const [shown, setShown] = useState<Shown | null>(null);
  const formId = useId();
  const problem = jsonProblem(text);
  const input = { triggerId, dataText: text };

  const run = async (work: () => Promise<void>): Promise<void> => {
    if (problem !== null) return;
    setBusy(true);
    setShown(null);
    setErrors({});
    try {
      await work();
    } catch (error) {
      if (error instanceof Failure) setErrors({ '': error.message });
    } finally {
      setBusy(false);
    }
  };
  const preview = async (): Promise<void> => {
    const { request, userErrors } = (await ask(PREVIEW_DELIVERY, { input })).previewDelivery;
    if (request === null) setErrors(errorsByField(userErrors));
    else setShown({ request });
  };
  const send = async (): Promise<void> => {
    const { attempt, userErrors } = (await ask(TEST_TRIGGER, { input })).testTrigger;
    if (attempt === null) return setErrors(errorsByField(userErrors));
    setShown({ attempt });
    rememberData(project, type, text);
  };
  const { dataText: dataError, ...others } = errors;
  const [otherError] = Object.values(others);
  return (
    <Dialog
      title={`Test ${name}`}
      shape="sheet"
      onClose={onClose}
      footer={
        <>
          <button
            type="button"
            class="button"
            disabled={busy || problem !== null}
            onClick={() => run(preview)}
          >
            Preview
          </button>
          <button type="submit" form={formId} class="button primary" disabled={busy || problem !== null}>
            <Icon name="send" size={14} /> {busy ? 'Waiting…' : 'Send test'}
          </button>
        </>
      }
    >
      <form
        id={formId}
        class="form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          run(send);
        }}
      >
        <Alarm text={otherError} />
        <p class="muted">
          Sends one signed request of type <code>{type}</code> to <code>{url}</code> and waits for the answer.
          Nothing is queued, counted or retried.
        </p>
        <EventData text={text} onChange={setText} problem={problem} error={dataError} />
      </form>
      {shown !== null && (
        <section class="receiver-answer" aria-label="Outcome">
          {'attempt' in shown ? (
            <>
              <Verdict attempt={shown.attempt} />
              <AttemptDetail attempt={shown.attempt} timeoutMs={timeout} advice />
            </>
          ) : (
            <>
              <p class="muted">This would be sent; the signature shown is of a key made up for it.</p>
              <RequestPart request={shown.request} />
            </>
          )}
        </section>
      )}
    </Dialog>
  );
}

function Verdict({ attempt }: { readonly attempt: Attempt }) {
  const { status, durationMs } = attempt;
  return (
    <div class={`verdict tone-${toneOf(status)}`}>
      <Icon name={iconOf(status)} size={18} />
      <div role="status">
        <p class="verdict-what">{status === 'SUCCEEDED' ? 'The receiver took it' : 'It was not taken'}</p>
        <p>
          {inShort(attempt)}
          {status !== 'SUCCEEDED' && durationMs !== null && ` after ${milliseconds(durationMs)}`}
        </p>
      </div>
    </div>
  );
}
