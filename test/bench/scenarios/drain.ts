import { type Drained, drain, settleDown } from '../draining.ts';
import { type Contestant, listContestants } from '../field.ts';
import type { LabDatabase } from '../lab.ts';
import { type Bench, type Figure, type Goal, median, ratioAtLeast, type Scenario } from '../scenario.ts';

const GOALS: Readonly<Record<string, Goal>> = {
  bare: ratioAtLeast(0.85),
  'hand-rolled': ratioAtLeast(8),
  'pg-boss': ratioAtLeast(3),
  BullMQ: ratioAtLeast(3),
  'pg-boss tuned': ratioAtLeast(1.2),
  'BullMQ tuned': ratioAtLeast(1.2),
};

interface Entrant {
  readonly contestant: Contestant;
  readonly database: LabDatabase;
  readonly events: number;
  readonly rounds: Drained[];
}

export const drainScenario: Scenario = {
  name: 'drain',
  title: 'a backlog of due invocations is drained, each attempt durably recorded',
  async run(bench) {
    const { lab, say } = bench;
    const events = bench.quick ? 3000 : 30_000;
    await using stack = new AsyncDisposableStack();
    const entrants: Entrant[] = [];
    for (const contestant of listContestants(lab)) {
      const own = Math.round(events * contestant.share);
      const database = stack.use(await contestant.prepare(lab, own));
      await settleDown(database);
      entrants.push({ contestant, database, events: own, rounds: [] });
      say(`${contestant.name.padEnd(14)} ${own} events; ${contestant.title}`);
    }
    if (lab.redisUrl === null) say('BullMQ was left out: no redis-server on the PATH and no REDIS_URL');
    for (let round = 0; round < bench.rounds; round++) {
      for (const entrant of entrants) entrant.rounds.push(await runRound(bench, entrant));
    }
    const rates = new Map(
      entrants.map(({ contestant, rounds }) => [contestant.name, median(rounds.map(({ rate }) => rate))]),
    );
    return {
      configuration: {
        rounds: bench.rounds,
        events: Object.fromEntries(entrants.map((entrant) => [entrant.contestant.name, entrant.events])),
        contestants: Object.fromEntries(entrants.map(({ contestant: { name, title } }) => [name, title])),
        redis: lab.redisUrl !== null,
      },
      figures: toFigures(rates),
      details: Object.fromEntries(entrants.map(({ contestant, rounds }) => [contestant.name, rounds])),
    };
  },
};

async function runRound({ lab, say }: Bench, { contestant, database, events }: Entrant): Promise<Drained> {
  await using stack = new AsyncDisposableStack();
  const copy = stack.use(await lab.createDatabase(database));
  stack.defer(() => contestant.clear?.(lab));
  await contestant.refill?.(lab, copy);
  const start = async () => [await contestant.start(lab, copy)];
  const drained = await drain(lab, events, start, () => contestant.isDone(copy));
  const recorded = await contestant.countRecorded(copy);
  if (recorded !== null && recorded < events) {
    throw new Error(`${contestant.name} recorded ${recorded} of ${events} attempts`);
  }
  const { rate, cpuSeconds, rssMb } = drained;
  const cost = `${cpuSeconds.toFixed(1)} s of CPU, ${rssMb.toFixed(0)} MB`;
  say(`${contestant.name.padEnd(14)} ${rate.toFixed(0).padStart(6)}/s  ${cost}`);
  return drained;
}

function toFigures(rates: ReadonlyMap<string, number>): readonly Figure[] {
  const value = rates.get('herald') ?? Number.NaN;
  return Object.entries(GOALS)
    .filter(([name]) => rates.has(name))
    .map(([name, goal]) => ({
      what: `deliveries, vs ${name}`,
      value,
      unit: '/s',
      yardstick: { name: '/s', value: rates.get(name) ?? Number.NaN },
      goal,
    }));
}
