/**
 * The waiting lines that this process knows: it puts deliveries in line, sweeps those that would come after them out
 * of everybody's way, and calls the first ones when there is room. A line is known to whoever put somebody in it or
 * got somebody called from it; one that nobody knows any more, because its process ended, is called by `callStrays`.
 */
import { createBatcher } from '../store/batch.ts';
import type { Database } from '../store/database.ts';
import type { Waiter } from '../store/turns.ts';
import { callFromLine, standInLine, sweepIntoLine } from '../store/waiting-lines.ts';
import type { Shares } from './shares.ts';

export interface LineOptions {
  readonly db: Database;
  /** How many more attempts of the trigger may be called within `withinMs`, beside those on their way. */
  readonly room: Shares['room'];
}

export interface Lines {
  /** Puts a delivery in line; resolves when that is committed. `limited`: the trigger has limits of its own. */
  stand(waiter: Waiter, limited: LineKind): Promise<void>;
  /** Somebody from the line has come. */
  arrive(triggerId: string, limited: LineKind): void;
  /** An attempt has ended: whoever is next in line may be called. */
  poke(triggerId: string): void;
}

/** What decides when the next one is called: room in this process, or limits that all processes share. */
export type LineKind = 'SHARE' | 'LIMIT';

/** How often a line is looked at, in ms: often enough that a trigger's slots are seldom empty, and no more. */
const CALL_INTERVAL_MS: Readonly<Record<LineKind, number>> = { SHARE: 100, LIMIT: 1000 };
/** Most that are called at once: they must not become a crowd in everybody's way again. */
const MAX_CALL = 500;
/** After this long, in ms, those who were called and have not come went to another process. */
const COMING_MS = 2000;
/** So many put in line one by one within a second say that more stand behind them, due. */
const CROWD = 50;
/** Sweeping goes on while it finds this many. */
const SWEEP_MORE = 500;

interface Line {
  kind: LineKind;
  /** Called and not yet here, the first called first. */
  coming: { count: number; readonly calledAt: number }[];
  /** When it is looked at next. */
  nextAt: number;
  /** Put in line one by one since `countedSince`. */
  stood: number;
  countedSince: number;
}

export function createLines({ db, room }: LineOptions): Lines {
  const lines = new Map<string, Line>();
  const standing = createBatcher({
    flush: async (batch: readonly Waiter[]) => {
      await standInLine(db, batch);
      return batch;
    },
    maxSize: 400,
    concurrency: 2,
    gatherMs: 4,
    maxWaiting: 100_000,
  });
  const toSweep = new Set<string>();
  let sweeping = false;
  let calling = false;
  let timer: NodeJS.Timeout | null = null;

  function know(triggerId: string, kind: LineKind): Line {
    const now = performance.now();
    const line = lines.get(triggerId) ?? {
      ...{ kind, coming: [], nextAt: now + CALL_INTERVAL_MS[kind], stood: 0, countedSince: now },
    };
    line.kind = kind;
    lines.set(triggerId, line);
    plan();
    return line;
  }

  function plan(): void {
    if (timer !== null || calling || lines.size === 0) return;
    let nextAt = Number.POSITIVE_INFINITY;
    for (const line of lines.values()) nextAt = Math.min(nextAt, line.nextAt);
    timer = setTimeout(call, Math.max(nextAt - performance.now(), 0));
    timer.unref();
  }

  async function call(): Promise<void> {
    timer = null;
    calling = true;
    try {
      const asked = takeCalls();
      if (asked.length > 0) {
        for (const { triggerId, called, more } of await callFromLine(db, asked)) {
          const line = lines.get(triggerId);
          if (line === undefined) continue;
          if (called > 0) line.coming.push({ count: called, calledAt: performance.now() });
          if (!more) lines.delete(triggerId);
        }
      }
    } catch {
      // The database is away, or we are closing. What is forgotten here is found by `callStrays`.
      lines.clear();
    }
    calling = false;
    plan();
  }

  /** Who is to be called now: for lines whose time has come, as many as there is room for. */
  function takeCalls() {
    const now = performance.now();
    const calls: { triggerId: string; count: number }[] = [];
    let left = MAX_CALL;
    let all = 0;
    for (const line of lines.values()) all += countComing(line, now);
    for (const [triggerId, line] of lines) {
      if (line.nextAt > now) continue;
      line.nextAt = now + CALL_INTERVAL_MS[line.kind];
      const count = Math.min(
        room(triggerId, { own: countComing(line, now), all }, CALL_INTERVAL_MS[line.kind]),
        left,
      );
      if (count <= 0) continue;
      left -= count;
      all += count;
      calls.push({ triggerId, count });
      // Last in the round now, so that the next one begins with somebody else.
      lines.delete(triggerId);
      lines.set(triggerId, line);
    }
    return calls;
  }

  function countStanding(triggerId: string, line: Line): void {
    const now = performance.now();
    if (now - line.countedSince > 1000) {
      line.stood = 0;
      line.countedSince = now;
    }
    if (++line.stood < CROWD) return;
    line.stood = 0;
    toSweep.add(triggerId);
    void sweep();
  }

  async function sweep(): Promise<void> {
    if (sweeping) return;
    sweeping = true;
    try {
      while (toSweep.size > 0) {
        const triggerIds = [...toSweep];
        toSweep.clear();
        while ((await sweepIntoLine(db, triggerIds)) >= SWEEP_MORE);
      }
    } catch {
      // They come one by one then.
      toSweep.clear();
    }
    sweeping = false;
  }

  return {
    async stand(waiter, kind) {
      countStanding(waiter.triggerId, know(waiter.triggerId, kind));
      await standing.add(waiter);
      // A call that was under way may have found the line empty and forgotten it.
      know(waiter.triggerId, kind);
    },
    arrive(triggerId, kind) {
      const first = know(triggerId, kind).coming.find(({ count }) => count > 0);
      if (first !== undefined) first.count--;
    },
    poke(triggerId) {
      const line = lines.get(triggerId);
      if (line?.kind !== 'LIMIT') return;
      line.nextAt = 0;
      if (timer !== null) clearTimeout(timer);
      timer = null;
      plan();
    },
  };
}

function countComing(line: Line, now: number): number {
  line.coming = line.coming.filter(({ count, calledAt }) => count > 0 && now - calledAt < COMING_MS);
  return line.coming.reduce((sum, { count }) => sum + count, 0);
}
