/** The machine's wall clock with a resolution finer than a millisecond, the same in every process. */

let offset = calibrate();

/** Milliseconds since the epoch, with a fraction. */
export function epochMs(): number {
  return performance.now() + offset;
}

/** Call before each measurement: the wall clock may have been set since. Takes a millisecond or two. */
export function setClock(): void {
  offset = calibrate();
}

function calibrate(): number {
  const before = Date.now();
  let now = before;
  while (now === before) now = Date.now();
  return now - performance.now();
}
