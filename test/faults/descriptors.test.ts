/** A process that has no file descriptors left (F32): nothing is lost, no retry is used up, and it recovers. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { askGraphql } from '../support/app.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { spawnHerald } from '../support/process.ts';
import { startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';

const TOKEN = 'descriptors-admin-token-0123456789';
const MAX_FILES = 160;
const EVENTS = 20;

test('without file descriptors deliveries wait, and use up no retry; with them all go out', async () => {
  const database = await createTestDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), 'herald-descriptors-'));
  await using receiver = await startReceiver();
  await using sql = openSql(database);
  await using herald = spawnHerald(
    { DATABASE_URL: database.url, DATA_DIR: dataDir, ADMIN_TOKEN: TOKEN, EGRESS: 'private' },
    undefined,
    MAX_FILES,
  );
  const { url } = await herald.ready();
  const { port } = new URL(url);
  const ask = (query: string, variables: unknown = {}) => askGraphql({ url, token: TOKEN }, query, variables);
  await ask(
    'mutation ($input: CreateTriggerInput!) { createTrigger(input: $input) { userErrors { message } } }',
    {
      input: { name: 'scarce', type: 'scarce', url: receiver.url, retries: 0 },
    },
  );
  const idle: Socket[] = [];
  const flood = async (): Promise<void> => {
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => {});
    idle.push(socket);
    await once(socket, 'connect');
  };
  await Promise.all(Array.from({ length: MAX_FILES }, flood));

  // In a transaction of the user's own: who has no connection yet gets none.
  await sql`
    select count(*) from herald.queue_events((
      select json_agg(json_build_object('type', 'scarce')) from generate_series(1, ${EVENTS}::int)))`;
  await until(() => /lacks the means to send/.test(herald.output()), 'the shortage to be felt');
  const [standing] = await sql<{ waiting: number; attempts: number }[]>`
    select count(*) filter (where status = 'PENDING')::int as waiting, sum(attempt_count)::int as attempts
      from herald.invocations`;
  expect(standing).toEqual({ waiting: EVENTS, attempts: 0 });

  for (const socket of idle) socket.destroy();
  await until(async () => {
    const [row] = await sql`select count(*)::int as count from herald.invocations where status = 'SUCCEEDED'`;
    return row?.count === EVENTS;
  }, 'all to be delivered');
  const rows = await sql`select distinct attempt_count, max_attempts from herald.invocations`;
  expect(rows.map((row) => ({ ...row }))).toEqual([{ attempt_count: 1, max_attempts: 1 }]);
  expect(receiver.deliveries).toHaveLength(EVENTS);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  herald.child.kill('SIGTERM');
  expect(await herald.exited()).toEqual({ code: 0, signal: null });
  await rm(dataDir, { recursive: true, force: true });
}, 60_000);
