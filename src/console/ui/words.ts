/** Numbers, durations and times as people read them. */

const NUMBER = new Intl.NumberFormat('en');
const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const FULL = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'long' });
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = new Intl.DateTimeFormat('en', { month: 'short', day: 'numeric' });
const SHORT = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });

export const count = (value: number): string => NUMBER.format(value);
export const compact = (value: number): string =>
  value < 10_000 ? NUMBER.format(value) : COMPACT.format(value);
export const capped = ({ value, capped }: { value: number; capped: boolean }): string =>
  `${NUMBER.format(value)}${capped ? '+' : ''}`;

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${NUMBER.format(value)} ${value === 1 ? one : many}`;
}

export function percent(rate: number | null): string {
  if (rate === null) return '–';
  // 99.99 % must not read as all of them.
  const floor = Math.floor(rate * 1000) / 10;
  return `${floor === 100 || floor === 0 ? floor : floor.toFixed(1)}%`;
}

/** Of a duration in ms: `12 ms`, `1.24 s`, `3 min 5 s`. */
export function milliseconds(ms: number | null): string {
  if (ms === null) return '–';
  if (ms < 10) return `${Math.round(ms * 10) / 10} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return span(ms / 1000);
}

/** Of a duration in seconds, two units at most: `45 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const units = [
    ['d', Math.floor(whole / 86_400)],
    ['h', Math.floor((whole % 86_400) / 3600)],
    ['min', Math.floor((whole % 3600) / 60)],
    ['s', whole % 60],
  ] as const;
  const first = units.findIndex(([, value]) => value > 0);
  if (first === -1) return '0 s';
  return units
    .slice(first, first + 2)
    .filter(([, value]) => value > 0)
    .map(([unit, value]) => `${value} ${unit}`)
    .join(' ');
}

/** `12 s ago`, `in 3 min`, `now`. */
export function relative(at: string, now: number): string {
  const seconds = (Date.parse(at) - now) / 1000;
  if (Math.abs(seconds) < 1.5) return 'now';
  const rough = Math.abs(seconds) < 60 ? Math.abs(seconds) : Math.floor(Math.abs(seconds) / 60) * 60;
  const [text = ''] = [span(rough).split(' ').slice(0, 2).join(' ')];
  return seconds < 0 ? `${text} ago` : `in ${text}`;
}

export const fullTime = (at: string): string => FULL.format(new Date(at));
export const clockTime = (at: string): string => {
  const date = new Date(at);
  return `${CLOCK.format(date)}.${String(date.getMilliseconds()).padStart(3, '0')}`;
};
export const dayTime = (at: string): string => `${DAY.format(new Date(at))}, ${CLOCK.format(new Date(at))}`;
export const shortTime = (at: string): string => SHORT.format(new Date(at));
export const day = (at: string): string => DAY.format(new Date(at));

export function bytes(size: number): string {
  if (size < 1024) return `${size} B`;
  const [value, unit] = size < 1024 * 1024 ? [size / 1024, 'KiB'] : [size / 1024 / 1024, 'MiB'];
  return `${Math.round(value * 10) / 10} ${unit}`;
}

/** `RETRIES_EXHAUSTED` → `Retries exhausted`. */
export function humane(code: string): string {
  const words = code.toLowerCase().replaceAll('_', ' ');
  const sentence = words.charAt(0).toUpperCase() + words.slice(1);
  return sentence.replace(/\b(?:http|dns|tls|api|json)\b/gi, (name) => name.toUpperCase());
}

/** With a capital and a full stop. */
export function sentence(text: string): string {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
