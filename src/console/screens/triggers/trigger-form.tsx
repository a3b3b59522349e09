/** Adds or edits a trigger. What the server refuses is said beside the field it is about. */
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { EVENT_TYPES } from '../../api/stats.ts';
import { CREATE_TRIGGER, type Trigger, type TriggerPayload, UPDATE_TRIGGER } from '../../api/trigger.ts';
import { ask, Failure } from '../../state/ask.ts';
import { useQuery } from '../../state/hooks.ts';
import { server } from '../../state/session.ts';
import { toast } from '../../state/toast.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { SelectField, TextField } from '../../ui/field.tsx';
import { Icon } from '../../ui/icon.tsx';
import { Alarm } from '../../ui/parts.tsx';
import { AdvancedFields } from './advanced-fields.tsx';
import { errorsByField, type FieldErrors, type FormValues, inputOf, valuesOf } from './form-values.ts';

interface TriggerFormProps {
  readonly trigger: Trigger | null;
  /** To begin with, for a new one. */
  readonly type: string;
  readonly onClose: () => void;
  /** With the signing secret of a new one. */
  readonly onDone: (secret: string | null) => void;
}

const BASIC = new Set(['', 'name', 'type', 'url']);

export function TriggerForm({ trigger, type, onClose, onDone }: TriggerFormProps) {
  const [values, setValues] = useState<FormValues>(() => valuesOf(trigger, type));
  const [errors, setErrors] = useState<FieldErrors>({});
  const [busy, setBusy] = useState(false);
  const [advanced, setAdvanced] = useState(trigger !== null);
  const form = useRef<HTMLFormElement>(null);
  const formId = useId();
  const types = useId();
  const { data } = useQuery(EVENT_TYPES, {});
  const set = (change: Partial<FormValues>): void => setValues((before) => ({ ...before, ...change }));

  useEffect(() => {
    if (Object.keys(errors).some((name) => !BASIC.has(name))) setAdvanced(true);
    // Once the fields have been marked, and those behind "Advanced" are there.
    setTimeout(() => form.current?.querySelector<HTMLElement>('[aria-invalid]')?.focus());
  }, [errors]);

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const built = inputOf(values, trigger);
    if (built.errors !== null) return setErrors(built.errors);
    setBusy(true);
    try {
      const payload = await save(built.input, trigger);
      if (payload.userErrors.length > 0) return setErrors(errorsByField(payload.userErrors));
      toast('DONE', `${payload.trigger?.name} is ${trigger === null ? 'added' : 'saved'}.`);
      onDone(payload.signingSecret ?? null);
    } catch (error) {
      if (error instanceof Failure) setErrors({ '': error.message });
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={trigger === null ? 'Add trigger' : `Edit ${trigger.name}`}
      shape="sheet"
      onClose={onClose}
      footer={
        <>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" form={formId} class="button primary" disabled={busy}>
            {trigger === null ? 'Add trigger' : 'Save changes'}
          </button>
        </>
      }
    >
      <form id={formId} ref={form} onSubmit={submit} noValidate class="form">
        <Alarm text={errors['']} />
        <TextField
          label="Trigger name"
          value={values.name}
          onChange={(name) => set({ name })}
          error={errors.name}
          placeholder="orders-to-warehouse"
          autofocus
        />
        <SelectField
          label="Source"
          value="CUSTOM"
          onChange={() => {}}
          options={[['CUSTOM', 'Custom']]}
          hint="Events that your applications queue"
        />
        <TextField
          label="Type"
          mono
          value={values.type}
          onChange={(value) => set({ type: value })}
          error={errors.type}
          list={types}
          placeholder="order.paid"
          hint="Matched exactly. Events of this type that come from now on are sent."
        />
        <datalist id={types}>
          {data?.eventTypes.map((known) => (
            <option key={known.type} value={known.type} />
          ))}
        </datalist>
        <TextField
          label="Webhook URL"
          mono
          type="url"
          value={values.url}
          onChange={(url) => set({ url })}
          error={errors.url}
          placeholder="https://example.com/webhooks"
          hint={server.value === null ? undefined : `Allowed: ${server.value.egressPolicy}`}
        />
        <details
          class="advanced"
          open={advanced}
          onToggle={({ currentTarget }) => setAdvanced(currentTarget.open)}
        >
          <summary>
            <Icon name="right" size={14} /> Advanced
          </summary>
          <AdvancedFields values={values} set={set} errors={errors} isNew={trigger === null} />
        </details>
      </form>
    </Dialog>
  );
}

async function save(input: unknown, trigger: Trigger | null): Promise<TriggerPayload> {
  if (trigger === null) return (await ask(CREATE_TRIGGER, { input })).createTrigger;
  return (await ask(UPDATE_TRIGGER, { input })).updateTrigger;
}
