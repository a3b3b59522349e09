/** Who takes part in the drain, how each is filled with work, and how one sees that it is done. */
import { randomUUID } from 'node:crypto';
import { Queue } from 'bullmq';
import { PgBoss } from 'pg-boss';
import type { Assignment } from './contestants/assignment.ts';
import { FILL, TABLES } from './contestants/attempt-log.ts';
import { createHeraldDatabase, fillHerald, isHeraldDone, startHerald } from './herald.ts';
import type { Lab, LabDatabase } from './lab.ts';
import { payload } from './payload.ts';
import { type Child, startChild } from './processes.ts';

export interface Contestant {
  readonly name: string;
  readonly title: string;
  /** Of the scenario's events, how many it is given: the slow ones would take minutes. */
  readonly share: number;
  /** A database with so much work due and nobody connected: rounds run on copies of it. */
  prepare(lab: Lab, events: number): Promise<LabDatabase>;
  /** What a copy of the database does not bring along. */
  refill?(lab: Lab, database: LabDatabase): Promise<void>;
  /** Takes that away again. */
  clear?(lab: Lab): Promise<void>;
  start(lab: Lab, database: LabDatabase): Promise<Child>;
  isDone(database: LabDatabase): Promise<boolean>;
  /** Attempts in its log; null where it keeps none. */
  countRecorded(database: LabDatabase): Promise<number | null>;
}

const LANE = 'drain/1';
/** In Redis. Nobody else's, as the Redis may be somebody else's. */
const QUEUE = `herald-bench-${randomUUID()}`;

const herald: Contestant = {
  name: 'herald',
  title: 'Herald, one process (ROLES=worker), as configured by default',
  share: 1,
  async prepare(lab, events) {
    const database = await createHeraldDatabase(lab, [{ type: 'drain', path: LANE }]);
    await fillHerald(database, { type: 'drain', events });
    return database;
  },
  start: (lab, database) => startHerald(lab, database, 'worker'),
  isDone: isHeraldDone,
  countRecorded: (database) => countOf(database, 'herald.attempts'),
};

const bare: Contestant = {
  name: 'bare',
  title: 'graphile-worker + undici, tuned, nothing recorded',
  share: 1,
  async prepare(lab, events) {
    const database = await lab.createDatabase();
    await database.use((sql) =>
      sql.unsafe(
        `select count(*) from graphile_worker.add_jobs((
          select array_agg(('bare', $1::json, null, now(), 4, null, null, null)::graphile_worker.job_spec)
            from generate_series(1, $2::int)))`,
        [payload(1), events],
      ),
    );
    return database;
  },
  start: async (lab, database) => startContestant('bare', lab, database, 'TUNED'),
  isDone: (database) =>
    isTrue(database, 'select not exists (select from graphile_worker._private_jobs) as yes'),
  countRecorded: async () => null,
};

const handRolled: Contestant = {
  name: 'hand-rolled',
  title: 'graphile-worker + undici, 24 at once, a select, an insert and an update a delivery',
  share: 0.2,
  async prepare(lab, events) {
    const database = await createFieldDatabase(lab, events);
    await database.use((sql) =>
      sql.unsafe(`
        select count(*) from graphile_worker.add_jobs((
          select array_agg((
              'deliver', json_build_object('invocation', i.id), null, now(), 4, null, null, null
            )::graphile_worker.job_spec) from field.invocations i))`),
    );
    return database;
  },
  start: async (lab, database) => startContestant('hand-rolled', lab, database, 'AS_DOCUMENTED'),
  isDone: isFieldDone,
  countRecorded: countFieldAttempts,
};

function pgBoss(manner: Assignment['manner']): Contestant {
  const documented = manner === 'AS_DOCUMENTED';
  return {
    name: documented ? 'pg-boss' : 'pg-boss tuned',
    title: documented
      ? 'pg-boss + undici as its documentation advises for throughput, 20 at once, each attempt recorded'
      : 'pg-boss + undici, 3 workers fetching 250 at once, attempts recorded in batches',
    share: documented ? 0.25 : 1,
    async prepare(lab, events) {
      const database = await createFieldDatabase(lab, events);
      const boss = new PgBoss({ ...database.address, max: 2, supervise: false, schedule: false });
      boss.on('error', () => {});
      await boss.start();
      await boss.createQueue('deliver');
      const invocations = await readInvocations(database);
      for (let done = 0; done < invocations.length; done += 1000) {
        const jobs = invocations.slice(done, done + 1000).map((data) => ({ data }));
        await boss.insert('deliver', jobs);
      }
      await boss.stop({ graceful: false });
      return database;
    },
    start: async (lab, database) => startContestant('pg-boss', lab, database, manner),
    isDone: isFieldDone,
    countRecorded: countFieldAttempts,
  };
}

function bullmq(manner: Assignment['manner']): Contestant {
  const documented = manner === 'AS_DOCUMENTED';
  return {
    name: documented ? 'BullMQ' : 'BullMQ tuned',
    title: documented
      ? 'BullMQ + undici as its guide shows it, 50 at once, each attempt recorded'
      : 'BullMQ + undici, 400 at once, attempts recorded in batches',
    share: documented ? 1 / 3 : 1,
    prepare: createFieldDatabase,
    refill: (lab, database) =>
      useQueue(lab, async (queue) => {
        const jobs = (await readInvocations(database)).map((data) => ({ name: 'deliver', data }));
        for (let done = 0; done < jobs.length; done += 1000)
          await queue.addBulk(jobs.slice(done, done + 1000));
      }),
    clear: (lab) => useQueue(lab, (queue) => queue.obliterate({ force: true })),
    start: async (lab, database) => startContestant('bullmq', lab, database, manner),
    isDone: isFieldDone,
    countRecorded: countFieldAttempts,
  };
}

/** In the order in which each round runs them. */
export function listContestants(lab: Lab): readonly Contestant[] {
  const field = [bare, herald, handRolled, pgBoss('AS_DOCUMENTED'), pgBoss('TUNED')];
  return lab.redisUrl === null ? field : [...field, bullmq('AS_DOCUMENTED'), bullmq('TUNED')];
}

export async function startHandRolled(lab: Lab, database: LabDatabase): Promise<Child & { url: string }> {
  const child = startContestant('hand-rolled', lab, database, 'AS_DOCUMENTED');
  const url = await child.printed((output) => /listening at (\S+)/.exec(output)?.[1] ?? null);
  return { ...child, url };
}

/** The tables of the attempt log, with so many events that wait to be delivered. */
export async function createFieldDatabase(lab: Lab, events: number): Promise<LabDatabase> {
  const database = await lab.createDatabase();
  await database.use(async (sql) => {
    await sql.unsafe(TABLES);
    await sql.unsafe(FILL, [events, `${lab.receiver.url}/${LANE}`, payload(1)]);
  });
  return database;
}

function startContestant(
  kind: 'bare' | 'hand-rolled' | 'pg-boss' | 'bullmq',
  lab: Lab,
  database: LabDatabase,
  manner: Assignment['manner'],
): Child {
  const assignment: Assignment = {
    address: database.address,
    url: `${lab.receiver.url}/${LANE}`,
    manner,
    redisUrl: lab.redisUrl,
    queue: QUEUE,
  };
  return startChild(`contestants/${kind}.ts`, { args: [JSON.stringify(assignment)] });
}

async function useQueue(lab: Lab, work: (queue: Queue) => Promise<void>): Promise<void> {
  const queue = new Queue(QUEUE, { connection: { url: lab.redisUrl ?? '' } });
  try {
    await work(queue);
  } finally {
    await queue.close();
  }
}

function readInvocations(database: LabDatabase): Promise<readonly { invocation: string; event: string }[]> {
  return database.use(async (sql) => [
    ...(await sql<{ invocation: string; event: string }[]>`
      select i.id as invocation, e.data as event from field.invocations i join field.events e on e.id = i.event_id`),
  ]);
}

function isFieldDone(database: LabDatabase): Promise<boolean> {
  return isTrue(
    database,
    'select not exists (select from field.invocations where finished_at is null) as yes',
  );
}

function countFieldAttempts(database: LabDatabase): Promise<number> {
  return countOf(database, 'field.attempts');
}

export function countOf(database: LabDatabase, table: string): Promise<number> {
  return database.use(async (sql) => {
    const [row] = await sql.unsafe<{ count: number }[]>(`select count(*)::int as count from ${table}`);
    return row?.count ?? 0;
  });
}

function isTrue(database: LabDatabase, statement: string): Promise<boolean> {
  return database.use(async (sql) => {
    const [row] = await sql.unsafe<{ yes: boolean }[]>(statement);
    return row?.yes === true;
  });
}
