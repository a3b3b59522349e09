/** Round figures for an axis. */

/** The smallest of 1, 2, 5, 10 … times a power of ten that holds `max`; 4 at least, so that a single event is not a tower. */
export function niceTop(max: number): number {
  if (max <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(max));
  const step = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= max) ?? 10;
  return step * power;
}
