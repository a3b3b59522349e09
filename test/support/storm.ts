/** What a storm is made of: each fault strikes a member of the fleet, or the database, and is over when it returns. */
import { setTimeout as pause } from 'node:timers/promises';
import type postgres from 'postgres';
import type { Fleet } from './fleet.ts';
import type { Ending, OwnPostgres } from './own-postgres.ts';
import type { Random } from './random.ts';

export interface StormPlace {
  readonly fleet: Fleet;
  readonly postgres: OwnPostgres;
  /** The test's own way in, past every proxy. */
  readonly sql: postgres.Sql;
  readonly random: Random;
  /** Milliseconds that a stopped process stays stopped. */
  readonly stopMs: number;
}

/** Answers how many processes may have lost the outcome of what they had in flight. */
type Strike = (place: StormPlace) => Promise<number>;

const endDatabase =
  (how: Ending): Strike =>
  async ({ postgres, random, fleet }) => {
    await postgres.end(how);
    await pause(random.between(100, 600));
    await postgres.start();
    return fleet.members.length;
  };

export const FAULTS = {
  /** SIGKILL; another process starts at once in its place. */
  async KILL({ fleet, random }) {
    const victim = random.pick(fleet.members);
    await fleet.kill(victim);
    fleet.restart(victim);
    return 1;
  },
  /** SIGSTOP, then SIGCONT: a zombie, if others took over meanwhile. */
  async STOP({ fleet, random, stopMs }) {
    const { process } = random.pick(fleet.members);
    process.child.kill('SIGSTOP');
    await pause(stopMs);
    process.child.kill('SIGCONT');
    return 1;
  },
  /** Every connection of a process to the database is reset, and for a moment there are no new ones. */
  async CUT({ fleet, random }) {
    const { proxy } = random.pick(fleet.members);
    proxy.mode = 'REFUSING';
    proxy.cut();
    await pause(random.between(50, 500));
    proxy.mode = 'OPEN';
    return 1;
  },
  /** For a moment nothing passes, then the connections turn out to be dead. */
  async SILENCE({ fleet, random }) {
    const { proxy } = random.pick(fleet.members);
    proxy.mode = 'SILENT';
    await pause(random.between(500, 3000));
    proxy.mode = 'OPEN';
    proxy.cut();
    return 1;
  },
  /** A slow and late network. */
  async SLOW({ fleet, random }) {
    const { proxy } = random.pick(fleet.members);
    proxy.latencyMs = random.between(20, 200);
    proxy.bytesPerSecond = 200_000;
    await pause(random.between(500, 1500));
    proxy.latencyMs = 0;
    proxy.bytesPerSecond = null;
    return 0;
  },
  /** A random backend every 100 ms for a second, listeners and lock holders too. */
  async TERMINATE({ sql, fleet }) {
    for (let n = 0; n < 10; n++) {
      await terminateRandomBackend(sql);
      await pause(100);
    }
    return fleet.members.length;
  },
  RESTART: endDatabase('FAST'),
  CRASH: endDatabase('IMMEDIATE'),
  POWER_CUT: endDatabase('KILL'),
} satisfies Readonly<Record<string, Strike>>;

export type Fault = keyof typeof FAULTS;

/** Ends one of Herald's backends, whatever it does at the moment; none where there is none. */
export async function terminateRandomBackend(sql: postgres.Sql): Promise<void> {
  await sql`
    select pg_terminate_backend(pid)
      from (select pid from pg_stat_activity where application_name like 'herald %' order by random() limit 1) chosen`;
}

export interface StormReport {
  readonly log: readonly string[];
  /** Processes that may have lost the outcome of what they had in flight, once for each time. */
  readonly losses: number;
}

/** Lets the faults strike one after the other, with `restMs` (from, to) between them. */
export async function rage(
  place: StormPlace,
  faults: readonly Fault[],
  restMs: readonly [from: number, to: number],
): Promise<StormReport> {
  const startedAt = performance.now();
  const log: string[] = [];
  let losses = 0;
  for (const fault of faults) {
    await pause(place.random.between(...restMs));
    log.push(`${((performance.now() - startedAt) / 1000).toFixed(1)} s ${fault}`);
    losses += await FAULTS[fault](place);
  }
  return { log, losses };
}
