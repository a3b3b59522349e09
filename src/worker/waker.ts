/**
 * Wakes the queue when a job falls due. graphile-worker polls for future jobs every two seconds; this knows the next
 * due time instead: from announcements, and from one indexed look at the queue each time that time has come.
 */
import type { Announcements } from '../store/announcements.ts';

export interface WakerOptions {
  readonly announcements: Announcements;
  /** When the first waiting job due after `since` falls due, and the database's time; all in epoch milliseconds. */
  readonly readNextDue: (
    since: number | null,
  ) => Promise<{ readonly due: number | null; readonly now: number }>;
  /** Makes the queue look for jobs now. */
  readonly wake: () => void;
}

/** Shortest time between two wake-ups in ms: due times closer together are fetched together. */
const MIN_INTERVAL_MS = 10;
/** Longest timer in ms; also how soon a due time shows up that no announcement told of. */
const MAX_WAIT_MS = 30_000;
const RETRY_MS = 1000;

export function createWaker({ announcements, readNextDue, wake }: WakerOptions): { stop(): void } {
  let timer: NodeJS.Timeout | null = null;
  let plannedFor = Number.POSITIVE_INFINITY;
  /** The database's clock less our monotonic one: due times are the database's. */
  let clockOffset: number | null = null;
  /**
   * The database's time at the last look. A wake-up sent after it finds all that was due by then; what fell due between
   * a fetch and the look that follows it is waiting still, and is woken for once more.
   */
  let lookedAt: number | null = null;
  let stopped = false;
  /** Something was announced before the database's clock was known. */
  let missed = false;

  function plan(due: number): void {
    if (stopped || clockOffset === null) return;
    plannedFor = due;
    const databaseNow = performance.now() + clockOffset;
    later(wakeAndLookAhead, Math.min(Math.max(due - databaseNow, MIN_INTERVAL_MS), MAX_WAIT_MS));
  }

  /** There is one timer: what is planned now replaces what was planned before. */
  function later(work: () => Promise<void>, waitMs: number): void {
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(work, waitMs);
  }

  async function wakeAndLookAhead(): Promise<void> {
    wake();
    await lookAhead();
  }

  async function lookAhead(): Promise<void> {
    plannedFor = Number.POSITIVE_INFINITY;
    const askedAt = performance.now();
    try {
      const { due, now } = await readNextDue(lookedAt);
      // Whatever was due before the first look is not planned for.
      if (lookedAt === null) wake();
      lookedAt = now;
      // The answer was read somewhere between question and answer; half-way is the best guess.
      clockOffset = now - (askedAt + performance.now()) / 2;
      if (missed) {
        missed = false;
        plan(now);
        return;
      }
      const next = due ?? now + MAX_WAIT_MS;
      if (next < plannedFor) plan(next);
    } catch {
      // The database is away. graphile-worker's own polling goes on; look again in a while.
      if (!stopped) later(lookAhead, RETRY_MS);
    }
  }

  const deafen = announcements.hear(({ nextDue }) => {
    if (nextDue === null) return;
    if (clockOffset === null) missed = true;
    else if (nextDue.getTime() < plannedFor) plan(nextDue.getTime());
  });
  void lookAhead();

  return {
    stop() {
      stopped = true;
      deafen();
      if (timer !== null) clearTimeout(timer);
    },
  };
}
