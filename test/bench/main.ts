/** `npm run bench -- [scenario …] [--quick] [--rounds 3] [--out file.json]` */
import { writeFile } from 'node:fs/promises';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Lab, openLab } from './lab.ts';
import { PAYLOAD_SIZE } from './payload.ts';
import { killAll } from './processes.ts';
import type { Result, Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';
import { printTable } from './table.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean' },
    rounds: { type: 'string' },
    out: { type: 'string' },
    help: { type: 'boolean' },
  },
});
const unknown = positionals.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
if (options.help === true || unknown.length > 0) {
  if (unknown.length > 0) console.error(`unknown: ${unknown.join(', ')}\n`);
  console.error('npm run bench -- [scenario …] [--quick] [--rounds 3] [--out file.json]\n');
  for (const { name, title } of SCENARIOS) console.error(`  ${name.padEnd(12)} ${title}`);
  process.exit(unknown.length > 0 ? 1 : 0);
}
const quick = options.quick === true;
const rounds = Math.max(1, Number(options.rounds ?? (quick ? 1 : 3)) || 1);
const out =
  options.out ?? join(tmpdir(), `herald-bench-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`);
const chosen = SCENARIOS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));

let lab: Lab | null = null;
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, async () => {
    if (interrupted) return;
    interrupted = true;
    killAll();
    await lab?.[Symbol.asyncDispose]().then(undefined, () => {});
    process.exit(130);
  });
}

try {
  lab = await openLab();
  await runAll(lab);
} catch (error) {
  if (!interrupted) {
    console.error(error);
    process.exitCode = 1;
  }
} finally {
  if (!interrupted) await lab?.[Symbol.asyncDispose]();
}

async function runAll(place: Lab): Promise<void> {
  const configuration = {
    startedAt: new Date().toISOString(),
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: process.version,
    postgres: { version: place.serverVersion, ...place.settings },
    payloadBytes: PAYLOAD_SIZE,
    concurrency: "Herald's default (CONCURRENCY=300); every contestant's own is in its title",
    place: 'load, API, workers, Postgres, Redis and receiver all on this machine',
    quick,
    rounds,
  };
  console.log(JSON.stringify(configuration, null, 2));
  const done: { name: string; title: string; seconds: number; result: Result }[] = [];
  let failed = false;
  for (const scenario of chosen) {
    const startedAt = performance.now();
    const result = await runOne(place, scenario);
    failed ||= result === null;
    if (result === null || interrupted) continue;
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    done.push({ name: scenario.name, title: scenario.title, seconds, result });
    // After each, so that what was measured is kept whatever comes.
    await writeFile(out, `${JSON.stringify({ configuration, scenarios: done }, null, 2)}\n`);
  }
  console.log(
    `\n${printTable(done)}\n\nall figures: ${out}${quick ? '\n--quick: these sizes measure nothing' : ''}`,
  );
  if (failed) process.exitCode = 1;
}

/** Null where it failed, which does not keep the others from running. */
async function runOne(place: Lab, scenario: Scenario): Promise<Result | null> {
  console.log(`\n${scenario.name}: ${scenario.title}`);
  try {
    const result = await scenario.run({ lab: place, quick, rounds, say: (line) => console.log(`  ${line}`) });
    console.log(`  ${JSON.stringify(result.configuration)}`);
    return result;
  } catch (error) {
    if (!interrupted) console.error(error);
    return null;
  }
}
