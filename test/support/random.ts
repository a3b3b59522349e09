/** A seeded source of chance: a storm that found something can be had again with FAULT_SEED. */

export interface Random {
  readonly seed: number;
  /** At least 0, below 1. */
  next(): number;
  /** At least `min`, below `max`. */
  between(min: number, max: number): number;
  pick<T>(from: readonly T[]): T;
  shuffled<T>(from: readonly T[]): readonly T[];
}

/** The seed of this run; whoever uses it says so in the name of its test or prints it. */
export const SEED = Number(process.env.FAULT_SEED ?? Date.now() % 100_000);

/** mulberry32: small, good enough to choose victims and moments. */
export function createRandom(seed: number = SEED): Random {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const pick = <T>(from: readonly T[]): T => {
    if (from.length === 0) throw new Error('nothing to pick from');
    return from[Math.floor(next() * from.length)] as T;
  };
  return {
    seed,
    next,
    between: (min, max) => min + next() * (max - min),
    pick,
    shuffled(from) {
      const left = [...from];
      return from.flatMap(() => left.splice(Math.floor(next() * left.length), 1));
    },
  };
}
