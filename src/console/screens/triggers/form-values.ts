/** A trigger's form: what stands in its fields, as text, and the input that they make. */
import type { UserError } from '../../api/document.ts';
import type { Trigger } from '../../api/trigger.ts';
import { sentence } from '../../ui/words.ts';

export interface HeaderValue {
  readonly key: number;
  readonly name: string;
  readonly value: string;
  readonly secret: boolean;
}

export interface FormValues {
  readonly name: string;
  readonly type: string;
  readonly url: string;
  readonly retries: string;
  readonly timeout: string;
  readonly retrySchedule: string;
  readonly maxConcurrency: string;
  readonly maxPerMinute: string;
  readonly contentMode: string;
  readonly specVersion: string;
  readonly description: string;
  readonly project: string;
  readonly signatureAlgorithm: string;
  readonly signingSecret: string;
  readonly paused: boolean;
  readonly headers: readonly HeaderValue[];
}

/** What the API gives for a secret, and takes to leave it as it is. */
const MASK = '***';

export function valuesOf(trigger: Trigger | null, type: string): FormValues {
  return {
    name: trigger?.name ?? '',
    type: trigger?.type ?? type,
    url: trigger?.url ?? '',
    retries: String(trigger?.retries ?? 3),
    timeout: String(trigger?.timeout ?? 5000),
    retrySchedule: trigger?.retrySchedule?.join(', ') ?? '',
    maxConcurrency: trigger?.maxConcurrency?.toString() ?? '',
    maxPerMinute: trigger?.maxPerMinute?.toString() ?? '',
    contentMode: trigger?.contentMode ?? 'JSON',
    specVersion: trigger?.specVersion ?? 'V1_0_RC1',
    description: trigger?.description ?? '',
    project: trigger?.project ?? 'default',
    signatureAlgorithm: 'HMAC_SHA256',
    signingSecret: '',
    paused: false,
    headers: (trigger?.headers ?? []).map(({ name, value }, key) => ({
      key,
      name,
      value,
      secret: value === MASK,
    })),
  };
}

export type FieldErrors = Readonly<Record<string, string>>;

type Built =
  | { readonly input: Readonly<Record<string, unknown>>; readonly errors: null }
  | { readonly input: null; readonly errors: FieldErrors };

/** Only what is no number at all is refused here; everything else is the server's to judge. */
export function inputOf(values: FormValues, trigger: Trigger | null): Built {
  const errors: Record<string, string> = {};
  const whole = (name: string, text: string): number | null => {
    if (text.trim() === '') return null;
    const number = Number(text);
    if (Number.isInteger(number) && Math.abs(number) < 2 ** 31) return number;
    errors[name] = 'Expected a whole number';
    return null;
  };
  const required = (name: 'retries' | 'timeout'): number | null => {
    if (values[name].trim() === '') errors[name] = 'Required';
    return whole(name, values[name]);
  };
  const schedule = values.retrySchedule.split(/[\s,;]+/).filter((text) => text !== '');
  const input = {
    name: values.name.trim(),
    type: values.type,
    url: values.url.trim(),
    retries: required('retries'),
    timeout: required('timeout'),
    retrySchedule: schedule.length === 0 ? null : schedule.map((text) => whole('retrySchedule', text)),
    maxConcurrency: whole('maxConcurrency', values.maxConcurrency),
    maxPerMinute: whole('maxPerMinute', values.maxPerMinute),
    contentMode: values.contentMode,
    specVersion: values.specVersion,
    description: values.description.trim() || null,
    headers: values.headers.map(({ name, value, secret }) => ({ name: name.trim(), value, secret })),
    ...(trigger === null
      ? {
          project: values.project.trim() || 'default',
          paused: values.paused,
          signatureAlgorithm: values.signatureAlgorithm,
          signingSecret: values.signingSecret.trim() || null,
        }
      : { id: trigger.id, expectedVersion: trigger.version }),
  };
  return Object.keys(errors).length > 0 ? { input: null, errors } : { input, errors: null };
}

/** By the field's path without `input`: `url`, `headers.0.name`; what belongs to none is under the empty name. */
export function errorsByField(errors: readonly UserError[]): FieldErrors {
  const byField: Record<string, string> = {};
  for (const { field, message } of errors) {
    const name = field?.slice(1).join('.') ?? '';
    const said = sentence(message);
    byField[name] = byField[name] === undefined ? said : `${byField[name]} ${said}`;
  }
  return byField;
}
