/** Deliveries a second of a drained backlog: Herald, every attempt recorded, beside the bare loop that records nothing. */
import { once } from 'node:events';
import { sql } from 'drizzle-orm';
import { createTrigger } from '../../src/actions/manage-trigger.ts';
import { ALL_PROJECTS_ADMIN } from '../../src/domain/caller.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { createSecretBox } from '../../src/store/secrets.ts';
import { type Lab, openLab, startProcess } from './lab.ts';

const EVENTS = Number(process.env.EVENTS ?? 30_000);
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const CONCURRENCY = process.env.CONCURRENCY ?? '300';
const PAYLOAD = JSON.stringify({ id: 42, padding: 'x'.repeat(480) });

await using lab = await openLab();
const db = openDatabase(lab.database, { name: 'bench', max: 4 });
await createTrigger(
  {
    db,
    secrets: createSecretBox([Buffer.alloc(32, 7)]),
    egress: { mode: 'private', allowCidrs: [] },
    actor: ALL_PROJECTS_ADMIN,
  },
  {
    name: 'bench',
    project: 'default',
    type: 'bench',
    url: lab.receiverUrl,
    retries: 3,
    timeoutMs: 5000,
    retrySchedule: null,
    contentMode: 'JSON',
    specVersion: '1.0-rc1',
    headers: [],
    description: null,
    maxConcurrency: null,
    maxPerMinute: null,
    signatureAlgorithm: 'HMAC_SHA256',
    signingSecret: null,
    paused: false,
  },
);
console.log(
  `drain: ${EVENTS} due events of ${PAYLOAD.length} bytes, ${CONCURRENCY} in flight, ${ROUNDS} rounds, fsync on, Node ${process.version}`,
);

const rates: Record<'herald' | 'bare', number[]> = { herald: [], bare: [] };
for (let round = 0; round < ROUNDS; round++) {
  for (const kind of ['bare', 'herald'] as const) {
    await fill(db, kind);
    const { rate, cpuSeconds, rssMb } = await drain(lab, db, kind);
    rates[kind].push(rate);
    console.log(
      `  ${kind.padEnd(7)} ${rate.toFixed(0).padStart(6)}/s   ${cpuSeconds.toFixed(1)} s of CPU   ${rssMb.toFixed(0)} MB`,
    );
  }
}
const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
console.log(
  `median: herald ${median(rates.herald).toFixed(0)}/s, bare ${median(rates.bare).toFixed(0)}/s, ratio ${(median(rates.herald) / median(rates.bare)).toFixed(2)}`,
);
await db.$client.end();

async function fill(database: Database, kind: 'herald' | 'bare'): Promise<void> {
  for (let done = 0; done < EVENTS; done += 1000) {
    if (kind === 'herald') {
      await database.execute(sql`
        select count(*) from herald.queue_events((
          select json_agg(json_build_object('type', 'bench', 'data', ${PAYLOAD}::text)) from generate_series(1, 1000)))`);
    } else {
      await database.execute(sql`
        select count(*) from graphile_worker.add_jobs((
          select array_agg(('bare', ${PAYLOAD}::json, null, now(), 4, null, null, null)::graphile_worker.job_spec)
            from generate_series(1, 1000)))`);
    }
  }
  await database.execute(sql`vacuum analyze`);
}

async function drain(place: Lab, database: Database, kind: 'herald' | 'bare') {
  const before = await place.received();
  const worker = startProcess('contestant.ts', [
    kind,
    JSON.stringify(place.database),
    place.receiverUrl,
    CONCURRENCY,
  ]);
  const startedAt = performance.now();
  await once(worker, 'message');
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    if ((await place.received()) - before < EVENTS) continue;
    const [row] = await database.execute<{ jobs: number }>(
      sql`select count(*)::int as jobs from graphile_worker._private_jobs`,
    );
    if (row?.jobs === 0) break;
  }
  const rate = (EVENTS / (performance.now() - startedAt)) * 1000;
  worker.send('stop');
  const [{ cpu, rss }] = (await once(worker, 'message')) as [{ cpu: NodeJS.CpuUsage; rss: number }];
  await once(worker, 'exit');
  return { rate, cpuSeconds: (cpu.user + cpu.system) / 1e6, rssMb: rss / 1e6 };
}
