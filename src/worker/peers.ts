/**
 * Judges which peers are dead, from what this process itself has seen. Only an unbroken row of observations counts: a
 * database that was away, or an observer that was, must not make the first one back bury the living.
 */
import type { Suspect } from '../store/rescue.ts';
import type { Sighting } from '../store/workers.ts';

/** Observations no further apart than this, in ms, are unbroken: with one every second, one may be lost. */
const MAX_GAP_MS = 2500;
/**
 * A peer whose heart has not moved for this long, in ms, is stopped or cut off. A stall of 3 s between two beats a
 * second apart is survived; work is taken over within 5 s.
 */
export const SILENT_MS = 4500;
/**
 * A peer whose lock has been free for this long, in ms, is dead. One whose connection was cut takes the lock again well
 * within it.
 */
const UNLOCKED_MS = 1500;

export interface Observation {
  /** When it was asked for and when the answer came, by this process' monotonic clock in ms. */
  readonly askedAt: number;
  readonly answeredAt: number;
  readonly session: number;
  readonly peers: readonly Sighting[];
}

export interface Peers {
  /** Takes an observation and says who is dead by now. */
  observe(observation: Observation): readonly Suspect[];
  /** Whether a peer that was there at the look before the last one had gone at the last one. */
  haveLeft(): boolean;
  /** When the next peer will be dead unless it moves; Infinity where all do. */
  nextVerdictAt(): number;
}

interface Watched {
  readonly beat: string;
  readonly movedAt: number;
  readonly unlockedAt: number | null;
}

export function createPeers(): Peers {
  let watched: ReadonlyMap<string, Watched> = new Map();
  let left = false;
  let last: Observation | null = null;
  /** After a new connection the server may have been away: others lost their locks with it and may need longer. */
  let carefulUntil = Number.NEGATIVE_INFINITY;

  const verdictAt = ({ movedAt, unlockedAt }: Watched): number => {
    const silent = movedAt + SILENT_MS;
    return unlockedAt === null ? silent : Math.min(silent, Math.max(unlockedAt + UNLOCKED_MS, carefulUntil));
  };

  return {
    observe(now) {
      const reconnected = last !== null && last.session !== now.session;
      const since =
        last !== null && !reconnected && now.askedAt - last.answeredAt <= MAX_GAP_MS ? last : null;
      if (reconnected) carefulUntil = now.answeredAt + SILENT_MS;
      const there = new Set(now.peers.map(({ poolId }) => poolId));
      left = [...watched.keys()].some((poolId) => !there.has(poolId));
      const before = since === null ? new Map<string, Watched>() : watched;
      watched = new Map(
        now.peers.map((peer) => [peer.poolId, watch(peer, before.get(peer.poolId), since, now)]),
      );
      last = now;
      return now.peers
        .filter(({ poolId }) => {
          const peer = watched.get(poolId);
          return peer !== undefined && verdictAt(peer) <= now.askedAt;
        })
        .map(({ poolId, beat, locked }) => ({ poolId, beat, unlocked: !locked }));
    },
    haveLeft: () => left,
    nextVerdictAt: () => Math.min(...[...watched.values()].map(verdictAt)),
  };
}

function watch(
  peer: Sighting,
  before: Watched | undefined,
  since: Observation | null,
  { answeredAt }: Observation,
): Watched {
  if (before?.beat === peer.beat) {
    return { ...before, unlockedAt: peer.locked ? null : (before.unlockedAt ?? answeredAt) };
  }
  // It has moved since the last look; how long ago is the database's to say, within what we can know.
  const sinceMs = since === null ? 0 : answeredAt - since.askedAt;
  const ageMs = Math.min(Math.max(peer.ageMs, 0), sinceMs);
  return { beat: peer.beat, movedAt: answeredAt - ageMs, unlockedAt: peer.locked ? null : answeredAt };
}
