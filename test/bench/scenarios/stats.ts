import { STATS_WINDOWS } from '../../../src/domain/stats.ts';
import { openDatabase } from '../../../src/store/database.ts';
import { foldTallies } from '../../../src/store/stats-fold.ts';
import { addFuture, cloneFinished, deliverOne } from '../ballast.ts';
import { settleDown } from '../draining.ts';
import { createHeraldDatabase, type Herald, startHerald } from '../herald.ts';
import type { LabDatabase } from '../lab.ts';
import { type Distribution, distributionOfTimes } from '../latency.ts';
import { runStep } from '../loads.ts';
import { atMost, type Bench, type Figure, type Scenario } from '../scenario.ts';

const TRIGGERS = 20;
/** Types that no trigger matches. */
const OTHER_TYPES = 2000;
/** Deliveries a second while everything is asked for the second time. */
const RATE = 200;
/** So far back do the invocations lie, most of them in the last days. */
const DAYS = 29;
const CLONES = 25_000;
/** Invocations that one transaction of a worker settles: a row of tallies. */
const SETTLED_TOGETHER = 100;
const GOAL_MS = 50;

type Round = Readonly<Record<string, Distribution>>;

export const statsScenario: Scenario = {
  name: 'stats',
  title: 'statistics, queue and event types over GraphQL, with so many invocations in the tables',
  async run(bench) {
    const { lab, quick, say } = bench;
    const invocations = quick ? 50_000 : 5_000_000;
    const asked = quick ? 20 : 200;
    const types = Array.from({ length: TRIGGERS }, (_, n) => `stats.${n}`);
    await using database = await createHeraldDatabase(
      lab,
      types.map((type) => ({ type, path: `stats/${type}` })),
    );
    await fill(bench, database, types, invocations);
    await using herald = await startHerald(lab, database, 'api,worker');
    await check(herald, invocations);
    const questions = await questionsOf(herald);
    const idle = await ask(herald, questions, asked);
    const target = { kind: 'QUEUE_EVENT', url: herald.url, types } as const;
    const [busy, step] = await Promise.all([
      ask(herald, questions, asked),
      runStep(lab, target, { rate: RATE, durationMs: quick ? 3000 : 30_000 }),
    ]);
    const figures = [...toFigures(idle, ''), ...toFigures(busy, `, ${RATE} deliveries/s beside`)];
    for (const { what, value } of figures) say(`${what}: ${value.toFixed(1)} ms`);
    return {
      configuration: { invocations, triggers: TRIGGERS, types: TRIGGERS + OTHER_TYPES, asked, rate: RATE },
      figures,
      details: { idle, busy, step },
    };
  },
};

async function fill(
  { lab, quick, say }: Bench,
  database: LabDatabase,
  types: readonly string[],
  invocations: number,
): Promise<void> {
  const startedAt = performance.now();
  await deliverOne(lab, database, types);
  const each = Math.ceil(invocations / types.length);
  for (const [index, type] of types.entries()) {
    for (let done = 0; done < each; done += CLONES) {
      const size = Math.min(CLONES, each - done);
      const daysAgo = daysAgoOf(done / each);
      const stepMs = ((daysAgo - daysAgoOf((done + size) / each)) * 86_400_000) / size;
      await cloneFinished(database, { type, size, daysAgo, stepMs });
      await database.use((sql) => sql.unsafe(TALLY, [type, size / SETTLED_TOGETHER, daysAgo, stepMs]));
    }
    say(`${each * (index + 1)} invocations after ${seconds(startedAt)} s`);
  }
  await addFuture(database, types[0] ?? '', quick ? 1000 : 100_000);
  await database.use((sql) =>
    sql.unsafe(`select count(*) from herald.queue_events((
      select json_agg(json_build_object('type', 'other.' || n)) from generate_series(1, ${OTHER_TYPES / 2}) n))`),
  );
  await foldAll(database);
  await settleDown(database);
  const bytes = await database.use(async (sql) => {
    const [row] = await sql<{ gb: number }[]>`
      select pg_database_size(current_database())::float8 / 1e9 as gb`;
    return row?.gb ?? Number.NaN;
  });
  say(`filled in ${seconds(startedAt)} s, ${bytes.toFixed(1)} GB`);
}

const daysAgoOf = (share: number): number => DAYS * (1 - share) ** 3;
const seconds = (since: number): string => ((performance.now() - since) / 1000).toFixed(0);

/**
 * What workers would have written beside those clones, $2 transactions of them; that events came is tallied with the
 * clones. $1, $3 and $4 as for them.
 */
const TALLY = `
  insert into herald.tallies (trigger_id, at, attempts, succeeded, durations, latencies)
    select t.id, m.at, ${SETTLED_TOGETHER}, ${SETTLED_TOGETHER}, d.durations, d.latencies
      from (
        select now() - $3::float8 * interval '1 day' + n * ${SETTLED_TOGETHER} * $4::float8 * interval '1 ms' as at
          from generate_series(1, $2::int) n
      ) m
      join herald.triggers t on t.type = $1
      cross join lateral (
        select array_agg((5 + 200 * random() ^ 4)::real) as durations,
            array_agg((10 + 500 * random() ^ 4)::real) as latencies
          from generate_series(1, ${SETTLED_TOGETHER}) n
          where m.at is not null
      ) d`;

/** By the product's own way. */
async function foldAll(database: LabDatabase): Promise<void> {
  const db = openDatabase(database.address, { name: 'bench', max: 2 });
  try {
    // A round at a time, as workers do; one that runs may have been at it meanwhile.
    for (;;) {
      await foldTallies(db);
      const [row] = await db.$client.unsafe<{ left: boolean }[]>(
        'select exists (select from herald.tallies) as left',
      );
      if (row?.left !== true) return;
    }
  } finally {
    await db.$client.end();
  }
}

/** Errors: where what was filled in is not what is counted. */
async function check(herald: Herald, invocations: number): Promise<void> {
  const { stats } = await herald.graphql<{ stats: { invocationsSucceeded: number; eventsQueued: number } }>(
    '{ stats(window: LAST_30_DAYS) { invocationsSucceeded eventsQueued } }',
  );
  if (stats.invocationsSucceeded < invocations || stats.eventsQueued < invocations) {
    throw new Error(`counted ${JSON.stringify(stats)} of ${invocations} invocations`);
  }
}

const NUMBERS = `from to eventsQueued invocationsSucceeded invocationsFailed attempts retries successRate
  attemptDuration { p50Ms p95Ms p99Ms } deliveryLatency { p50Ms p95Ms p99Ms }
  buckets { from eventsQueued attemptsSucceeded attemptsFailed }`;

/** Queries by what they ask for. */
async function questionsOf(herald: Herald): Promise<Readonly<Record<string, string>>> {
  const { triggers } = await herald.graphql<{ triggers: { nodes: readonly { id: string }[] } }>(
    '{ triggers(first: 1) { nodes { id } } }',
  );
  const id = triggers.nodes[0]?.id;
  return {
    ...Object.fromEntries(
      STATS_WINDOWS.flatMap((window) => [
        [`stats ${window}`, `{ stats(window: ${window}) { ${NUMBERS} } }`],
        [`trigger.stats ${window}`, `{ trigger(id: "${id}") { stats(window: ${window}) { ${NUMBERS} } } }`],
      ]),
    ),
    queue: '{ queue { scheduled ready running retrying held deadLetters oldestReadyAgeSeconds nextDueAt } }',
    eventTypes: '{ eventTypes { type triggerCount eventCount lastSeenAt } }',
    'eventTypes with prefix': '{ eventTypes(prefix: "other.1") { type triggerCount eventCount lastSeenAt } }',
  };
}

/** Each question so many times, in turns, one at a time. */
async function ask(
  herald: Herald,
  questions: Readonly<Record<string, string>>,
  times: number,
): Promise<Round> {
  const measured = new Map<string, number[]>(Object.keys(questions).map((name) => [name, []]));
  for (let round = 0; round <= times; round++) {
    for (const [name, query] of Object.entries(questions)) {
      const before = performance.now();
      await herald.graphql(query);
      if (round > 0) measured.get(name)?.push(performance.now() - before); // the first one warms up
    }
  }
  return Object.fromEntries([...measured].map(([name, own]) => [name, distributionOfTimes(own)]));
}

function toFigures(round: Round, beside: string): readonly Figure[] {
  return Object.entries(round).flatMap(([name, distribution]) =>
    (['p50', 'p95', 'max'] as const).map((which) => ({
      what: `${name} ${which}${beside}`,
      value: distribution[which],
      unit: 'ms',
      ...(which === 'p95' ? { goal: atMost(GOAL_MS) } : {}),
    })),
  );
}
