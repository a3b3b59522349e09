/** The one door for queueing, as a user's own SQL finds it. */
import type postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, openSql } from '../support/database.ts';

let sql: postgres.Sql;

beforeAll(async () => {
  sql = openSql(await createTestDatabase());
  await sql`
    insert into herald.triggers (id, project, name, type, url, retries, timeout_ms, content_mode, spec_version, headers)
    select herald.uuid_v7(), 'default', 'to-' || n, 'order.paid', 'http://127.0.0.1:9/', n, 5000, 'JSON', '1.0', '[]'
      from generate_series(1, 2) n`;
});
afterAll(() => sql.end());
beforeEach(async () => {
  await sql`truncate herald.events, herald.invocations, herald.changes, herald.idempotency_keys, graphile_worker._private_jobs`;
});

const count = async (table: string): Promise<number> => {
  const [row] = await sql`select count(*)::int as count from ${sql(table)}`;
  return row?.count as number;
};
const everything = () =>
  Promise.all(
    ['herald.events', 'herald.invocations', 'herald.changes', 'graphile_worker._private_jobs'].map(count),
  );

describe('herald.queue_event in a transaction of the user’s own', () => {
  test('commits with it: event, invocations, jobs and announcement', async () => {
    const heard: string[] = [];
    const listening = await sql.listen('herald', (payload) => heard.push(payload));
    const id = await sql.begin(async (tx) => {
      const [row] = await tx`select herald.queue_event('order.paid', '{"id": 42}', delay => 3600) as id`;
      expect(heard).toEqual([]);
      return row?.id as string;
    });
    expect(await everything()).toEqual([1, 2, 1, 2]);
    const jobs = await sql`
      select j.max_attempts, j.key, j.run_at = i.next_attempt_at as on_time, i.status, i.max_attempts as allowed
        from herald.invocations i join graphile_worker._private_jobs j on j.key = i.id::text
        where i.event_id = ${id} order by j.max_attempts`;
    expect(
      jobs.map(({ max_attempts, allowed, on_time, status }) => [max_attempts, allowed, on_time, status]),
    ).toEqual([
      [2, 2, true, 'PENDING'],
      [3, 3, true, 'PENDING'],
    ]);
    await listening.unlisten();
    expect(heard).toHaveLength(1);
  });

  test('rolls back with it and leaves nothing', async () => {
    const rolledBack = sql.begin(async (tx) => {
      await tx`select herald.queue_event('order.paid', '{"id": 42}')`;
      const [row] = await tx`select count(*)::int as count from herald.invocations`;
      expect(row?.count).toBe(2);
      throw new Error('the order was not paid after all');
    });
    await expect(rolledBack).rejects.toThrow('not paid');
    expect(await everything()).toEqual([0, 0, 0, 0]);
  });

  test('keeps the text of the data, whatever JSON is in it', async () => {
    const data = '{"z":1, "a":12345678901234567890,"a":1e400,"n":"\\u0000\\ud800", "m":-0}';
    await sql`select herald.queue_event('other', ${data})`;
    expect((await sql`select data, data_size, origin, invocation_count from herald.events`)[0]).toEqual({
      data,
      data_size: data.length,
      origin: 'SQL',
      invocation_count: 0,
    });
  });

  test.each([
    ['', '{}', 0, '22023', /type to have 1 to 255/],
    ['a\nb', '{}', 0, '22023', /control characters/],
    ['order.paid', '{nope', 0, '22P02', /json/],
    ['order.paid', '{}', -1, '22023', /delay to be 0 or more seconds, got -1/],
    ['order.paid', '{}', 1e12, '22023', /3650 days/],
  ])('refuses %j %j %j with %s and stores nothing', async (type, data, delay, code, message) => {
    const call = sql`select herald.queue_event(${type}, ${data}, ${delay})`;
    await expect(call).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
    expect(await everything()).toEqual([0, 0, 0, 0]);
  });

  test('a role with two grants and no rights on any table may call it; others may not', async () => {
    await sql`create role shop`;
    try {
      await sql`grant usage on schema herald to shop`;
      const asShop = () =>
        sql.begin(async (tx) => {
          await tx`set local role shop`;
          await tx`select herald.queue_event('order.paid', '{}')`;
        });
      await expect(asShop()).rejects.toMatchObject({ code: '42501' });
      await sql`grant execute on function herald.queue_event to shop`;
      await asShop();
      expect(await everything()).toEqual([1, 2, 1, 2]);
    } finally {
      await sql`drop owned by shop`;
      await sql`drop role shop`;
    }
  });

  test.each([
    ['traceparent', 'nonsense'],
    ['source', ''],
  ])('refuses a bad %s', async (name, value) => {
    const call = sql.unsafe(`select herald.queue_event('order.paid', ${name} => '${value}')`);
    await expect(call).rejects.toMatchObject({ code: '22023' });
  });

  test('an idempotency key means the same in every time zone', async () => {
    const queueFrom = async (zone: string) => {
      const [row] = await sql.begin(async (tx) => {
        await tx`select set_config('timezone', ${zone}, true)`;
        return tx`select herald.queue_event('order.paid', "timestamp" => '2026-12-01T00:00:00Z', idempotency_key => 'zone') as id`;
      });
      return row?.id as string;
    };
    expect(await queueFrom('Europe/Berlin')).toBe(await queueFrom('UTC'));
  });

  test('refuses an unknown project', async () => {
    const call = sql`select herald.queue_event('order.paid', project => 'nowhere')`;
    await expect(call).rejects.toMatchObject({ code: 'P0002' });
  });
});

describe('herald.queue_events', () => {
  const queue = (batch: unknown) =>
    sql<{ position: number; outcome: string; event_id: string; invocations: unknown[] | null }[]>`
      select * from herald.queue_events(${JSON.stringify(batch)}::text::json)`;

  test('queues a batch in one statement and answers in its order', async () => {
    const batch = Array.from({ length: 500 }, (_, n) => ({
      type: n % 2 ? 'order.paid' : 'other',
      data: String(n),
    }));
    const rows = await queue(batch);
    expect(rows.map(({ outcome }) => outcome)).toEqual(batch.map(() => 'QUEUED'));
    expect(rows.map(({ invocations }) => invocations?.length)).toEqual(batch.map((_, n) => (n % 2 ? 2 : 0)));
    expect(await everything()).toEqual([500, 500, 1, 500]);
    const stored = await sql`select data from herald.events order by id`;
    expect(stored).toHaveLength(500);
  });

  test('one idempotency key, one event: within a batch, and from 20 connections at once', async () => {
    const event = { type: 'order.paid', data: '1', idempotencyKey: 'k-1' };
    const first = await queue([event, event]);
    expect(first.map(({ outcome }) => outcome)).toEqual(['QUEUED', 'DUPLICATE']);
    const more = (await Promise.all(Array.from({ length: 20 }, () => queue([event])))).flat();
    expect(new Set([...first, ...more].map(({ event_id }) => event_id)).size).toBe(1);
    expect(
      more.every(({ outcome, invocations }) => outcome === 'DUPLICATE' && invocations?.length === 2),
    ).toBe(true);
    expect(await count('herald.events')).toBe(1);
  });

  test('20 connections race for a new key: one event', async () => {
    const event = { type: 'order.paid', data: '1', idempotencyKey: 'k-2' };
    const rows = (await Promise.all(Array.from({ length: 20 }, () => queue([event])))).flat();
    expect(rows.filter(({ outcome }) => outcome === 'QUEUED')).toHaveLength(1);
    expect(new Set(rows.map(({ event_id }) => event_id)).size).toBe(1);
    expect(await count('herald.events')).toBe(1);
  });

  test('a key with another payload is refused; after 24 hours it is free again', async () => {
    const [first] = await queue([{ type: 'order.paid', data: '1', idempotencyKey: 'k-3' }]);
    const other = [{ type: 'order.paid', data: '2', idempotencyKey: 'k-3' }];
    expect((await queue(other))[0]?.outcome).toBe('KEY_REUSED');
    await sql`update herald.idempotency_keys set created_at = now() - interval '25 hours'`;
    const [later] = await queue(other);
    expect(later?.outcome).toBe('QUEUED');
    expect(later?.event_id).not.toBe(first?.event_id);
  });

  test('a paused trigger’s invocations are held, a disabled or deleted one has none', async () => {
    await sql`update herald.triggers set status = 'PAUSED', status_reason = 'MANUAL' where name = 'to-1'`;
    await sql`update herald.triggers set status = 'DISABLED', status_reason = 'MANUAL' where name = 'to-2'`;
    try {
      await queue([{ type: 'order.paid' }]);
      const held = await sql`select i.status, j.run_at = 'infinity' as parked
        from herald.invocations i join graphile_worker._private_jobs j on j.key = i.id::text`;
      expect(held.map((row) => ({ ...row }))).toEqual([{ status: 'HELD', parked: true }]);
    } finally {
      await sql`update herald.triggers set status = 'ACTIVE', status_reason = null`;
    }
  });
});

test('uuid_v7 has version, variant and the current millisecond', async () => {
  const [row] =
    await sql`select herald.uuid_v7()::text as id, extract(epoch from clock_timestamp()) * 1000 as ms`;
  const id = row?.id as string;
  expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  const ms = Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16);
  expect(Math.abs(ms - Number(row?.ms))).toBeLessThan(1000);
});
