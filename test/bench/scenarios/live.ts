import { type Drained, drain } from '../draining.ts';
import { createHeraldDatabase, fillHerald, type Herald, isHeraldDone, startHerald } from '../herald.ts';
import type { LabDatabase } from '../lab.ts';
import { describeLatency } from '../latency.ts';
import { runStep } from '../loads.ts';
import { TOKEN } from '../payload.ts';
import { type Child, startChild } from '../processes.ts';
import { atMost, type Bench, type Figure, median, ratioAtLeast, type Scenario } from '../scenario.ts';
import type { SubscribersQuestion, Told } from '../subscribers.ts';

const TYPE = 'live';
const SUBSCRIBERS = 100;
const RATE = 200;
/** As many as a process takes, for their memory. */
const IDLE_SUBSCRIBERS = 1000;

/** How many subscribers a drain had, and how it went. */
interface Run {
  readonly place: Place;
  readonly subscribers: number;
  readonly drained: Drained;
  readonly updates: number;
}

/** Where the subscribers are: at the process that delivers, or at another one. */
type Place = 'TOGETHER' | 'APART';

const IN_WORDS: Readonly<Record<Place, string>> = {
  TOGETHER: 'one process',
  APART: 'API and worker apart',
};

export const liveScenario: Scenario = {
  name: 'live',
  title: `${SUBSCRIBERS} subscribers to every change: what they cost deliveries, how late they are, their memory`,
  async run(bench) {
    const { lab, quick, rounds } = bench;
    const events = quick ? 2000 : 30_000;
    await using empty = await createHeraldDatabase(lab, [{ type: TYPE, path: `${TYPE}/1` }]);
    const runs: Run[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const place of ['TOGETHER', 'APART'] as const) {
        for (const subscribers of [0, SUBSCRIBERS]) {
          runs.push(await drainBeside(bench, empty, events, place, subscribers));
        }
      }
    }
    const lag = await measureLag(bench, empty);
    const bytes = await measureMemory(bench, empty);
    return {
      configuration: {
        events,
        rounds,
        subscribers: SUBSCRIBERS,
        ratePerSecond: RATE,
        transport: 'WebSocket',
      },
      figures: [
        ...(['TOGETHER', 'APART'] as const).map((place) => costFigure(runs, place)),
        { what: `lag p50 at ${RATE}/s`, value: lag.p50, unit: 'ms', goal: atMost(20) },
        { what: `lag p99 at ${RATE}/s`, value: lag.p99, unit: 'ms', goal: atMost(100) },
        { what: 'memory of a subscriber', value: bytes / 1024, unit: 'KiB' },
      ],
      details: { runs, lag, bytes },
    };
  },
};

function costFigure(runs: readonly Run[], place: Place): Figure {
  const rate = (subscribers: number): number =>
    median(
      runs
        .filter((run) => run.place === place && run.subscribers === subscribers)
        .map(({ drained }) => drained.rate),
    );
  return {
    what: `deliveries with ${SUBSCRIBERS} subscribers, ${IN_WORDS[place]}`,
    value: rate(SUBSCRIBERS),
    unit: '/s',
    yardstick: { name: '/s with none', value: rate(0) },
    goal: ratioAtLeast(0.9),
  };
}

/** The events are there before the subscribers and all due at one moment: the clock runs from the first delivery. */
async function drainBeside(
  { lab, quick, say }: Bench,
  empty: LabDatabase,
  events: number,
  place: Place,
  subscribers: number,
): Promise<Run> {
  await using database = await lab.createDatabase(empty);
  await using audience = startChild('subscribers.ts');
  const drained = await drain(
    lab,
    events,
    async () => {
      const api = await startHerald(lab, database, place === 'TOGETHER' ? 'api,worker' : 'api');
      const dueAt = new Date(Date.now() + (quick ? 5000 : 10_000)).toISOString();
      const delay = `extract(epoch from '${dueAt}'::timestamptz - now())`;
      await fillHerald(database, { type: TYPE, events, delay });
      await openSubscribers(audience, api, subscribers);
      return place === 'TOGETHER' ? [api] : [api, await startHerald(lab, database, 'worker')];
    },
    () => isHeraldDone(database),
  );
  const { updates } = await take(audience);
  say(
    `${IN_WORDS[place].padEnd(20)} ${String(subscribers).padStart(3)} subscribers  ${drained.rate.toFixed(0).padStart(5)}/s  ${drained.cpuSeconds.toFixed(1)} s of CPU  ${updates} updates by then`,
  );
  return { place, subscribers, drained, updates };
}

async function measureLag({ lab, quick, say }: Bench, empty: LabDatabase) {
  await using database = await lab.createDatabase(empty);
  await using herald = await startHerald(lab, database, 'api,worker');
  await using audience = startChild('subscribers.ts');
  await openSubscribers(audience, herald, SUBSCRIBERS);
  const target = { kind: 'QUEUE_EVENT', url: herald.url, types: [TYPE] } as const;
  await runStep(lab, target, { rate: RATE, durationMs: quick ? 1000 : 5000 }); // warms up
  await take(audience);
  const { lanes } = await runStep(lab, target, { rate: RATE, durationMs: quick ? 3000 : 30_000 });
  const { lag, updates } = await take(audience);
  const count = Object.values(lanes).reduce((sum, lane) => sum + lane.count, 0);
  say(`${RATE}/s, ${count} deliveries, ${updates} updates: lag ${describeLatency(lag)}`);
  return lag;
}

/** Bytes that a subscriber adds to the process. */
async function measureMemory({ lab, quick, say }: Bench, empty: LabDatabase): Promise<number> {
  const count = quick ? 100 : IDLE_SUBSCRIBERS;
  await using database = await lab.createDatabase(empty);
  await using herald = await startHerald(lab, database, 'api');
  await using audience = startChild('subscribers.ts');
  await openSubscribers(audience, herald, 10);
  const before = await herald.held();
  await openSubscribers(audience, herald, count - 10);
  const after = await herald.held();
  const bytes = ((after.heldMb - before.heldMb) * 1e6) / (count - 10);
  say(`10 → ${count} subscribers: ${before.heldMb.toFixed(1)} → ${after.heldMb.toFixed(1)} MB held`);
  return bytes;
}

async function openSubscribers(audience: Child, { url }: Herald, count: number): Promise<void> {
  const question: SubscribersQuestion = { kind: 'OPEN', url, token: TOKEN, count };
  await audience.ask(question);
  await take(audience);
}

const take = (audience: Child): Promise<Told> =>
  audience.ask<Told>({ kind: 'TAKE' } satisfies SubscribersQuestion);
