/**
 * The right to begin attempts. A beat buys it for less time than peers wait before they take this process' jobs over,
 * so that whoever was stopped, or is cut off from the database, begins nothing that somebody else may have begun.
 */

/** How long a beat is good for in ms, from when it was asked for; peers wait for SILENT_MS. */
const LEASE_MS = 3000;

export interface Lease {
  /** A beat that was asked for at `askedAt` (`performance.now()`) has been written. */
  renew(askedAt: number): void;
  /** Peers have taken the jobs over, or are to: nothing begins any more. */
  end(): void;
  /** Waits for the right to begin; false where it is lost for good. */
  confirm(): boolean | Promise<boolean>;
}

export function createLease(now: () => number = () => performance.now()): Lease {
  let goodUntil = Number.NEGATIVE_INFINITY;
  let ended = false;
  let waiting: ((mayBegin: boolean) => void)[] = [];

  function answer(mayBegin: boolean): void {
    const all = waiting;
    waiting = [];
    for (const resolve of all) resolve(mayBegin);
  }

  return {
    renew(askedAt) {
      goodUntil = askedAt + LEASE_MS;
      if (!ended && now() < goodUntil) answer(true);
    },
    end() {
      ended = true;
      answer(false);
    },
    confirm() {
      if (ended) return false;
      if (now() < goodUntil) return true;
      return new Promise((resolve) => waiting.push(resolve));
    },
  };
}
