/** Values of options, checked. Each function throws UsageError with what was expected. */
import { parseRfc3339, SMALLEST_EPOCH_MS } from '../domain/event.ts';
import { type CommandCall, type CommandOption, UsageError } from './command.ts';
import { suggestion } from './suggest.ts';

type Options = CommandCall['options'];

/** Null where it was not given. */
export function textOf(options: Options, name: string): string | null {
  const value = options[name];
  return typeof value === 'string' ? value : null;
}

/** All values of an option that may be given several times. */
export function textsOf(options: Options, name: string): readonly string[] {
  const value = options[name];
  return Array.isArray(value) ? value.map(String) : [];
}

export function isGiven(options: Options, name: string): boolean {
  return options[name] === true;
}

export function requiredText(options: Options, name: string): string {
  const value = textOf(options, name);
  if (value === null) throw new UsageError(`expected --${name}`);
  return value;
}

/** Null where it was not given. */
export function wholeOf(options: Options, name: string): number | null {
  const text = textOf(options, name);
  if (text === null) return null;
  if (!/^\d{1,10}$/.test(text)) throw wrong(name, 'a whole number', text);
  return Number(text);
}

/** One of `values`, in whatever case; null where it was not given. */
export function choiceOf<T extends string>(options: Options, name: string, values: readonly T[]): T | null {
  const text = textOf(options, name);
  return text === null ? null : choice(name, text, values);
}

/** Several of `values`, given between commas or one by one; null where none was given. */
export function choicesOf<T extends string>(
  options: Options,
  name: string,
  values: readonly T[],
): readonly T[] | null {
  const texts = textsOf(options, name).flatMap((text) => text.split(','));
  return texts.length === 0 ? null : texts.map((text) => choice(name, text.trim(), values));
}

function choice<T extends string>(name: string, text: string, values: readonly T[]): T {
  const written = text.toUpperCase().replaceAll('-', '_');
  const value = values.find((one) => one === written);
  if (value !== undefined) return value;
  throw new UsageError(
    `--${name}: expected one of ${values.join(', ')}, got ${JSON.stringify(text)}${suggestion(written, values)}`,
  );
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds of `90`, `1.5h`, `10m`; null where it was not given. */
export function secondsOf(options: Options, name: string): number | null {
  const text = textOf(options, name);
  if (text === null) return null;
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim()) ?? [];
  const factor = UNIT_SECONDS[unit];
  if (number === undefined || factor === undefined) {
    throw wrong(name, 'seconds, or a number with ms, s, m, h or d', text);
  }
  return Number(number) * factor;
}

/** Which events, or deliveries of them. */
export const EVENT_OPTIONS = {
  type: {
    type: 'string',
    multiple: true,
    value: '<type>',
    meaning: 'only this event type; may be repeated',
  },
  project: { type: 'string', short: 'p', value: '<name>', meaning: 'only this project' },
} as const satisfies Record<string, CommandOption>;

/** What may be given to `sinceOf`. */
export const SINCE_OPTION = {
  since: {
    type: 'string',
    value: '<duration>',
    meaning: 'only those accepted so long ago, e.g. 90s, 10m, 2h, 7d',
  },
} as const satisfies Record<string, CommandOption>;

/** The interval from so long ago until now, as the API takes it; null where it was not given. */
export function sinceOf(options: Options): { readonly from: string } | null {
  const since = secondsOf(options, 'since');
  if (since === null) return null;
  if (!(since <= 1e9)) throw new UsageError('--since: expected less than 30 years');
  return { from: new Date(Date.now() - since * 1000).toISOString() };
}

/** What may be given to `limitOf`. */
export const LIMIT_OPTION = {
  limit: { type: 'string', short: 'n', value: '<number>', meaning: 'how many [20]' },
} as const satisfies Record<string, CommandOption>;

export function limitOf(options: Options): number {
  const limit = wholeOf(options, 'limit') ?? 20;
  if (limit === 0) throw new UsageError('--limit: expected 1 or more');
  return limit;
}

/** Epoch milliseconds as a number, RFC 3339 as it is: what the scalar Timestamp takes; null where it was not given. */
export function timestampOf(options: Options, name: string): number | string | null {
  const text = textOf(options, name);
  if (text === null) return null;
  if (/^\d+$/.test(text) && Number(text) >= SMALLEST_EPOCH_MS) return Number(text);
  if (parseRfc3339(text) !== null) return text;
  throw wrong(name, 'epoch milliseconds or RFC 3339, e.g. 2026-11-23T07:31:00Z', text);
}

function wrong(name: string, expected: string, got: string): UsageError {
  return new UsageError(`--${name}: expected ${expected}, got ${JSON.stringify(got)}`);
}
