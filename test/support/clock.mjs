// Loaded before Herald (`node --import`): its wall clock is wrong by CLOCK_OFF_MS, and changes sides every
// CLOCK_JUMPS_MS, so it also jumps back. Monotonic clocks and timers stay as they are.
const offMs = Number(process.env.CLOCK_OFF_MS);
const jumpsMs = Number(process.env.CLOCK_JUMPS_MS || Number.POSITIVE_INFINITY);
const RealDate = Date;

const wrongNow = () => RealDate.now() + offMs * (Math.floor(performance.now() / jumpsMs) % 2 === 0 ? 1 : -1);

globalThis.Date = class WrongDate extends RealDate {
  constructor(...args) {
    super(...(args.length === 0 ? [wrongNow()] : args));
  }

  static now() {
    return wrongNow();
  }
};
