/** A new signing secret; the old one goes on signing for a while, so that the receiver can change over in peace. */
import { useState } from 'preact/hooks';
import { ROTATE_SECRET, type Trigger } from '../../api/trigger.ts';
import { ask, Failure } from '../../state/ask.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { SelectField, TextField } from '../../ui/field.tsx';
import { Alarm } from '../../ui/parts.tsx';
import { ALGORITHMS } from './advanced-fields.tsx';
import { errorsByField, type FieldErrors } from './form-values.ts';

interface RotateDialogProps {
  readonly trigger: Trigger;
  readonly onClose: () => void;
  readonly onDone: (secret: string | null) => void;
}

const GRACE = [
  ['0', 'At once: the old one leaked'],
  ['24', 'After 24 hours'],
  ['168', 'After 7 days'],
  ['720', 'After 30 days'],
] as const;

export function RotateDialog({ trigger, onClose, onDone }: RotateDialogProps) {
  const [hours, setHours] = useState('24');
  const [algorithm, setAlgorithm] = useState(trigger.signingKeys[0]?.algorithm ?? 'HMAC_SHA256');
  const [own, setOwn] = useState('');
  const [errors, setErrors] = useState<FieldErrors>({});
  const [busy, setBusy] = useState(false);
  const rotate = async (): Promise<void> => {
    setBusy(true);
    try {
      const { rotateTriggerSecret } = await ask(ROTATE_SECRET, {
        input: {
          id: trigger.id,
          gracePeriodHours: Number(hours),
          signatureAlgorithm: algorithm,
          signingSecret: own.trim() || null,
        },
      });
      if (rotateTriggerSecret.userErrors.length > 0) setErrors(errorsByField(rotateTriggerSecret.userErrors));
      else onDone(rotateTriggerSecret.signingSecret ?? null);
    } catch (error) {
      if (error instanceof Failure) setErrors({ '': error.message });
    } finally {
      setBusy(false);
    }
  };
  const elsewhere = errors[''] ?? errors.id ?? errors.gracePeriodHours;
  return (
    <Dialog
      title={`Rotate the secret of ${trigger.name}`}
      onClose={onClose}
      footer={
        <>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="button" class="button primary" disabled={busy} onClick={rotate}>
            Rotate secret
          </button>
        </>
      }
    >
      <Alarm text={elsewhere} />
      <p>Requests are signed with both until the old one ends, so nothing is refused meanwhile.</p>
      <SelectField label="The old one ends" value={hours} onChange={setHours} options={GRACE} />
      <SelectField
        label="Signature"
        value={algorithm}
        onChange={setAlgorithm}
        options={ALGORITHMS}
        error={errors.signatureAlgorithm}
      />
      <TextField
        label="New secret"
        optional
        mono
        type="password"
        value={own}
        onChange={setOwn}
        error={errors.signingSecret}
        placeholder="whsec_…"
        hint="Your own; otherwise one is made"
      />
    </Dialog>
  );
}
