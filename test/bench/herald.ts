/** The product as a process of its own, the way `npm start` runs it. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab, LabDatabase } from './lab.ts';
import { payload, TOKEN } from './payload.ts';
import { type Child, startChild } from './processes.ts';

export interface Herald extends Child {
  readonly url: string;
  /** Runs a GraphQL operation; throws where the answer has errors. */
  graphql<T>(query: string, variables?: unknown): Promise<T>;
}

export type Roles = 'api' | 'worker' | 'api,worker';

/** Resolves when it is ready. */
export async function startHerald(lab: Lab, database: LabDatabase, roles: Roles): Promise<Herald> {
  const dataDir = join(lab.directory, 'herald');
  await mkdir(dataDir, { recursive: true });
  const child = startChild('../../src/launch.mjs', {
    env: {
      PORT: '0',
      DATABASE_URL: database.url,
      DATA_DIR: dataDir,
      ADMIN_TOKEN: TOKEN,
      ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
      ROLES: roles,
      LOG_LEVEL: 'error',
    },
  });
  try {
    const url = await child.printed((output) => {
      const [, found] = /is ready after .* at (http:\/\/\S+)/.exec(output) ?? [];
      return found ?? null;
    });
    return { ...child, url, graphql: (query, variables = {}) => ask(url, query, variables) };
  } catch (error) {
    await child.stop();
    throw error;
  }
}

async function ask<T>(url: string, query: string, variables: unknown): Promise<T> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data: T; errors?: unknown };
  if (errors !== undefined) throw new Error(JSON.stringify(errors));
  return data;
}

export interface NewTrigger {
  readonly type: string;
  /** Path at the receiver; its first part is the lane. */
  readonly path: string;
  readonly timeoutMs?: number;
  readonly retries?: number;
}

export async function createTriggers(
  lab: Lab,
  herald: Herald,
  triggers: readonly NewTrigger[],
): Promise<void> {
  for (const { type, path, timeoutMs = 5000, retries = 3 } of triggers) {
    const input = { name: type, type, url: `${lab.receiver.url}/${path}`, timeout: timeoutMs, retries };
    const { createTrigger } = await herald.graphql<{ createTrigger: { userErrors: readonly unknown[] } }>(
      'mutation ($input: CreateTriggerInput!) { createTrigger(input: $input) { userErrors { field message } } }',
      { input },
    );
    if (createTrigger.userErrors.length > 0) throw new Error(JSON.stringify(createTrigger.userErrors));
  }
}

/** A migrated database that has these triggers and nothing else; nobody is connected to it. */
export async function createHeraldDatabase(lab: Lab, triggers: readonly NewTrigger[]): Promise<LabDatabase> {
  const database = await lab.createDatabase();
  await using herald = await startHerald(lab, database, 'api');
  await createTriggers(lab, herald, triggers);
  return database;
}

/** Whether every invocation that is due has ended, its attempts recorded. */
export async function isHeraldDone(database: LabDatabase): Promise<boolean> {
  return database.use(async (sql) => {
    const [row] = await sql<{ done: boolean }[]>`
      select not exists (
          select from herald.invocations
            where status not in ('SUCCEEDED', 'FAILED', 'CANCELLED') and next_attempt_at <= now())
        and not exists (
          select from herald.invocations
            where status not in ('SUCCEEDED', 'FAILED', 'CANCELLED') and next_attempt_at is null) as done`;
    return row?.done === true;
  });
}

/** Queues due events of `type` through the SQL door, as `queueEvents` does. `delay` is an SQL expression, in seconds. */
export async function fillHerald(
  database: LabDatabase,
  { type, events, delay = '0' }: { readonly type: string; readonly events: number; readonly delay?: string },
): Promise<void> {
  await database.use(async (sql) => {
    for (let done = 0; done < events; done += FILL_BATCH) {
      const size = Math.min(FILL_BATCH, events - done);
      await sql.unsafe(
        `select count(*) from herald.queue_events((
          select json_agg(json_build_object('type', $1::text, 'data', $2::text, 'delay', ${delay}))
            from generate_series(1, $3::int) n))`,
        [type, payload(done), size],
      );
    }
  });
}

const FILL_BATCH = 1000;
