/** Creates an API key. */
import { useId, useState } from 'preact/hooks';
import { CREATE_API_KEY, SCOPES } from '../../api/settings.ts';
import { ask, Failure } from '../../state/ask.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { CheckField, TextField } from '../../ui/field.tsx';
import { Alarm } from '../../ui/parts.tsx';
import { errorsByField, type FieldErrors } from '../triggers/form-values.ts';

interface ApiKeyFormProps {
  readonly onClose: () => void;
  readonly onDone: (secret: string) => void;
}

export function ApiKeyForm({ onClose, onDone }: ApiKeyFormProps) {
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<readonly string[]>(['EVENTS_WRITE']);
  const [projects, setProjects] = useState('');
  const [expiresAt, setExpiresAt] = useState('');
  const [errors, setErrors] = useState<FieldErrors>({});
  const form = useId();
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const named = projects.split(/[\s,]+/).filter((project) => project !== '');
    try {
      const { createApiKey } = await ask(CREATE_API_KEY, {
        input: {
          name: name.trim(),
          scopes,
          projects: named.length === 0 ? null : named,
          expiresAt: expiresAt === '' ? null : new Date(expiresAt).toISOString(),
        },
      });
      if (createApiKey.secret === null) return setErrors(errorsByField(createApiKey.userErrors));
      onDone(createApiKey.secret);
    } catch (error) {
      if (error instanceof Failure) setErrors({ '': error.message });
    }
  };
  return (
    <Dialog
      title="Create API key"
      shape="sheet"
      onClose={onClose}
      footer={
        <>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" form={form} class="button primary">
            Create key
          </button>
        </>
      }
    >
      <form id={form} class="form" onSubmit={submit} noValidate>
        <Alarm text={errors['']} />
        <TextField
          label="Name"
          value={name}
          onChange={setName}
          error={errors.name}
          placeholder="warehouse"
          autofocus
        />
        <fieldset class="field">
          <legend>May</legend>
          {SCOPES.map(({ scope, meaning }) => (
            <CheckField
              key={scope}
              label={meaning}
              checked={scopes.includes(scope)}
              onChange={(checked) =>
                setScopes(checked ? [...scopes, scope] : scopes.filter((one) => one !== scope))
              }
            />
          ))}
          {errors.scopes !== undefined && <p class="error">{errors.scopes}</p>}
        </fieldset>
        <TextField
          label="Projects"
          optional
          value={projects}
          onChange={setProjects}
          error={errors.projects}
          placeholder="all"
          hint="Separated by commas"
        />
        <TextField
          label="Expires"
          optional
          type="datetime-local"
          value={expiresAt}
          onChange={setExpiresAt}
          error={errors.expiresAt}
          hint="Empty: never"
        />
      </form>
    </Dialog>
  );
}
