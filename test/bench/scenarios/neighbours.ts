import { createHeraldDatabase, fillHerald, type NewTrigger, startHerald } from '../herald.ts';
import type { Distribution } from '../latency.ts';
import { describeLatency } from '../latency.ts';
import { type LoadTarget, runStep, type Step } from '../loads.ts';
import { type Bench, type Figure, ratioAtMost, type Scenario } from '../scenario.ts';

/** How long a receiver that hangs keeps an attempt. */
const TIMEOUT_MS = 5000;
const TRIGGERS = 200;
const HANGING = 20;
/** Events a second, healthy ones in the first part, over all 200 triggers in the second. */
const RATE = 200;

export const neighboursScenario: Scenario = {
  name: 'neighbours',
  title: 'healthy receivers beside receivers that hang to their timeout; one process (ROLES=api,worker)',
  async run(bench) {
    const durationMs = bench.quick ? 4000 : 30_000;
    const invocations = bench.quick ? 1000 : 10_000;
    const one = await besideOne(bench, durationMs, invocations);
    const twenty = await amongMany(bench, durationMs);
    return {
      configuration: {
        ratePerSecond: RATE,
        seconds: durationMs / 1000,
        timeoutMs: TIMEOUT_MS,
        invocations,
        TRIGGERS,
        HANGING,
      },
      figures: [
        ...toFigures(`beside 1 that hangs with ${invocations.toLocaleString('en-US')} invocations`, one),
        ...toFigures(`${HANGING} of ${TRIGGERS} hang`, twenty),
      ],
      details: { one, twenty },
    };
  },
};

interface Pair {
  readonly alone: Step;
  readonly beside: Step;
}

async function besideOne({ lab, say }: Bench, durationMs: number, invocations: number): Promise<Pair> {
  await using database = await createHeraldDatabase(lab, [
    { type: 'healthy', path: 'healthy/1', timeoutMs: TIMEOUT_MS },
    { type: 'hanging', path: 'hanging/1', timeoutMs: TIMEOUT_MS },
  ]);
  await using herald = await startHerald(lab, database, 'api,worker');
  const target: LoadTarget = { kind: 'QUEUE_EVENT', url: herald.url, types: ['healthy'] };
  const options = { rate: RATE, durationMs, lanes: ['healthy'] };
  await runStep(lab, target, { ...options, durationMs: durationMs / 3 }); // warms up
  const alone = await runStep(lab, target, options);
  say(`alone                ${describeLatency(healthyOf(alone))}`);
  await lab.receiver.hang(['hanging']);
  try {
    await fillHerald(database, { type: 'hanging', events: invocations });
    const beside = await runStep(lab, target, options);
    say(
      `beside one           ${describeLatency(healthyOf(beside))}, ${countOf(beside, 'hanging')} attempts hung`,
    );
    return { alone, beside };
  } finally {
    await lab.receiver.hang([]);
  }
}

async function amongMany({ lab, say }: Bench, durationMs: number): Promise<Pair> {
  const triggers = Array.from({ length: TRIGGERS }, (_, index): NewTrigger => {
    const lane = index < HANGING ? 'hanging' : 'healthy';
    return { type: `${lane}-${index}`, path: `${lane}/${index}`, timeoutMs: TIMEOUT_MS };
  });
  await using database = await createHeraldDatabase(lab, triggers);
  await using herald = await startHerald(lab, database, 'api,worker');
  const target: LoadTarget = {
    kind: 'QUEUE_EVENT',
    url: herald.url,
    types: triggers.map(({ type }) => type),
  };
  const options = { rate: RATE, durationMs, lanes: ['healthy'] };
  await runStep(lab, target, { ...options, durationMs: durationMs / 3 }); // warms up
  const alone = await runStep(lab, target, options);
  say(`${TRIGGERS} triggers, all well  ${describeLatency(healthyOf(alone))}`);
  await lab.receiver.hang(['hanging']);
  try {
    const beside = await runStep(lab, target, options);
    say(
      `${HANGING} of them hang       ${describeLatency(healthyOf(beside))}, ${countOf(beside, 'hanging')} attempts hung`,
    );
    return { alone, beside };
  } finally {
    await lab.receiver.hang([]);
  }
}

function healthyOf({ lanes }: Step): Distribution {
  const lane = lanes.healthy;
  if (lane === undefined) throw new Error('nothing came to the healthy receivers');
  return lane.latency;
}

const countOf = ({ lanes }: Step, lane: string): number => lanes[lane]?.count ?? 0;

function toFigures(where: string, { alone, beside }: Pair): readonly Figure[] {
  const yardstick = { name: 'ms alone', value: healthyOf(alone).p95 };
  return [
    {
      what: `healthy p95, ${where}`,
      value: healthyOf(beside).p95,
      unit: 'ms',
      yardstick,
      goal: ratioAtMost(2),
    },
    { what: `healthy p99, ${where}`, value: healthyOf(beside).p99, unit: 'ms' },
  ];
}
