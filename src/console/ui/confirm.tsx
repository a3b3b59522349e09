/** A question before something is done, and the message that says that it was. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Failure } from '../state/ask.ts';
import { toast } from '../state/toast.ts';
import { Dialog } from './dialog.tsx';

interface ConfirmProps {
  readonly title: string;
  /** On the button that does it. */
  readonly verb: string;
  /** On the button that does not. */
  readonly dismissal?: string;
  readonly danger?: boolean;
  /** Does it, and answers what to say of it. Errors: Failure. */
  readonly run: () => Promise<string>;
  readonly onClose: () => void;
  readonly onDone: () => void;
  readonly children: ComponentChildren;
}

export function Confirm(props: ConfirmProps) {
  const { title, verb, dismissal = 'Cancel', danger = false, run, onClose, onDone, children } = props;
  const [busy, setBusy] = useState(false);
  const confirm = async (): Promise<void> => {
    setBusy(true);
    if (await doing(run)) onDone();
    else setBusy(false);
  };
  return (
    <Dialog
      title={title}
      onClose={onClose}
      footer={
        <>
          <button type="button" class="button" onClick={onClose}>
            {dismissal}
          </button>
          <button
            type="button"
            class={danger ? 'button danger' : 'button primary'}
            disabled={busy}
            onClick={confirm}
          >
            {verb}
          </button>
        </>
      }
    >
      {children}
    </Dialog>
  );
}

/** Runs it and says what came of it. False where it failed. */
export async function doing(run: () => Promise<string>): Promise<boolean> {
  try {
    toast('DONE', await run());
    return true;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    toast('FAILED', error.message);
    return false;
  }
}
