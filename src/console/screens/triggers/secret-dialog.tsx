/** Shows a secret, the only time it can be shown. */
import { useState } from 'preact/hooks';
import { Copy } from '../../ui/copy.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { CheckField } from '../../ui/field.tsx';

interface SecretDialogProps {
  /** `signing secret`, `API key`. */
  readonly what: string;
  readonly secret: string;
  readonly onClose: () => void;
}

export function SecretDialog({ what, secret, onClose }: SecretDialogProps) {
  const [kept, setKept] = useState(false);
  return (
    <Dialog
      title={`Your ${what}`}
      onClose={onClose}
      footer={
        <button type="button" class="button primary" disabled={!kept} onClick={onClose}>
          Done
        </button>
      }
    >
      <p>
        Copy it now. For safety it is <strong>shown only once</strong>
        {what === 'signing secret' ? '; the receiver needs it to verify the webhook-signature header.' : '.'}
      </p>
      <div class="secret">
        <code>{secret}</code>
        <Copy text={secret} what={what} label="Copy" />
      </div>
      <CheckField label="I have stored it safely" checked={kept} onChange={setKept} />
    </Dialog>
  );
}
