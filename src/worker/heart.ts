/** The heart of a worker process: beats on a connection of its own, and watches the peers while it does. */
import type postgres from 'postgres';
import { within } from '../deadline.ts';
import type { Log } from '../log.ts';
import { type DatabaseAddress, openClient } from '../store/database.ts';
import { describeError } from '../store/database-errors.ts';
import type { Suspect } from '../store/rescue.ts';
import { beat, type Load, signOff } from '../store/workers.ts';
import type { Lease } from './lease.ts';
import { createPeers } from './peers.ts';

export interface HeartOptions {
  readonly address: DatabaseAddress;
  readonly log: Log;
  /** Peers that are dead, as far as this process can tell. Called again while they are. */
  readonly onDead: (suspects: readonly Suspect[]) => void;
  /** Peers have ended, or this process has just begun: what they knew nobody may know now. */
  readonly onChange: () => void;
  /** Peers took this pool for dead while it was stopped or cut off: its jobs are no longer its own. */
  readonly onBuried: (poolId: string) => void;
  /** What to report of a pool. */
  readonly loadOf: (poolId: string) => Load;
}

export interface Heart {
  /** Beats for `poolId` from now on, renewing its lease. */
  add(poolId: string, lease: Lease): void;
  /** Beats for it no more. */
  remove(poolId: string): void;
  /** When a beat succeeded last, by `performance.now()`. */
  lastBeatAt(): number;
  /** Signs off, where the database is there to hear it. */
  stop(): Promise<void>;
}

/** One statement a second is half of what an idle process may ask of the database. */
const BEAT_INTERVAL_MS = 1000;
/** After a beat that failed, and where a verdict is near, the next one comes this soon. */
const HASTE_MS = 250;
/** A beat that takes longer failed: the lease it was to renew has run out, and the connection may be half-open. */
const BEAT_DEADLINE_MS = 3000;

export function createHeart({ address, log, onDead, onChange, onBuried, loadOf }: HeartOptions): Heart {
  const pools = new Map<string, Lease>();
  const known = new Set<string>();
  const peers = createPeers();
  let client = open();
  let lastBeatAt = Number.NEGATIVE_INFINITY;
  let failing = false;
  /** Somebody came during a beat that does not count for them: the next one follows at once. */
  let hurried = false;
  let wake: () => void = () => {};
  let stopped = false;

  function open(): postgres.Sql {
    return openClient(address, {
      name: 'herald alive',
      max: 1,
      permanent: true,
      // A heartbeat that a crash of the server loses is of no use after it.
      settings: { synchronous_commit: 'off', statement_timeout: String(BEAT_DEADLINE_MS) },
    });
  }

  async function beatOnce(): Promise<number> {
    const own = [...pools.keys()];
    const askedAt = performance.now();
    const { session, fresh, peers: seen } = await answered(beat(client, own, loadOf));
    const first = lastBeatAt === Number.NEGATIVE_INFINITY;
    lastBeatAt = performance.now();
    for (const poolId of own) {
      if (fresh.includes(poolId) && known.has(poolId)) bury(poolId);
      else pools.get(poolId)?.renew(askedAt);
      known.add(poolId);
    }
    const dead = peers.observe({ askedAt, answeredAt: lastBeatAt, session, peers: seen });
    if (dead.length > 0) onDead(dead);
    if (peers.haveLeft() || first) onChange();
    return Math.max(askedAt + HASTE_MS, Math.min(askedAt + BEAT_INTERVAL_MS, peers.nextVerdictAt()));
  }

  function bury(poolId: string): void {
    log('warn', 'this process was taken for dead: its jobs are with others', { pool: poolId });
    pools.get(poolId)?.end();
    onBuried(poolId);
  }

  /** Paced by a timer that `hurry` cuts short; errors are followed by a pause whatever the hurry. */
  async function live(): Promise<void> {
    while (!stopped) {
      hurried = false;
      let nextAt = performance.now() + HASTE_MS;
      try {
        nextAt = await beatOnce();
        if (failing) log('info', 'the heart beats again');
        failing = false;
      } catch (error) {
        if (!failing) log('warn', 'a heartbeat failed', { error: describeError(error) });
        failing = true;
        // A new connection is quicker than the old one's back-off, and a half-open one would never end by itself.
        void client.end({ timeout: 0 }).catch(() => {});
        client = open();
      }
      if (hurried && !failing) continue;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.ceil(nextAt - performance.now()));
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  function hurry(): void {
    hurried = true;
    wake();
  }

  const living = live();
  return {
    add(poolId, lease) {
      pools.set(poolId, lease);
      hurry();
    },
    remove(poolId) {
      pools.delete(poolId);
      known.delete(poolId);
    },
    lastBeatAt: () => lastBeatAt,
    async stop() {
      stopped = true;
      hurry();
      await living;
      const farewell = Promise.all([...pools.keys()].map((poolId) => signOff(client, poolId)));
      await answered(farewell).catch(() => {});
      await client.end({ timeout: 1 });
    },
  };
}

const answered = <T>(statement: Promise<T>): Promise<T> =>
  within(BEAT_DEADLINE_MS, statement, `no answer within ${BEAT_DEADLINE_MS} ms`);
