/** Half-open connections: the other end is gone and says nothing. */
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { openClient, openWorkerPool } from '../../src/store/database.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { startProxy, through } from '../support/proxy.ts';
import { until } from '../support/until.ts';

test('a statement without an answer fails soon after its time, and the next one has a new connection', async () => {
  const database = await createTestDatabase();
  await using proxy = await startProxy(database);
  const settings = { statement_timeout: '1000' };
  const sql = openClient({ url: through(proxy, database) }, { name: 'half-open', max: 1, settings });
  const pool = openWorkerPool({ url: through(proxy, database) }, { name: 'half-open', max: 1, settings });
  expect(await sql`select 1 as one`).toMatchObject([{ one: 1 }]);
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  // As long as it may be, a statement that is at work is no silence.
  await expect(sql`select pg_sleep(5)`).rejects.toThrow(/statement timeout/);

  proxy.mode = 'SILENT';
  const startedAt = performance.now();
  const failures = await Promise.allSettled([sql`select 1`, pool.query('select 1')]);
  expect(failures.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  proxy.mode = 'OPEN';
  expect(await until(() => sql`select 2 as two`.catch(() => null), 'postgres.js')).toMatchObject([
    { two: 2 },
  ]);
  const { rows } = await until(() => pool.query('select 2 as two').catch(() => null), 'pg');
  expect(rows).toEqual([{ two: 2 }]);
  await Promise.all([sql.end({ timeout: 1 }), pool.end()]);
});

test('a connection that is accepted and closed is refused, not tried for ever', async () => {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `postgres://nobody@127.0.0.1:${(server.address() as AddressInfo).port}/none`;
  const sql = openClient({ url }, { name: 'refused', max: 1 });
  await expect(sql`select 1`).rejects.toMatchObject({ code: 'ECONNRESET' });
  await sql.end();
  await new Promise((resolve) => server.close(resolve));
});

test('a statement that comes between a reset and the close fails, and does not wait for ever', async () => {
  const database = await createTestDatabase();
  await using proxy = await startProxy(database);
  const sql = openClient({ url: through(proxy, database) }, { name: 'reset', max: 1 });
  await sql`select 1`;
  const sleeping = sql`select pg_sleep(20)`.catch(() => sql`select 1`.catch(() => 'failed'));
  await using direct = openSql(database);
  await until(
    async () =>
      (
        await direct`select from pg_stat_activity where query like '%pg_sleep(20)%' and wait_event = 'PgSleep'`
      ).length > 0,
    'the statement',
  );
  proxy.cut();
  await sleeping;
  expect(await until(() => sql`select 1 as one`.catch(() => null), 'the connection')).toHaveLength(1);
  await sql.end({ timeout: 1 });
});

test('a connection that is given back twice, as graphile-worker may, is taken back once', async () => {
  const pool = openWorkerPool(await createTestDatabase(), { name: 'twice', max: 1 });
  await new Promise<void>((resolve, reject) => {
    pool.connect((error, _, release) => {
      if (error) return reject(error);
      release();
      release();
      resolve();
    });
  });
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  await pool.end();
});
