import { type Drained, drain, settleDown } from '../draining.ts';
import { createHeraldDatabase, fillHerald, isHeraldDone, startHerald } from '../herald.ts';
import { atLeast, median, ratioAtLeast, type Scenario } from '../scenario.ts';

export const twoWorkersScenario: Scenario = {
  name: 'two-workers',
  title: 'a backlog drained by one worker process, and by two, beside a process with the API alone (ROLES)',
  async run({ lab, quick, rounds, say }) {
    const events = quick ? 4000 : 30_000;
    await using filled = await createHeraldDatabase(lab, [{ type: 'drain', path: 'drain/1' }]);
    await fillHerald(filled, { type: 'drain', events });
    await settleDown(filled);
    const runs: Record<1 | 2, Drained[]> = { 1: [], 2: [] };
    for (let round = 0; round < rounds; round++) {
      for (const workers of [1, 2] as const) {
        await using database = await lab.createDatabase(filled);
        await using _api = await startHerald(lab, database, 'api');
        const start = () =>
          Promise.all(Array.from({ length: workers }, () => startHerald(lab, database, 'worker')));
        const drained = await drain(lab, events, start, () => isHeraldDone(database));
        runs[workers].push(drained);
        const shares = drained.shares.map((share) => `${(share * 100).toFixed(0)} %`).join(' + ');
        say(
          `${workers} worker(s)  ${drained.rate.toFixed(0).padStart(6)}/s  ${shares}, ${drained.cpuSeconds.toFixed(1)} s of CPU`,
        );
      }
    }
    const rate = (workers: 1 | 2): number => median(runs[workers].map((run) => run.rate));
    const smallest = median(runs[2].map(({ shares }) => Math.min(...shares)));
    return {
      configuration: { events, rounds, roles: 'api + worker, api + worker + worker' },
      figures: [
        {
          what: 'deliveries, two workers',
          value: rate(2),
          unit: '/s',
          yardstick: { name: '/s with one', value: rate(1) },
          goal: ratioAtLeast(1.1),
        },
        { what: 'share of the worker that did less', value: smallest * 100, unit: '%', goal: atLeast(30) },
      ],
      details: runs,
    };
  },
};
