/** Worker processes on one database, whose API is in the test's own process. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestApp, type TestApp } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { type HeraldProcess, spawnHerald } from '../support/process.ts';
import { until } from '../support/until.ts';

export interface Workers extends AsyncDisposable {
  readonly app: TestApp;
  /** Those that were started since the last `end`. */
  readonly all: readonly HeraldProcess[];
  /** Starts one and waits until it is ready. */
  start(env?: Readonly<Record<string, string>>): Promise<HeraldProcess>;
  spawn(env?: Readonly<Record<string, string>>): HeraldProcess;
  /** Ends all by SIGKILL. */
  end(): Promise<void>;
  /** Queues `count` events of `type`, numbered from 0. */
  queue(type: string, count: number): Promise<void>;
  /** How the invocations of `type` stand, e.g. `{SUCCEEDED: 3}`, and how many attempts of each status they have. */
  standing(type: string): Promise<Standing>;
}

interface Standing {
  readonly invocations: Readonly<Record<string, number>>;
  readonly attempts: Readonly<Record<string, number>>;
}

export async function openWorkers(): Promise<Workers> {
  const app = await startTestApp({ env: { ROLES: 'api' } });
  const sql = openSql(app.database, {}, 2);
  const directory = await mkdtemp(join(tmpdir(), 'herald-workers-'));
  let started = 0;
  let all: HeraldProcess[] = [];

  function spawn(env: Readonly<Record<string, string>> = {}): HeraldProcess {
    const worker = spawnHerald({
      DATABASE_URL: app.database.url,
      DATA_DIR: join(directory, String(started++)),
      ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
      ADMIN_TOKEN: 'an-admin-token-of-32-characters!',
      ROLES: 'worker',
      CONCURRENCY: '20',
      SHUTDOWN_SECONDS: '20',
      ...env,
    });
    all.push(worker);
    return worker;
  }

  const end = async (): Promise<void> => {
    const ending = all;
    all = [];
    for (const worker of ending) await worker[Symbol.asyncDispose]();
  };

  return {
    app,
    get all() {
      return all;
    },
    spawn,
    end,
    async start(env) {
      const worker = spawn(env);
      await until(() => worker.output().includes('is ready after'), 'the worker to be ready', 30_000);
      return worker;
    },
    async queue(type, count) {
      const events = Array.from({ length: count }, (_, n) => ({ type, data: n }));
      const response = await app.post('/v1/api/default/eventing/admin-queue', { events });
      if (response.status !== 200) throw new Error(await response.text());
    },
    async standing(type) {
      const rows = await sql<{ kind: 'invocations' | 'attempts'; status: string; count: number }[]>`
        with fired as (
          select i.id, i.status from herald.invocations i join herald.events e on e.id = i.event_id
            where e.type = ${type}
        )
        select 'invocations' as kind, status, count(*)::int from fired group by 2
        union all
        select 'attempts', a.status, count(*)::int from herald.attempts a join fired f on f.id = a.invocation_id
          group by 2`;
      const of = (kind: string) =>
        Object.fromEntries(
          rows.filter((row) => row.kind === kind).map(({ status, count }) => [status, count]),
        );
      return { invocations: of('invocations'), attempts: of('attempts') };
    },
    async [Symbol.asyncDispose]() {
      await end();
      await sql.end();
      await app[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
