import { setTimeout as pause } from 'node:timers/promises';
import { createHeraldDatabase, fillHerald, isHeraldDone, startHerald } from '../herald.ts';
import type { LabDatabase } from '../lab.ts';
import { atMost, type Bench, type Figure, ratioAtMost, type Scenario } from '../scenario.ts';

/** After the start: until what is done once is done. */
const SETTLE_MS = 5000;

export const idleScenario: Scenario = {
  name: 'idle',
  title: 'what it costs to wait, and whether memory stays flat; one process (ROLES=api,worker)',
  async run(bench) {
    const waitMs = bench.quick ? 6000 : 30_000;
    const deliveries = bench.quick ? 4000 : 200_000;
    const steps = bench.quick ? 4 : 10;
    await using template = await createHeraldDatabase(bench.lab, [{ type: 'idle', path: 'idle/1' }]);
    const statements = await countStatements(bench, template, waitMs);
    const memory = await watchMemory(bench, template, deliveries, steps);
    return {
      configuration: {
        secondsIdle: waitMs / 1000,
        deliveries,
        steps,
        counted: 'statements in the log (log_statement=all)',
      },
      figures: [
        {
          what: 'statements with nothing to do',
          value: statements.length / (waitMs / 1000),
          unit: '/s',
          goal: atMost(2),
        },
        ...memoryFigures(memory, deliveries),
      ],
      details: { statements, memory },
    };
  },
};

/** Every statement of every connection, as the server itself logs them. */
async function countStatements(
  { lab, say }: Bench,
  template: LabDatabase,
  waitMs: number,
): Promise<readonly string[]> {
  await using database = await lab.createDatabase(template);
  await database.use((sql) =>
    sql.unsafe(`alter database ${database.address.database} set log_statement = 'all'`),
  );
  await using _herald = await startHerald(lab, database, 'api,worker');
  await pause(SETTLE_MS);
  const heard: string[] = [];
  lab.hearStatements((line) => {
    const [, statement] = /LOG:\s+(?:statement|execute [^:]*): (.*)/.exec(line) ?? [];
    if (statement !== undefined) heard.push(statement.slice(0, 120));
  });
  await pause(waitMs);
  lab.hearStatements(() => {});
  say(`${heard.length} statements in ${waitMs / 1000} s`);
  return heard;
}

interface Memory {
  readonly deliveries: number;
  readonly rssMb: number;
}

async function watchMemory(
  { lab, say }: Bench,
  template: LabDatabase,
  deliveries: number,
  steps: number,
): Promise<readonly Memory[]> {
  await using database = await lab.createDatabase(template);
  await using herald = await startHerald(lab, database, 'api,worker');
  const readings: Memory[] = [];
  const events = deliveries / steps;
  for (let step = 1; step <= steps; step++) {
    await fillHerald(database, { type: 'idle', events });
    while (!(await isHeraldDone(database))) await pause(100);
    const { rssMb } = await herald.usage();
    readings.push({ deliveries: step * events, rssMb });
    say(`${String(step * events).padStart(8)} deliveries  ${rssMb.toFixed(0)} MB`);
  }
  return readings;
}

function memoryFigures(memory: readonly Memory[], deliveries: number): readonly Figure[] {
  const half = memory[Math.ceil(memory.length / 2) - 1]?.rssMb ?? Number.NaN;
  const yardstick = { name: 'MB half-way', value: half };
  const rssMb = memory.at(-1)?.rssMb ?? Number.NaN;
  const what = `RSS after ${deliveries.toLocaleString('en-US')} deliveries`;
  return [{ what, value: rssMb, unit: 'MB', yardstick, goal: ratioAtMost(1.15) }];
}
