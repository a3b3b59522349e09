/** Everything about a trigger that has a good default. */
import { CheckField, SelectField, TextField } from '../../ui/field.tsx';
import { span } from '../../ui/words.ts';
import type { FieldErrors, FormValues } from './form-values.ts';
import { HeaderFields } from './header-fields.tsx';

interface AdvancedFieldsProps {
  readonly values: FormValues;
  readonly set: (change: Partial<FormValues>) => void;
  readonly errors: FieldErrors;
  readonly isNew: boolean;
}

export function AdvancedFields({ values, set, errors, isNew }: AdvancedFieldsProps) {
  return (
    <div class="form">
      <div class="pair">
        <TextField
          label="Retries"
          value={values.retries}
          onChange={(retries) => set({ retries })}
          error={errors.retries}
          hint="After the first attempt"
        />
        <TextField
          label="Timeout"
          value={values.timeout}
          onChange={(timeout) => set({ timeout })}
          error={errors.timeout}
          suffix="ms"
          hint="For one attempt"
        />
      </div>
      <TextField
        label="Retry schedule"
        optional
        value={values.retrySchedule}
        onChange={(retrySchedule) => set({ retrySchedule })}
        error={errors.retrySchedule ?? firstUnder(errors, 'retrySchedule.')}
        placeholder="5, 60, 3600"
        hint={scheduleInWords(values)}
      />
      <div class="pair">
        <TextField
          label="Most in flight"
          optional
          value={values.maxConcurrency}
          onChange={(maxConcurrency) => set({ maxConcurrency })}
          error={errors.maxConcurrency}
          placeholder="no limit"
          hint="Attempts at once"
        />
        <TextField
          label="Most per minute"
          optional
          value={values.maxPerMinute}
          onChange={(maxPerMinute) => set({ maxPerMinute })}
          error={errors.maxPerMinute}
          placeholder="no limit"
          hint="Attempts, evenly spaced"
        />
      </div>
      <div class="pair">
        <SelectField
          label="Content mode"
          value={values.contentMode}
          onChange={(contentMode) => set({ contentMode })}
          options={MODES}
          error={errors.contentMode}
        />
        <SelectField
          label="CloudEvents version"
          value={values.specVersion}
          onChange={(specVersion) => set({ specVersion })}
          options={VERSIONS}
          error={errors.specVersion}
        />
      </div>
      <HeaderFields headers={values.headers} errors={errors} onChange={(headers) => set({ headers })} />
      <TextField
        label="Description"
        optional
        value={values.description}
        onChange={(description) => set({ description })}
        error={errors.description}
      />
      {isNew && (
        <>
          <TextField
            label="Project"
            value={values.project}
            onChange={(project) => set({ project })}
            error={errors.project}
          />
          <SelectField
            label="Signature"
            value={values.signatureAlgorithm}
            onChange={(signatureAlgorithm) => set({ signatureAlgorithm })}
            options={ALGORITHMS}
            error={errors.signatureAlgorithm}
          />
          <TextField
            label="Signing secret"
            optional
            mono
            type="password"
            value={values.signingSecret}
            onChange={(signingSecret) => set({ signingSecret })}
            error={errors.signingSecret}
            placeholder="whsec_…"
            hint="Your own; otherwise one is made and shown once"
          />
          <CheckField
            label="Start paused"
            hint="Deliveries are held until you resume it"
            checked={values.paused}
            onChange={(paused) => set({ paused })}
          />
        </>
      )}
    </div>
  );
}

export const ALGORITHMS = [
  ['HMAC_SHA256', 'HMAC-SHA256, a shared secret'],
  ['ED25519', 'Ed25519, a public key'],
] as const;

const MODES = [
  ['JSON', 'JSON'],
  ['STRUCTURED', 'Structured CloudEvent'],
  ['BINARY', 'Binary: data as the body'],
] as const;

const VERSIONS = [
  ['V1_0_RC1', '1.0-rc1 (compatible)'],
  ['V1_0', '1.0'],
] as const;

function firstUnder(errors: FieldErrors, prefix: string): string | undefined {
  return Object.entries(errors).find(([name]) => name.startsWith(prefix))?.[1];
}

/** When the attempts come, for one who does not count in seconds. */
function scheduleInWords({ retrySchedule, retries }: FormValues): string {
  const seconds = retrySchedule
    .split(/[\s,;]+/)
    .filter((text) => text !== '')
    .map(Number);
  if (seconds.length === 0) return 'Seconds before each retry. Empty: 2.7 s, 7.4 s, 20 s, 55 s … 6 h';
  const number = Math.min(Number(retries) || 0, 8);
  if (seconds.some(Number.isNaN) || number === 0) return 'Seconds before each retry, the last one repeating';
  const delays = Array.from({ length: number }, (_, index) => span(seconds[index] ?? seconds.at(-1) ?? 0));
  return `Retries after ${delays.join(', then ')}${Number(retries) > number ? ' …' : ''}`;
}
