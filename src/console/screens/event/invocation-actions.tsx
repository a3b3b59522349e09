/** What one does with a delivery: have it attempted now, cancel it. */
import { useState } from 'preact/hooks';
import { CANCEL_INVOCATION, type InvocationDetail, isFinal, RETRY_INVOCATION } from '../../api/invocation.ts';
import { ask, refuse } from '../../state/ask.ts';
import { may } from '../../state/session.ts';
import { Confirm, doing } from '../../ui/confirm.tsx';
import { Icon } from '../../ui/icon.tsx';

interface InvocationActionsProps {
  readonly invocation: InvocationDetail;
  readonly onChanged: () => void;
}

/** What to call an attempt now, where one can be asked for. */
const RETRY: Readonly<Partial<Record<InvocationDetail['status'], string>>> = {
  SCHEDULED: 'Deliver now',
  RETRYING: 'Retry now',
  FAILED: 'Retry',
};

export function InvocationActions({ invocation, onChanged }: InvocationActionsProps) {
  const { id, status, trigger, triggerName } = invocation;
  const [busy, setBusy] = useState(false);
  const [asking, setAsking] = useState(false);
  // Where the trigger is paused, nothing goes out; where it is gone, nothing that has ended begins again.
  const possible = trigger === null ? status !== 'FAILED' : trigger.status !== 'PAUSED';
  const verb = possible && may('EVENTS_RETRY') ? RETRY[status] : undefined;
  const retry = async (): Promise<void> => {
    setBusy(true);
    await doing(async () => {
      const { retryInvocation } = await ask(RETRY_INVOCATION, { input: { id } });
      refuse(retryInvocation.userErrors);
      return `${triggerName} is called now.`;
    });
    setBusy(false);
    onChanged();
  };
  const cancel = async (): Promise<string> => {
    const { cancelInvocation } = await ask(CANCEL_INVOCATION, { input: { id } });
    refuse(cancelInvocation.userErrors);
    return `The delivery to ${triggerName} is cancelled.`;
  };
  return (
    <>
      {verb !== undefined && (
        <button type="button" class="button small" disabled={busy} onClick={retry}>
          <Icon name="retry" size={13} /> {verb}
        </button>
      )}
      {status === 'FAILED' && !possible && (
        <span class="muted">{trigger === null ? 'its trigger is gone' : 'its trigger is paused'}</span>
      )}
      {!isFinal(status) && may('EVENTS_WRITE') && (
        <button type="button" class="button small" onClick={() => setAsking(true)}>
          Cancel
        </button>
      )}
      {asking && (
        <Confirm
          title={`Cancel the delivery to ${triggerName}?`}
          verb="Cancel delivery"
          dismissal="Keep it"
          danger
          run={cancel}
          onClose={() => setAsking(false)}
          onDone={() => {
            onChanged();
            setAsking(false);
          }}
        >
          <p>It cannot be undone. An attempt that is in flight ends first.</p>
        </Confirm>
      )}
    </>
  );
}
