/** Small parts that every screen has. */
import type { ComponentChildren } from 'preact';
import type { Failure } from '../state/ask.ts';
import { Icon, type IconName } from './icon.tsx';

interface PageHeadProps {
  readonly title: string;
  readonly lead?: ComponentChildren;
  readonly children?: ComponentChildren;
}

export function PageHead({ title, lead, children }: PageHeadProps) {
  return (
    <header class="page-head">
      <div>
        <h1 tabIndex={-1}>{title}</h1>
        {lead !== undefined && <p class="lead">{lead}</p>}
      </div>
      {children !== undefined && <div class="actions">{children}</div>}
    </header>
  );
}

interface EmptyProps {
  readonly icon: IconName;
  readonly title: string;
  readonly children?: ComponentChildren;
}

export function Empty({ icon, title, children }: EmptyProps) {
  return (
    <div class="empty">
      <span class="empty-icon">
        <Icon name={icon} size={22} />
      </span>
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Problem({ failure }: { readonly failure: Failure | null }) {
  if (failure === null || failure.code === 'UNREACHABLE') return null;
  const text =
    failure.code === 'FORBIDDEN' ? `Your token does not allow this. ${failure.message}` : failure.message;
  return <Alarm text={text} />;
}

/** What went wrong; nothing where nothing did. */
export function Alarm({ text }: { readonly text: string | undefined }) {
  if (text === undefined) return null;
  return (
    <div class="callout bad" role="alert">
      <Icon name="alert" />
      <p>{text}</p>
    </div>
  );
}

export function Loading({ rows = 6 }: { readonly rows?: number }) {
  return (
    <div class="loading" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, index) => (
        <span key={index} class="skeleton" />
      ))}
    </div>
  );
}

interface ChoiceProps<Value extends string> {
  readonly label: string;
  readonly value: Value;
  readonly options: readonly (readonly [value: Value, label: string])[];
  readonly onChange: (value: Value) => void;
}

/** One of a few, as buttons side by side. */
export function Choice<Value extends string>({ label, value, options, onChange }: ChoiceProps<Value>) {
  return (
    <fieldset class="choice">
      <legend class="hidden">{label}</legend>
      {options.map(([option, text]) => (
        <button key={option} type="button" aria-pressed={option === value} onClick={() => onChange(option)}>
          {text}
        </button>
      ))}
    </fieldset>
  );
}
