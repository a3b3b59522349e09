/** The product as a newcomer starts it: one process, an embedded Postgres, signals and sudden deaths. */
import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { askGraphql as graphql } from '../support/app.ts';
import { createTestDatabase } from '../support/database.ts';
import { isAlive, spawnHerald } from '../support/process.ts';
import { startProxy, through } from '../support/proxy.ts';
import { startReceiver, status } from '../support/receiver.ts';
import { until } from '../support/until.ts';

let dataDir: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'herald-process-'));
  // As root the server runs as another user, who must be able to reach its directory.
  await chmod(dataDir, 0o755);
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

const CREATE = `mutation ($url: String!, $type: String!) {
  createTrigger(input: {name: $type, type: $type, url: $url}) { trigger { id } userErrors { message } } }`;
const QUEUE = `mutation ($events: [QueueEventInput!]!) {
  queueEvents(input: {events: $events}) { events { id } userErrors { message } } }`;

async function postmasterPid(): Promise<number> {
  const text = await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8');
  return Number(text.split('\n')[0]);
}

test('a queue full of scheduled events survives kill -9 and restart; each is delivered, none too early', async () => {
  await using receiver = await startReceiver();
  const dueAt = new Map<string, number>();
  {
    await using first = spawnHerald({ DATA_DIR: dataDir });
    const herald = await first.ready();
    await graphql(herald, CREATE, { url: receiver.url, type: 'scheduled' });
    const start = Date.now() + 1000;
    const events = Array.from({ length: 300 }, (_, n) => ({
      type: 'scheduled',
      data: n,
      timestamp: start + n * 10,
    }));
    const { queueEvents } = await graphql<{ queueEvents: { events: { id: string }[] } }>(herald, QUEUE, {
      events,
    });
    queueEvents.events.forEach(({ id }, n) => {
      dueAt.set(id, start + n * 10);
    });
    await receiver.received(20);
    const postgres = await postmasterPid();
    first.child.kill('SIGKILL');
    await first.exited();
    await until(() => !isAlive(postgres), 'the embedded Postgres to go with its Herald');
  }
  expect(receiver.deliveries.length).toBeLessThan(300);

  await using second = spawnHerald({ DATA_DIR: dataDir });
  const herald = await second.ready();
  const distinct = () => new Set(receiver.deliveries.map(({ headers }) => headers['webhook-id'])).size;
  await until(() => distinct() === 300, 'all 300 deliveries', 30_000);
  for (const { text, atEpochMs } of receiver.deliveries) {
    const { id } = JSON.parse(text) as { id: string };
    expect(atEpochMs).toBeGreaterThanOrEqual((dueAt.get(id) ?? Number.POSITIVE_INFINITY) - 1);
  }
  const settled = await until(async () => {
    const { invocations } = await graphql<{ invocations: { totalCount: { value: number } } }>(
      herald,
      'query { invocations(filter: {status: [SUCCEEDED]}) { totalCount { value } } }',
    );
    return invocations.totalCount.value === 300 && invocations;
  }, 'all to be recorded');
  expect(settled.totalCount.value).toBe(300);
});

test('SIGTERM: the attempt in flight ends, exit code 0, no server left; a second Herald on the same data is refused', async () => {
  await using receiver = await startReceiver();
  let finish = (): void => {};
  receiver.answer = (delivery, res) => {
    finish = () => status(200)(delivery, res);
  };
  await using herald = spawnHerald({ DATA_DIR: dataDir });
  const { url, token } = await herald.ready();
  expect((await fetch(`${url}/livez`)).status).toBe(200);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  expect((await fetch(url)).headers.get('content-type')).toMatch(/^text\/html/);
  expect((await stat(join(dataDir, 'admin-token'))).mode & 0o777).toBe(0o600);
  expect((await readFile(join(dataDir, 'admin-token'), 'utf8')).trim()).toBe(token);

  await using intruder = spawnHerald({ DATA_DIR: dataDir });
  expect((await intruder.exited()).code).toBe(1);
  expect(intruder.output().trim().split('\n')).toHaveLength(1);
  expect(intruder.output()).toMatch(/in use/);

  await graphql({ url, token }, CREATE, { url: receiver.url, type: 'slow' });
  await graphql({ url, token }, QUEUE, { events: [{ type: 'slow' }] });
  await receiver.received(1);
  const postgres = await postmasterPid();
  herald.child.kill('SIGTERM');
  await until(
    () =>
      fetch(`${url}/readyz`).then(
        ({ status }) => status === 503,
        () => true,
      ),
    'readyz to say no',
  );
  finish();
  expect(await herald.exited()).toEqual({ code: 0, signal: null });
  expect(isAlive(postgres)).toBe(false);

  await using again = spawnHerald({ DATA_DIR: dataDir });
  const { invocations } = await graphql<{
    invocations: { nodes: { status: string; attemptCount: number }[] };
  }>(await again.ready(), 'query { invocations(first: 1) { nodes { status attemptCount } } }');
  expect(invocations.nodes).toEqual([{ status: 'SUCCEEDED', attemptCount: 1 }]);
  again.child.kill('SIGINT');
  expect((await again.exited()).code).toBe(0);
});

test('what cannot start says why in one sentence', async () => {
  await using taken = await listenSomewhere();
  const database = await createTestDatabase();
  const oneLine = async (env: Record<string, string>) => {
    await using herald = spawnHerald({ DATA_DIR: join(dataDir, 'none'), ...env });
    expect((await herald.exited()).code).toBe(1);
    return herald.output().trim();
  };
  const [port, url, settings] = await Promise.all([
    oneLine({ DATABASE_URL: database.url, PORT: String(taken.port) }),
    oneLine({ DATABASE_URL: 'postgres://127.0.0.1:1/none' }),
    oneLine({ PORT: 'x', ROLES: 'y' }),
  ]);
  expect(port).toMatch(/^Port \d+ on 127\.0\.0\.1 is taken by another program; set PORT to a free one\.$/);
  expect(url).toMatch(/^Cannot use the database at DATABASE_URL: .*\.$/);
  expect(settings).toMatch(/PORT: expected[^\n]*\n\s+ROLES: expected/);
});

test('a database that is there and not yet available is waited for', async () => {
  const database = await createTestDatabase();
  await using proxy = await startProxy(database);
  proxy.mode = 'REFUSING';
  await using herald = spawnHerald({
    DATA_DIR: join(dataDir, 'waiting'),
    DATABASE_URL: through(proxy, database),
  });
  await until(() => herald.output().includes('the database is not available yet'), 'the first try');
  proxy.mode = 'OPEN';
  await herald.ready();
  herald.child.kill('SIGTERM');
  expect((await herald.exited()).code).toBe(0);
});

async function listenSomewhere(): Promise<{ readonly port: number } & AsyncDisposable> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
