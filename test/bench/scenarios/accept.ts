import type { Call } from '../calls.ts';
import { createHeraldDatabase, startHerald } from '../herald.ts';
import { describeLatency } from '../latency.ts';
import type { LoadAnswer, LoadQuestion } from '../load.ts';
import { median, ratioAtLeast, type Scenario } from '../scenario.ts';
import { amount } from '../table.ts';

const CONNECTIONS = 64;
const KINDS = ['NO_DATABASE', 'QUEUE_EVENT', 'REST', 'QUEUE_EVENTS'] as const;
type Kind = (typeof KINDS)[number];

const TITLES: Readonly<Record<Kind, string>> = {
  NO_DATABASE: 'query { __typename }',
  QUEUE_EVENT: 'queueEvent',
  REST: 'REST /queue',
  QUEUE_EVENTS: 'queueEvents of 100',
};

export const acceptScenario: Scenario = {
  name: 'accept',
  title: `events are queued over HTTP on ${CONNECTIONS} connections; ROLES=api, one trigger matches`,
  async run({ lab, quick, rounds, say }) {
    const durationMs = quick ? 1500 : 8000;
    await using database = await createHeraldDatabase(lab, [{ type: 'accept', path: 'accept/1' }]);
    await using herald = await startHerald(lab, database, 'api');
    const measure = (kind: Kind, ms: number): Promise<LoadAnswer> => {
      const batch = kind === 'QUEUE_EVENTS' ? 100 : 1;
      const call: Call = { kind, url: herald.url, types: ['accept'], batch };
      const question: LoadQuestion = { kind: 'CLOSED', call, connections: CONNECTIONS, durationMs: ms };
      return lab.load.ask(question);
    };
    for (const kind of KINDS) await measure(kind, durationMs / 4); // warms up
    const answers: Record<Kind, LoadAnswer[]> = {
      NO_DATABASE: [],
      QUEUE_EVENT: [],
      REST: [],
      QUEUE_EVENTS: [],
    };
    for (let round = 0; round < rounds; round++) {
      for (const kind of KINDS) {
        const answer = await measure(kind, durationMs);
        if (answer.failures > 0)
          throw new Error(`${TITLES[kind]}: ${answer.failures} failed: ${answer.firstFailure}`);
        answers[kind].push(answer);
        say(
          `${TITLES[kind].padEnd(20)} ${amount(answer.events / answer.seconds).padStart(7)}/s  ${describeLatency(answer.latency)}`,
        );
      }
    }
    const rate = (kind: Kind): number => median(answers[kind].map(({ events, seconds }) => events / seconds));
    const p99 = (kind: Kind): number => median(answers[kind].map(({ latency }) => latency.p99));
    const yardstick = { name: '/s without database', value: rate('NO_DATABASE') };
    const single = { name: '/s one by one', value: rate('QUEUE_EVENT') };
    return {
      configuration: { connections: CONNECTIONS, seconds: durationMs / 1000, rounds },
      figures: [
        { what: 'queueEvent', value: rate('QUEUE_EVENT'), unit: '/s', yardstick, goal: ratioAtLeast(0.6) },
        { what: 'queueEvent p99', value: p99('QUEUE_EVENT'), unit: 'ms' },
        { what: 'REST /queue', value: rate('REST'), unit: '/s', yardstick, goal: ratioAtLeast(0.6) },
        { what: 'REST /queue p99', value: p99('REST'), unit: 'ms' },
        {
          what: 'queueEvents of 100',
          value: rate('QUEUE_EVENTS'),
          unit: '/s',
          yardstick: single,
          goal: ratioAtLeast(8),
        },
        { what: 'queueEvents of 100 p99', value: p99('QUEUE_EVENTS'), unit: 'ms' },
      ],
      details: answers,
    };
  },
};
