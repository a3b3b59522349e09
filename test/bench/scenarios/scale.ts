import { addFinished, addFuture, type Bytes, readBytes } from '../ballast.ts';
import { type Drained, drain, settleDown } from '../draining.ts';
import { createHeraldDatabase, fillHerald, isHeraldDone, startHerald } from '../herald.ts';
import type { LabDatabase } from '../lab.ts';
import { describeLatency } from '../latency.ts';
import { type LoadTarget, runStep, type Step } from '../loads.ts';
import { type Bench, type Figure, median, ratioAtLeast, ratioAtMost, type Scenario } from '../scenario.ts';
import { latencyOf } from './latency.ts';

const RATE = 1000;
const TYPE = 'scale';

/** A database that holds so many future and so many finished events, and what was measured on it. */
interface Stage {
  readonly ballast: number;
  readonly database: LabDatabase;
  readonly bytes: Bytes;
  readonly drains: Drained[];
  readonly latencies: Step[];
}

export const scaleScenario: Scenario = {
  name: 'scale',
  title: 'drain and latency with so many future and so many finished events in the tables',
  async run(bench) {
    const { quick, rounds, say } = bench;
    const sizes = quick ? [0, 1000, 20_000] : [0, 10_000, 1_000_000];
    const events = quick ? 3000 : 30_000;
    await using stack = new AsyncDisposableStack();
    const stages: Stage[] = [];
    for (const ballast of sizes) {
      const database = stack.use(await prepare(bench, ballast));
      const bytes = await readBytes(database);
      await fillHerald(database, { type: TYPE, events });
      await settleDown(database);
      stages.push({ ballast, database, bytes, drains: [], latencies: [] });
    }
    for (let round = 0; round < rounds; round++) {
      for (const stage of stages) await measure(bench, stage, events);
    }
    say(`bytes an event: ${JSON.stringify(stages.at(-1)?.bytes)}`);
    return {
      configuration: { sizes, events, rounds, ratePerSecond: RATE },
      figures: toFigures(stages),
      details: stages.map(({ database: _, ...stage }) => stage),
    };
  },
};

async function prepare({ lab, say }: Bench, ballast: number): Promise<LabDatabase> {
  const startedAt = performance.now();
  const database = await createHeraldDatabase(lab, [{ type: TYPE, path: 'scale/1' }]);
  if (ballast > 0) {
    await addFinished(lab, database, TYPE, ballast);
    await addFuture(database, TYPE, ballast);
  }
  say(
    `${ballast} future and ${ballast} finished events: filled in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`,
  );
  return database;
}

async function measure({ lab, quick, say }: Bench, stage: Stage, events: number): Promise<void> {
  await using database = await lab.createDatabase(stage.database);
  const drained = await drain(
    lab,
    events,
    async () => [await startHerald(lab, database, 'worker')],
    () => isHeraldDone(database),
  );
  stage.drains.push(drained);
  await using herald = await startHerald(lab, database, 'api,worker');
  const target: LoadTarget = { kind: 'QUEUE_EVENT', url: herald.url, types: [TYPE] };
  await runStep(lab, target, { rate: RATE, durationMs: quick ? 1000 : 5000 }); // warms up
  const step = await runStep(lab, target, { rate: RATE, durationMs: quick ? 3000 : 20_000 });
  stage.latencies.push(step);
  say(
    `${String(stage.ballast).padStart(8)}  ${drained.rate.toFixed(0)}/s drained; at ${RATE}/s ${describeLatency(latencyOf(step))}`,
  );
}

function toFigures(stages: readonly Stage[]): readonly Figure[] {
  const [empty, few, many] = stages;
  if (empty === undefined || few === undefined || many === undefined) return [];
  const rate = ({ drains }: Stage): number => median(drains.map((drained) => drained.rate));
  const at = ({ latencies }: Stage, which: 'p50' | 'p99'): number =>
    median(latencies.map((step) => latencyOf(step)[which]));
  const withMany = `with 2 x ${many.ballast.toLocaleString('en-US')}`;
  const fewName = `with 2 x ${few.ballast.toLocaleString('en-US')}`;
  const { event, invocation, attempt, job } = many.bytes;
  const bytes = { event, invocation, attempt, job };
  return [
    {
      what: `deliveries ${withMany}`,
      value: rate(many),
      unit: '/s',
      yardstick: { name: '/s empty', value: rate(empty) },
      goal: ratioAtLeast(0.9),
    },
    {
      what: `deliveries ${withMany}`,
      value: rate(many),
      unit: '/s',
      yardstick: { name: `/s ${fewName}`, value: rate(few) },
      goal: ratioAtLeast(0.9),
    },
    ...(['p50', 'p99'] as const).map((which) => ({
      what: `${which} at ${RATE}/s ${withMany}`,
      value: at(many, which),
      unit: 'ms',
      yardstick: { name: 'ms empty', value: at(empty, which) },
      // A rate of 0.9 is a time of 1 / 0.9.
      goal: ratioAtMost(1.11),
    })),
    ...Object.entries(bytes).map(([what, value]) => ({
      what: `bytes of one ${what}, with indexes`,
      value,
      unit: 'B',
    })),
  ];
}
