/** One backlog, drained: the clock runs from the first request at the receiver, so that start-up does not count. */
import { setTimeout as pause } from 'node:timers/promises';
import { epochMs } from './clock.ts';
import type { Lab, LabDatabase } from './lab.ts';
import type { Child } from './processes.ts';
import type { LaneCount } from './receiver.ts';

export interface Drained {
  /** Deliveries a second. */
  readonly rate: number;
  readonly seconds: number;
  readonly received: number;
  readonly cpuSeconds: number;
  readonly rssMb: number;
  /** Of all deliveries, each process' own. */
  readonly shares: readonly number[];
}

const LOOK_EVERY_MS = 20;
/** Nothing came for so long: it is stuck. */
const STUCK_MS = 30_000;

/** Makes the copies of a filled database comparable: no statistics to gather, nothing left to write that is the filling's. */
export async function settleDown(database: LabDatabase): Promise<void> {
  await database.use(async (sql) => {
    await sql.unsafe('vacuum analyze');
    await sql.unsafe('checkpoint');
  });
}

/**
 * Starts the processes, waits until `events` have come and `isDone`, and ends them. The receiver must have nothing else
 * to do. Errors: where nothing comes for half a minute.
 */
export async function drain(
  lab: Lab,
  events: number,
  start: () => Promise<readonly Child[]>,
  isDone: () => Promise<boolean>,
): Promise<Drained> {
  await lab.receiver.take();
  const children = await start();
  try {
    const endedAt = await waitForEnd(lab, events, isDone).catch((error: unknown) => {
      const printed = children.map((child) => child.output()).join('\n');
      throw new Error(`${error instanceof Error ? error.message : error}\n${printed}`);
    });
    const usages = await Promise.all(children.map((child) => child.usage()));
    const lanes = Object.values(await lab.receiver.take());
    const firstAt = Math.min(...lanes.map((lane) => lane.firstAt ?? Number.POSITIVE_INFINITY));
    const seconds = (endedAt - firstAt) / 1000;
    const received = sum(lanes.map(({ count }) => count));
    return {
      rate: events / seconds,
      seconds,
      received,
      cpuSeconds: sum(usages.map((usage) => usage.cpuSeconds)),
      rssMb: Math.max(...usages.map((usage) => usage.rssMb)),
      shares: usages.map(({ ports }) => countFrom(ports, lanes) / received),
    };
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }
}

async function waitForEnd(lab: Lab, events: number, isDone: () => Promise<boolean>): Promise<number> {
  let came = 0;
  let movedAt = performance.now();
  for (;;) {
    await pause(LOOK_EVERY_MS);
    const now = sum(Object.values(await lab.receiver.counts()));
    if (now > came) movedAt = performance.now();
    came = now;
    if (came >= events) {
      const lookedAt = epochMs(); // what the look itself takes does not count
      if (await isDone()) return lookedAt;
    }
    if (performance.now() - movedAt > STUCK_MS) throw new Error(`stuck after ${came} of ${events}`);
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function countFrom(ports: readonly number[], lanes: readonly LaneCount[]): number {
  const own = new Set(ports);
  let count = 0;
  for (const { byPort } of lanes) {
    for (const [port, requests] of Object.entries(byPort)) if (own.has(Number(port))) count += requests;
  }
  return count;
}
