/**
 * The database ends, fails over, is full, or has no connection left (F09, F12, F13, F14): no false acknowledgement,
 * a clear 503, and work goes on by itself afterwards.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTrigger, startTestApp, type TestApp } from '../support/app.ts';
import { check, drained } from '../support/checker.ts';
import { openSql } from '../support/database.ts';
import {
  type ClientLedger,
  createClientLedger,
  type ReceiverLedger,
  startLoad,
  startReceiverLedger,
} from '../support/ledger.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';
import { createRandom } from '../support/random.ts';
import { until } from '../support/until.ts';

const CONCURRENCY = 10;
/** Everything that may be called and not recorded when results cannot be written: jobs at work. */
const AT_WORK = 2 * CONCURRENCY;
const MAX_CONNECTIONS = 40;
/** An answer while the database is away must come within this. */
const ANSWER_MS = 15_000;

let server: OwnPostgres;
let sql: ReturnType<typeof openSql>;
let app: TestApp;
let receiver: ReceiverLedger;
let clients: ClientLedger;
beforeAll(async () => {
  server = await startOwnPostgres({ max_connections: String(MAX_CONNECTIONS) });
  app = await startTestApp({ database: server.database, env: { CONCURRENCY: String(CONCURRENCY) } });
  // What the test does to Herald's sessions must not stop its own.
  sql = openSql(server.database, { default_transaction_read_only: 'off' });
});
beforeEach(async () => {
  await sql`truncate herald.events, herald.invocations, herald.attempts`;
  clients = createClientLedger();
  await receiver?.[Symbol.asyncDispose]();
  receiver = await startReceiverLedger();
});
afterAll(async () => {
  await receiver[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
  await sql.end();
  await server[Symbol.asyncDispose]();
});

async function underLoad(type: string, fault: () => Promise<void>): Promise<void> {
  await createTrigger(app, { type, url: receiver.receiver.url, retries: 10, retrySchedule: [0] });
  const random = createRandom();
  const load = startLoad({ ledger: clients, urls: () => [app.url], random, type, callers: 6, restMs: 5 });
  await until(() => clients.acknowledged() > 30, 'some load');
  await fault();
  const before = clients.acknowledged();
  await until(() => clients.acknowledged() > before + 30, 'queueing to go on', 20_000);
  await load.stop();
  await drained(sql, 25_000);
  await check({ clients, receiver, sql, duplicatesMax: AT_WORK });
  expect([...clients.refusals]).toEqual([503]);
}

const refusedSome = () => until(() => clients.refusals.size > 0, 'callers to be refused', ANSWER_MS);

test.each(['FAST', 'IMMEDIATE', 'KILL'] as const)(
  'it ends (%s) and starts again',
  async (how) => {
    await underLoad(`ends-${how}`, async () => {
      await server.end(how);
      await refusedSome();
      expect((await fetch(`${app.url}/readyz`)).status).toBe(503);
      await server.start();
    });
  },
  90_000,
);

test('it turns read-only, as a standby is before it is promoted', async () => {
  await underLoad('read-only', async () => {
    await sql`alter system set default_transaction_read_only = on`;
    await sql`select pg_reload_conf()`;
    await refusedSome();
    const before = clients.acknowledged();
    await until(() => clients.sent.size > before + 12, 'every caller to have tried again');
    expect(clients.acknowledged()).toBeLessThanOrEqual(before + 6);
    await sql`alter system reset default_transaction_read_only`;
    await sql`select pg_reload_conf()`;
  });
}, 90_000);

describe('the disk is full', () => {
  // The server's own error, raised where the tables would grow: no file system has to be filled for it.
  const tables = ['herald.events', 'herald.attempts', 'herald.changes', 'graphile_worker._private_jobs'];
  const fill = async () => {
    await sql.unsafe(`create or replace function public.disk_full() returns trigger language plpgsql as $$ begin
      raise exception using errcode = '53100', message = 'could not extend file: No space left on device'; end $$`);
    for (const table of tables) {
      await sql.unsafe(`create trigger disk_full before insert on ${table}
        for each statement execute function public.disk_full()`);
    }
  };
  const clear = async () => {
    for (const table of tables) await sql.unsafe(`drop trigger disk_full on ${table}`);
  };

  test('queueing says so; workers call no more than they had begun with, and record it when there is room', async () => {
    const type = 'full';
    await createTrigger(app, { type, url: receiver.receiver.url, retries: 10, retrySchedule: [0] });
    const due = Array.from({ length: 100 }, (_, n) => `full-${n}`);
    const answer = await app.post('/v1/api/default/eventing/admin-queue', {
      events: due.map((data) => ({ type, data, delay: 1 })),
    });
    const { events } = (await answer.json()) as { events: readonly { id: string }[] };
    for (const [n, key] of due.entries()) clients.note(key, events[n]?.id ?? 'missing');
    await fill();
    expect(await clients.queue(app.url, 'refused', { type, keyed: false })).toBe('REFUSED');
    await until(() => receiver.answered.length > 0, 'the first deliveries');
    const statements = await statementsOver(2000);
    expect(receiver.answered.length).toBeLessThanOrEqual(AT_WORK);
    expect(statements).toBeLessThan(500);
    await clear();
    await drained(sql, 25_000);
    const verdict = await check({ clients, receiver, sql, duplicatesMax: 0 });
    expect(verdict.delivered).toBe(100);
    expect([...clients.refusals]).toEqual([503]);
  }, 60_000);

  /** Transactions of the database within a while: what spins shows here. */
  async function statementsOver(ms: number): Promise<number> {
    const count = async () => {
      const [row] = await sql`
        select xact_commit + xact_rollback as count from pg_stat_database where datname = current_database()`;
      return Number(row?.count);
    };
    const [before, startedAt] = [await count(), performance.now()];
    await until(() => performance.now() - startedAt > ms, 'the time to pass');
    return (await count()) - before;
  }
});

test('every connection is taken (53300)', async () => {
  await underLoad('crowded', async () => {
    await using crowd = createCrowd();
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'herald %'`;
    await refusedSome();
    crowd.leave();
  });
}, 90_000);

test('a transaction that loses to another one (40001, 40P01) is run again, unseen by the caller', async () => {
  await sql.unsafe(`
    create sequence public.conflicts_events;
    create sequence public.conflicts_attempts;
    create function public.conflict() returns trigger language plpgsql as $$ declare
      turn bigint := nextval('public.conflicts_' || tg_table_name); begin
      if turn % 3 = 1 then raise exception using errcode = '40001', message = 'could not serialize access'; end if;
      if turn % 3 = 2 then raise exception using errcode = '40P01', message = 'deadlock detected'; end if;
      return null; end $$;
    create trigger conflict before insert on herald.events for each statement execute function public.conflict();
    create trigger conflict before insert on herald.attempts for each statement execute function public.conflict()`);
  try {
    const type = 'conflict';
    await createTrigger(app, { type, url: receiver.receiver.url });
    expect(await clients.queue(app.url, 'single', { type, keyed: false })).toBe('ACKNOWLEDGED');
    expect(await clients.queue(app.url, 'keyed', { type, keyed: true })).toBe('ACKNOWLEDGED');
    await drained(sql, 25_000);
    await check({ clients, receiver, sql, duplicatesMax: 0 });
  } finally {
    await sql.unsafe(
      `drop function public.conflict cascade; drop sequence public.conflicts_events, public.conflicts_attempts`,
    );
  }
}, 60_000);

test('a statement stuck behind a lock: others are not, and it is refused or done in bounded time', async () => {
  await createTrigger(app, { type: 'locked', url: receiver.receiver.url });
  const locked = Promise.withResolvers<void>();
  const unlock = Promise.withResolvers<void>();
  const holder = sql.begin(async (tx) => {
    await tx`lock table herald.events in share mode`;
    locked.resolve();
    await unlock.promise;
  });
  await locked.promise;
  const queueing = clients.queue(app.url, 'locked', { type: 'locked', keyed: true });
  expect((await fetch(`${app.url}/readyz`)).status).toBe(200);
  await app.graphql('{ events(first: 1) { nodes { id } } }');
  expect(['ACKNOWLEDGED', 'REFUSED', 'UNKNOWN']).toContain(await queueing);
  unlock.resolve();
  await holder;
  while ((await clients.queue(app.url, 'locked', { type: 'locked', keyed: true })) !== 'ACKNOWLEDGED');
  await drained(sql, 15_000);
  await check({ clients, receiver, sql, duplicatesMax: 0 });
}, 60_000);

/** Clients that take every connection there is, and every one that becomes free, until they leave. */
function createCrowd(): AsyncDisposable & { leave(): void } {
  const taken: ReturnType<typeof openSql>[] = [];
  let here = true;
  const member = async () => {
    while (here) {
      const one = openSql(server.database, {}, 1);
      taken.push(one);
      const got = await one`select 1`.then(
        () => true,
        () => false,
      );
      if (got) await until(() => !here, 'the crowd to leave', 60_000);
      await one.end({ timeout: 0 });
    }
  };
  const all = Promise.all(Array.from({ length: MAX_CONNECTIONS }, member));
  const leave = () => {
    here = false;
  };
  return {
    leave,
    async [Symbol.asyncDispose]() {
      leave();
      await all;
    },
  };
}
