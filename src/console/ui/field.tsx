/** A labelled input with its hint and its error, tied together for screen readers. */
import type { ComponentChildren, JSX } from 'preact';
import { useId } from 'preact/hooks';

interface FieldProps {
  readonly label: string;
  readonly hint?: ComponentChildren;
  readonly error?: string | null | undefined;
  readonly optional?: true;
  readonly children: (tied: TiedProps) => JSX.Element;
}

/** For the input itself. */
export interface TiedProps {
  readonly id: string;
  readonly 'aria-describedby': string | undefined;
  readonly 'aria-invalid': 'true' | undefined;
}

export function Field({ label, hint, error, optional, children }: FieldProps) {
  const id = useId();
  const describedBy = [error != null && `${id}-error`, hint != null && `${id}-hint`].filter(Boolean);
  return (
    <div class={error == null ? 'field' : 'field wrong'}>
      <label for={id}>
        {label}
        {optional && <span class="optional"> optional</span>}
      </label>
      {children({
        id,
        'aria-describedby': describedBy.length > 0 ? describedBy.join(' ') : undefined,
        'aria-invalid': error == null ? undefined : 'true',
      })}
      {error != null && (
        <p class="error" id={`${id}-error`}>
          {error}
        </p>
      )}
      {hint != null && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

interface TextProps extends Omit<FieldProps, 'children'> {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly type?: string;
  readonly placeholder?: string;
  readonly list?: string;
  readonly mono?: true;
  readonly autofocus?: true;
  readonly min?: number;
  readonly suffix?: string;
}

export function TextField(props: TextProps) {
  const { value, onChange, type = 'text', placeholder, list, mono, autofocus, min, suffix, ...field } = props;
  return (
    <Field {...field}>
      {(tied) => (
        <span class="input-row">
          <input
            {...tied}
            class={mono ? 'mono' : ''}
            type={type}
            value={value}
            placeholder={placeholder}
            list={list}
            min={min}
            autofocus={autofocus}
            autocomplete="off"
            spellcheck={false}
            inputMode={type === 'number' ? 'numeric' : undefined}
            onInput={(event) => onChange(event.currentTarget.value)}
          />
          {suffix !== undefined && <span class="suffix">{suffix}</span>}
        </span>
      )}
    </Field>
  );
}

interface SelectProps extends Omit<FieldProps, 'children'> {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly options: readonly (readonly [value: string, label: string])[];
}

export function SelectField({ value, onChange, options, ...field }: SelectProps) {
  return (
    <Field {...field}>
      {(tied) => (
        <select {...tied} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
          {options.map(([option, label]) => (
            <option key={option} value={option}>
              {label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface CheckProps {
  readonly label: string;
  readonly hint?: string;
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
}

export function CheckField({ label, hint, checked, onChange }: CheckProps) {
  const id = useId();
  return (
    <div class="check">
      <input
        type="checkbox"
        id={id}
        checked={checked}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <label for={id}>{label}</label>
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}
