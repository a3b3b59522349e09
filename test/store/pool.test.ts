/** What becomes of the statements and transactions of a pool whose connections break, and of those that come after. */
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { createTestDatabase, openSql, type TestDatabase } from '../support/database.ts';
import { type PostgresProxy, startProxy, through } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const CONNECTIONS = 3;

let database: TestDatabase;
let proxy: PostgresProxy;
let direct: ReturnType<typeof openSql>;
let db: Database;

beforeEach(async () => {
  database = await createTestDatabase();
  proxy = await startProxy(database);
  direct = openSql(database, {}, 2);
  db = open(CONNECTIONS);
  await direct`create table notes (text text)`;
});
afterEach(async () => {
  await db.$client.end({ timeout: 1 });
  await direct.end();
  await proxy[Symbol.asyncDispose]();
});

const open = (max: number) => openDatabase({ url: through(proxy, database) }, { name: 'pool', max });
const one = async (on: Pick<Database, 'execute'> = db) =>
  [...(await on.execute<{ one: number }>(sql`select 1 as one`))] as unknown[];
const notes = async () => (await direct`select text from notes order by text`).map((row) => row.text);
const note = (on: Pick<Database, 'execute'>, text: string) =>
  on.execute(sql`insert into notes values (${text})`);
/** Waits for a statement with `text` in it to sleep. */
const asleep = (text: string) =>
  until(
    async () =>
      (
        await direct`
          select from pg_stat_activity
            where datname = current_database() and query like ${`%${text}%`} and wait_event = 'PgSleep'`
      ).length > 0,
    'the statement',
  );

test('a transaction whose connection breaks fails, the process lives, and the next one works', async () => {
  for (const how of ['CUT', 'TERMINATED']) {
    const failing = expect(
      db.transaction(async (tx) => {
        await note(tx, how);
        // Named, as the server goes on with the one of the connection that was cut.
        await tx.execute(sql`select pg_sleep(20) as ${sql.identifier(how)}`);
      }),
    ).rejects.toThrow();
    await asleep(how);
    if (how === 'CUT') proxy.cut();
    else await direct`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pool'`;
    await failing;
    await db.transaction((tx) => note(tx, `after ${how}`));
  }
  expect(await notes()).toEqual(['after CUT', 'after TERMINATED']);
});

test('what a transaction asks for after its connection broke is done nowhere', async () => {
  const held = Promise.withResolvers<void>();
  const failing = db.transaction(async (tx) => {
    await note(tx, 'first');
    await held.promise;
    await note(tx, 'second');
  });
  await until(
    async () =>
      (
        await direct`
          select from pg_locks l join pg_database d on d.oid = l.database
            where d.datname = current_database() and l.relation = 'notes'::regclass and l.mode = 'RowExclusiveLock'`
      ).length > 0,
  );
  proxy.cut();
  await until(() => proxy.count() === 0, 'the end of the connection');
  const others = Promise.all(Array.from({ length: 20 }, (_, n) => note(db, `other ${n}`)));
  held.resolve();
  await expect(failing).rejects.toThrow();
  await others;
  expect(await notes()).toHaveLength(20);
});

test('a result that was cut off leaves nothing in the results that follow', async () => {
  const single = open(1);
  proxy.bytesPerSecond = 1_000_000;
  const long = expect(
    single.execute(sql`select repeat('x', 1000) from generate_series(1, 20000)`),
  ).rejects.toThrow();
  await until(() => proxy.count() === 1, 'the connection');
  // More than the sockets between hold, so that the server waits for the reader in the middle of it.
  await until(
    async () =>
      (
        await direct`select from pg_stat_activity where application_name = 'pool' and wait_event = 'ClientWrite'`
      ).length > 0,
    'some of the result',
  );
  const heldSince = performance.now();
  await until(() => performance.now() - heldSince > 500, 'some rows to arrive');
  proxy.bytesPerSecond = null;
  proxy.cut();
  await long;
  expect(await one(single)).toEqual([{ one: 1 }]);
  await single.$client.end();
});

test('all connections break at once under load: whoever asks again is answered soon', async () => {
  for (let round = 0; round < 10; round++) {
    // Told apart: the server goes on sleeping for those that have gone.
    const sleep = `select pg_sleep(20.${round})`;
    // Asks again at once, from where the batches of statements come from.
    const ask = async () => {
      await db.execute(sql.raw(sleep)).catch(() => {});
      for (;;) {
        const answer = await one().catch(() => null);
        if (answer !== null) return answer;
        await new Promise(setImmediate);
      }
    };
    const asking = Promise.all(Array.from({ length: CONNECTIONS }, ask));
    await until(
      async () =>
        (await direct`select from pg_stat_activity where query = ${sleep} and wait_event = 'PgSleep'`)
          .length === CONNECTIONS,
      'the statements',
    );
    const cutAt = performance.now();
    proxy.cut();
    for (const answer of await asking) expect(answer).toEqual([{ one: 1 }]);
    expect(performance.now() - cutAt).toBeLessThan(5000);
  }
}, 60_000);

test('a transaction that fails leaves nothing behind, even if it does not say so', async () => {
  await expect(
    db.transaction(async (tx) => {
      await note(tx, 'thrown');
      throw new Error('no');
    }),
  ).rejects.toThrow('no');
  await expect(
    db.transaction(async (tx) => {
      await note(tx, 'swallowed');
      await tx.execute(sql`select 1 / 0`).catch(() => {});
    }),
  ).rejects.toMatchObject({ code: '22012' });
  let late: Promise<unknown> = Promise.resolve();
  await db.transaction(async (tx) => {
    await note(tx, 'kept');
    setImmediate(() => {
      late = note(tx, 'late').catch((error: unknown) => error);
    });
  });
  await until(() => late);
  await new Promise(setImmediate);
  expect(await late).toBeInstanceOf(Error);
  expect(await notes()).toEqual(['kept']);
});

test('what fails within a savepoint is undone alone, at any depth, and the transaction goes on', async () => {
  await db.transaction(async (tx) => {
    await note(tx, 'before');
    const outer = tx.transaction(async (inner) => {
      await note(inner, 'undone');
      await inner.transaction((innermost) => note(innermost, 'undone too'));
      await inner.execute(sql`select 1 / 0`);
    });
    await expect(outer).rejects.toMatchObject({ cause: { code: '22012' } });
    await tx.transaction((inner) => note(inner, 'inside'));
    // Caught inside, it still is no success.
    const hidden = tx.transaction((inner) => inner.execute(sql`select 1 / 0`).catch(() => {}));
    await expect(hidden).rejects.toThrow();
    await note(tx, 'z after');
  });
  expect(await notes()).toEqual(['before', 'inside', 'z after']);
});

test('more transactions than connections wait for each other, and statements beside them are answered', async () => {
  const transactions = Array.from({ length: CONNECTIONS * 4 }, (_, n) =>
    db.transaction(async (tx) => {
      await note(tx, `${n}`);
      await tx.execute(sql`select pg_sleep(0.01)`);
      return one(tx);
    }),
  );
  const statements = Array.from({ length: 200 }, () => one());
  for (const answer of await Promise.all([...transactions, ...statements]))
    expect(answer).toEqual([{ one: 1 }]);
  expect(await notes()).toHaveLength(CONNECTIONS * 4);
  expect(proxy.count()).toBeLessThanOrEqual(CONNECTIONS);
});

test('the end lets what is under way end, and refuses what comes after', async () => {
  const sleeping = Promise.all([db.execute(sql`select pg_sleep(0.2)`)]);
  const committing = db.transaction(async (tx) => {
    await tx.execute(sql`select pg_sleep(0.2)`);
    await note(tx, 'kept');
  });
  await asleep('pg_sleep(0.2)');
  const ended = db.$client.end();
  await expect(one()).rejects.toMatchObject({ cause: { code: 'CONNECTION_ENDED' } });
  await Promise.all([sleeping, committing, ended]);
  expect(await notes()).toEqual(['kept']);
  expect(proxy.count()).toBe(0);
});
