import { describe, expect, test } from 'vitest';
import { createPeers, type Observation } from '../../src/worker/peers.ts';

/** One look a second at peers of which `state` tells when they beat last and whether their lock is there. */
function watchFor(seconds: number, state: (atMs: number) => Look, start = 0, peers = createPeers()) {
  const dead: number[] = [];
  for (let at = start; at <= start + seconds * 1000; at += 1000) {
    const look = state(at);
    if (look === 'AWAY') continue;
    if (peers.observe(observation(at, look)).length > 0) dead.push(at);
  }
  return { deadAt: dead[0] ?? null, peers };
}

type Look = 'AWAY' | { readonly beatAt: number; readonly locked?: boolean; readonly session?: number };

function observation(at: number, { beatAt, locked = true, session = 1 }: Exclude<Look, 'AWAY'>): Observation {
  return {
    askedAt: at,
    answeredAt: at + 2,
    session,
    peers: [{ poolId: 'peer', beat: String(beatAt), ageMs: at + 1 - beatAt, locked }],
  };
}

const lastBeat = (at: number, offset = 300): number => Math.floor((at - offset) / 1000) * 1000 + offset;

describe('a peer', () => {
  test('that beats is never dead', () => {
    expect(watchFor(600, (at) => ({ beatAt: lastBeat(at) })).deadAt).toBeNull();
  });

  test('that stalls for 3 s between two beats keeps its life, wherever the stall begins', () => {
    for (let phase = 0; phase < 1000; phase += 50) {
      const stalled = (at: number): number => {
        const beatAt = lastBeat(at, phase);
        return beatAt > 20_000 + phase && beatAt < 24_000 + phase ? 20_000 + phase : beatAt;
      };
      expect(watchFor(60, (at) => ({ beatAt: stalled(at) })).deadAt).toBeNull();
    }
  });

  test('that stops is dead within 5 s of its last beat, looking once more in time', () => {
    for (let phase = 0; phase < 1000; phase += 50) {
      const last = 20_000 + phase;
      const state = (at: number) => ({ beatAt: Math.min(lastBeat(at, phase), last) });
      const { peers, deadAt } = watchFor(23, state, 1000);
      expect(deadAt).toBeNull();
      const verdictAt = peers.nextVerdictAt();
      expect(verdictAt).toBeGreaterThan(last + 4000);
      expect(verdictAt).toBeLessThanOrEqual(last + 4510);
      expect(peers.observe(observation(verdictAt, state(verdictAt)))).toEqual([
        { poolId: 'peer', beat: String(last), unlocked: false },
      ]);
    }
  });

  test('whose lock goes is dead 1.5 s later, unless it takes it again', () => {
    const gone = (at: number) => ({ beatAt: Math.min(lastBeat(at), 10_300), locked: at < 11_000 });
    expect(watchFor(30, gone).deadAt).toBe(13_000);
    const cut = (at: number) => ({ beatAt: lastBeat(at), locked: at < 11_000 || at > 11_900 });
    expect(watchFor(30, cut).deadAt).toBeNull();
  });

  test('known from nothing but a free lock is dead as soon', () => {
    expect(watchFor(30, () => ({ beatAt: -60_000, locked: false })).deadAt).toBe(2000);
  });
});

describe('an observer', () => {
  test('that was away begins anew: its own absence is no evidence', () => {
    const state = (at: number): Look => {
      if (at > 10_000 && at < 70_000) return 'AWAY';
      // The peer was away too, and is back a second later.
      return { beatAt: at < 71_000 ? Math.min(lastBeat(at), 9300) : lastBeat(at) };
    };
    expect(watchFor(120, state).deadAt).toBeNull();
  });

  test('that has a new connection gives others time to lock again', () => {
    const restarted = (unlockedMs: number) => (at: number) => ({
      beatAt: at < 10_000 || at >= 10_000 + unlockedMs ? lastBeat(at) : 9300,
      locked: at < 10_000 || at >= 10_000 + unlockedMs,
      session: at < 10_000 ? 1 : 2,
    });
    expect(watchFor(60, restarted(4000)).deadAt).toBeNull();
    expect(watchFor(60, restarted(60_000)).deadAt).toBe(15_000);
  });
});
