/** Times and durations as people read them; in the zone of the reader. */

const two = (value: number): string => String(value).padStart(2, '0');

/** `15:52:16.897` */
export function clockTime(iso: string): string {
  const at = new Date(iso);
  const ms = String(at.getMilliseconds()).padStart(3, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${ms}`;
}

/** `2026-11-23 15:52:16` */
export function dayAndTime(iso: string): string {
  const at = new Date(iso);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clockTime(iso).slice(0, 8)}`;
}

/** `12 ms`, `2.7 s`, `5 min`, `3.2 h`, `4 days` */
export function duration(ms: number): string {
  const size = Math.abs(ms);
  if (size < 1000) return `${Math.round(ms)} ms`;
  if (size < 60_000) return `${rounded(ms / 1000)} s`;
  if (size < 3_600_000) return `${rounded(ms / 60_000)} min`;
  if (size < 172_800_000) return `${rounded(ms / 3_600_000)} h`;
  return `${rounded(ms / 86_400_000)} days`;
}

/** `in 5 min`, `12 s ago`, `now` */
export function fromNow(iso: string, nowMs: number): string {
  const ms = Date.parse(iso) - nowMs;
  if (Math.abs(ms) < 500) return 'now';
  return ms > 0 ? `in ${duration(ms)}` : `${duration(-ms)} ago`;
}

function rounded(value: number): string {
  return String(Math.abs(value) < 10 ? Math.round(value * 10) / 10 : Math.round(value));
}
