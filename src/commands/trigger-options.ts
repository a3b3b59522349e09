/** A trigger's settings as options of the command line. */
import { SIGNATURE_ALGORITHMS } from '../domain/trigger.ts';
import { type CommandCall, type CommandOption, UsageError } from './command.ts';
import { choiceOf, secondsOf, textOf, textsOf, wholeOf } from './options.ts';

type Options = CommandCall['options'];

export const PROJECT_OPTION = {
  project: { type: 'string', short: 'p', value: '<name>', meaning: 'project of the trigger [default]' },
} as const satisfies Record<string, CommandOption>;

/** Those that can be given at the start and changed later. */
export const SETTING_OPTIONS = {
  type: { type: 'string', value: '<type>', meaning: 'event type it takes, equal to the letter' },
  // `--url` says where Herald is.
  to: { type: 'string', value: '<url>', meaning: 'where it delivers to' },
  description: { type: 'string', value: '<text>', meaning: 'for people' },
  retries: { type: 'string', value: '<number>', meaning: 'retries after the first attempt [3]' },
  timeout: { type: 'string', value: '<duration>', meaning: 'of one attempt, e.g. 500ms, 10s [5s]' },
  'retry-schedule': {
    type: 'string',
    value: '<s,s,…>',
    meaning: 'seconds before each retry, the last one repeating; `none` for the exponential back-off',
  },
  'content-mode': { type: 'string', value: '<mode>', meaning: 'json, structured or binary [json]' },
  'spec-version': { type: 'string', value: '<version>', meaning: 'CloudEvents 1.0-rc1 or 1.0 [1.0-rc1]' },
  header: {
    type: 'string',
    multiple: true,
    value: "'<name>: <value>'",
    meaning: 'header to send; may be repeated',
  },
  'secret-header': {
    type: 'string',
    multiple: true,
    value: "'<name>: <value>'",
    meaning: 'header that is kept encrypted and never shown again',
  },
  'max-concurrency': {
    type: 'string',
    value: '<number>',
    meaning: 'most attempts at once; `none` for no limit',
  },
  'max-per-minute': {
    type: 'string',
    value: '<number>',
    meaning: 'most attempts a minute; `none` for no limit',
  },
} as const satisfies Record<string, CommandOption>;

export const KEY_OPTIONS = {
  'signing-secret': { type: 'string', value: '<whsec_…>', meaning: 'your own secret; one is made if absent' },
  'signature-algorithm': { type: 'string', value: '<name>', meaning: 'hmac-sha256 or ed25519 [hmac-sha256]' },
} as const satisfies Record<string, CommandOption>;

/** Of the mutations' inputs: what was given, and nothing else. */
export function settingsOf(options: Options): Readonly<Record<string, unknown>> {
  const timeout = secondsOf(options, 'timeout');
  return given({
    type: textOf(options, 'type'),
    url: textOf(options, 'to'),
    description: textOf(options, 'description'),
    retries: wholeOf(options, 'retries'),
    timeout: timeout === null ? null : Math.round(timeout * 1000),
    contentMode: choiceOf(options, 'content-mode', ['JSON', 'STRUCTURED', 'BINARY']),
    specVersion: specVersionOf(options),
    headers: headersOf(options),
    ...clearable(options, 'retry-schedule', 'retrySchedule', scheduleOf),
    ...clearable(options, 'max-concurrency', 'maxConcurrency', () => wholeOf(options, 'max-concurrency')),
    ...clearable(options, 'max-per-minute', 'maxPerMinute', () => wholeOf(options, 'max-per-minute')),
  });
}

export function keyOf(options: Options): Readonly<Record<string, unknown>> {
  return given({
    signingSecret: textOf(options, 'signing-secret'),
    signatureAlgorithm: choiceOf(options, 'signature-algorithm', SIGNATURE_ALGORITHMS),
  });
}

/** Stands for a null that is meant. */
const CLEARED = Symbol('cleared');

/** Without what was not given, and with null for what is to be cleared. */
export function given(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const entries = Object.entries(values).filter(([, value]) => value !== null);
  return Object.fromEntries(entries.map(([name, value]) => [name, value === CLEARED ? null : value]));
}

function clearable(
  options: Options,
  option: string,
  field: string,
  read: (options: Options) => unknown,
): Readonly<Record<string, unknown>> {
  return { [field]: textOf(options, option) === 'none' ? CLEARED : read(options) };
}

function scheduleOf(options: Options): readonly number[] | null {
  const text = textOf(options, 'retry-schedule');
  if (text === null) return null;
  const delays = text.split(',').map((delay) => delay.trim());
  if (delays.every((delay) => /^\d{1,9}$/.test(delay))) return delays.map(Number);
  throw new UsageError(
    `--retry-schedule: expected seconds between commas, e.g. 5,30,300, or none, got ${JSON.stringify(text)}`,
  );
}

function specVersionOf(options: Options): string | null {
  const text = textOf(options, 'spec-version');
  switch (text) {
    case null:
      return null;
    case '1.0':
      return 'V1_0';
    case '1.0-rc1':
      return 'V1_0_RC1';
    default:
      throw new UsageError(`--spec-version: expected 1.0-rc1 or 1.0, got ${JSON.stringify(text)}`);
  }
}

export interface GivenHeader {
  readonly name: string;
  readonly value: string;
  readonly secret: boolean;
}

/** Null where none was given. */
function headersOf(options: Options): readonly GivenHeader[] | null {
  const headers = [
    ...textsOf(options, 'header').map((text) => ({ ...splitHeader('header', text), secret: false })),
    ...textsOf(options, 'secret-header').map((text) => ({
      ...splitHeader('secret-header', text),
      secret: true,
    })),
  ];
  return headers.length === 0 ? null : headers;
}

/** Errors: UsageError where there is no colon. The text is not repeated: it may be secret. */
export function splitHeader(option: string, text: string): { readonly name: string; readonly value: string } {
  const colon = text.indexOf(':');
  if (colon < 1) throw new UsageError(`--${option}: expected 'name: value'`);
  return { name: text.slice(0, colon).trim(), value: text.slice(colon + 1).trim() };
}
