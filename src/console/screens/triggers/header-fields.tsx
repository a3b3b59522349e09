/** Extra request headers, row by row. */
import { Icon } from '../../ui/icon.tsx';
import type { FieldErrors, HeaderValue } from './form-values.ts';

interface HeaderFieldsProps {
  readonly headers: readonly HeaderValue[];
  readonly errors: FieldErrors;
  readonly onChange: (headers: readonly HeaderValue[]) => void;
}

export function HeaderFields({ headers, errors, onChange }: HeaderFieldsProps) {
  const change = (key: number, changes: Partial<HeaderValue>): void =>
    onChange(headers.map((header) => (header.key === key ? { ...header, ...changes } : header)));
  const add = (): void => {
    const key = Math.max(-1, ...headers.map((header) => header.key)) + 1;
    onChange([...headers, { key, name: '', value: '', secret: false }]);
  };
  return (
    <fieldset class="field header-fields">
      <legend>
        Request headers <span class="optional">optional</span>
      </legend>
      {headers.map(({ key, name, value, secret }, index) => {
        const error =
          errors[`headers.${index}.name`] ?? errors[`headers.${index}.value`] ?? errors[`headers.${index}`];
        const number = index + 1;
        return (
          <div key={key} class={error === undefined ? 'header-row' : 'header-row wrong'}>
            <input
              aria-label={`Name of header ${number}`}
              aria-invalid={error === undefined ? undefined : 'true'}
              aria-describedby={error === undefined ? undefined : `header-error-${key}`}
              class="mono"
              value={name}
              placeholder="x-api-key"
              spellcheck={false}
              autocomplete="off"
              onInput={(event) => change(key, { name: event.currentTarget.value })}
            />
            <input
              aria-label={`Value of header ${number}`}
              class="mono"
              type={secret ? 'password' : 'text'}
              value={value}
              placeholder="value"
              spellcheck={false}
              autocomplete="off"
              onInput={(event) => change(key, { value: event.currentTarget.value })}
            />
            <label class="secret-switch" title="Stored encrypted, never shown again">
              <input
                type="checkbox"
                checked={secret}
                onChange={(event) => change(key, { secret: event.currentTarget.checked })}
              />
              Secret
            </label>
            <button
              type="button"
              class="icon-button"
              aria-label={`Remove header ${number}`}
              onClick={() => onChange(headers.filter((header) => header.key !== key))}
            >
              <Icon name="trash" size={14} />
            </button>
            {error !== undefined && (
              <p class="error" id={`header-error-${key}`}>
                {error}
              </p>
            )}
          </div>
        );
      })}
      {errors.headers !== undefined && <p class="error">{errors.headers}</p>}
      <button type="button" class="link-button" onClick={add}>
        <Icon name="plus" size={13} /> Add a header
      </button>
    </fieldset>
  );
}
