/** Points in time, as people read them; the full time is in the title. */
import { now } from '../state/clock.ts';
import { clockTime, dayTime, fullTime, relative, span } from './words.ts';

export function Ago({ at }: { readonly at: string }) {
  return (
    <time dateTime={at} title={fullTime(at)}>
      {relative(at, now.value)}
    </time>
  );
}

/** The clock's time; with its day where that was not today. */
export function Moment({ at }: { readonly at: string }) {
  const today = new Date(at).toDateString() === new Date(now.value).toDateString();
  return (
    <time dateTime={at} title={fullTime(at)}>
      {today ? clockTime(at) : dayTime(at)}
    </time>
  );
}

export function Countdown({ to }: { readonly to: string }) {
  const seconds = Math.ceil((Date.parse(to) - now.value) / 1000);
  return (
    <time dateTime={to} title={fullTime(to)} class="countdown">
      {seconds <= 0 ? 'any moment' : `in ${span(seconds)}`}
    </time>
  );
}
