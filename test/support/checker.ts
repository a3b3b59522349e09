/**
 * The total-queue checker, after Jepsen: what was acknowledged is delivered, what is delivered was sent, and the
 * database agrees with both sides.
 */
import { createHash } from 'node:crypto';
import type postgres from 'postgres';
import { expect } from 'vitest';
import type { ClientLedger, ReceiverLedger } from './ledger.ts';
import { until } from './until.ts';

/** Waits until nothing is left to do: every invocation final, no job, no attempt in flight. Else says what is left. */
export async function drained(sql: postgres.Sql, timeoutMs: number): Promise<void> {
  const isDone = async (): Promise<boolean> => {
    const [row] = await sql<{ left: number }[]>`
      select (select count(*) from herald.invocations where finished_at is null)::int
        + (select count(*) from graphile_worker._private_jobs)::int
        + (select count(*) from herald.attempts where status = 'RUNNING')::int as left`;
    return row?.left === 0;
  };
  await until(isDone, 'everything to be done', timeoutMs).catch(async (cause: unknown) => {
    throw new Error(`not everything is done after ${timeoutMs} ms: ${await whatIsLeft(sql)}`, { cause });
  });
}

async function whatIsLeft(sql: postgres.Sql): Promise<string> {
  const workers = await sql`select pool_id, name, now() - heartbeat_at as silent_for from herald.workers`;
  const groups = await sql`
    select count(*)::int as count, i.status, j.locked_by, j.attempts, j.max_attempts, j.run_at <= now() as due,
        j.key is null as replaced, max(now() - j.locked_at) as locked_for, max(j.last_error) as error
      from graphile_worker._private_jobs j
      full join (select * from herald.invocations where finished_at is null) i
        on i.id = (j.payload ->> 'invocation')::uuid
      group by 2, 3, 4, 5, 6, 7 limit 20`;
  return JSON.stringify({ workers, groups });
}

export interface Verdict {
  readonly acknowledged: number;
  readonly delivered: number;
  /** Requests beyond one for each 2xx that ended an invocation and each refusal that was to be repeated. */
  readonly duplicates: number;
}

export interface CheckOptions {
  readonly clients: ClientLedger;
  readonly receiver: ReceiverLedger;
  readonly sql: postgres.Sql;
  /** Most repetitions that the faults excuse: attempts that were in flight at each of them. */
  readonly duplicatesMax: number;
}

/** Call it when everything is done. Throws where a promise is broken. */
export async function check({ clients, receiver, sql, duplicatesMax }: CheckOptions): Promise<Verdict> {
  const sent = [...clients.sent.values()];
  const deliveries = receiver.answered.map(({ delivery, status }) => {
    const event = JSON.parse(delivery.text) as { readonly id: string; readonly data: string };
    const webhookId = String(delivery.headers['webhook-id']);
    return { webhookId, eventId: event.id, key: event.data, body: delivery.body, status };
  });
  const deliveredKeys = new Set(deliveries.map(({ key }) => key));
  const acknowledged = sent.filter(({ fate }) => fate === 'ACKNOWLEDGED');

  const lost = acknowledged.filter(({ key }) => !deliveredKeys.has(key)).map(({ key }) => key);
  expect(lost, 'acknowledged and never delivered').toEqual([]);
  const unexpected = deliveries.filter(({ key }) => !clients.sent.has(key)).map(({ key }) => key);
  expect(unexpected, 'delivered and never sent').toEqual([]);

  // One event for each key: the answers name one id, and what was delivered under the key has that id.
  const ids = groupBy(deliveries, ({ key, eventId }) => [key, eventId]);
  for (const { key, eventIds } of acknowledged) for (const id of eventIds) ids.get(key)?.add(id);
  expect(severalOf(ids), 'keys that made several events').toEqual([]);

  const bodies = groupBy(deliveries, ({ webhookId, body }) => [
    webhookId,
    createHash('sha256').update(body).digest('hex'),
  ]);
  expect(severalOf(bodies), 'webhook-ids with several bodies').toEqual([]);

  const refused = deliveries.filter(({ status }) => status !== null && status >= 300).length;
  const duplicates = deliveries.length - refused - bodies.size;
  expect(duplicates, 'deliveries repeated').toBeLessThanOrEqual(duplicatesMax);
  await checkDatabase(sql);
  return { acknowledged: acknowledged.length, delivered: deliveries.length, duplicates };
}

const rows = async (query: postgres.PendingQuery<postgres.Row[]>) => (await query).map((row) => ({ ...row }));

async function checkDatabase(sql: postgres.Sql): Promise<void> {
  expect(
    await rows(
      sql`select id, status from herald.invocations where finished_at is null or status <> 'SUCCEEDED'`,
    ),
    'invocations that did not succeed',
  ).toEqual([]);
  await attemptsAddUp(sql);
}

/** Call it when everything is done: each invocation's attempts are all there, one after another, and no job is left. */
export async function attemptsAddUp(sql: postgres.Sql): Promise<void> {
  // An attempt begins when the database hears of its end, less what it took: half a millisecond may be rounded.
  expect(
    await rows(sql`
      select a.invocation_id, a.number, b.number as next
        from herald.attempts a
        join herald.attempts b on b.invocation_id = a.invocation_id and b.number > a.number
        where b.started_at < a.finished_at - interval '2 milliseconds'
          and a.status <> 'ABANDONED' and b.status <> 'ABANDONED'`),
    'attempts that overlap',
  ).toEqual([]);
  expect(
    await rows(sql`
      select invocation_id, number from herald.attempts where finished_at < started_at or total_ms < 0`),
    'attempts that end before they begin',
  ).toEqual([]);
  expect(
    await rows(sql`
      select i.id, i.attempt_count, count(a.*)::int as attempts
        from herald.invocations i left join herald.attempts a on a.invocation_id = i.id
        group by i.id having i.attempt_count <> count(a.*)`),
    'invocations whose attempts are not all there',
  ).toEqual([]);
  expect(await rows(sql`select id from graphile_worker._private_jobs`), 'jobs left behind').toEqual([]);
}

/** Waits until the dead are buried: only those who live are on the list. */
export async function onlyTheLiving(sql: postgres.Sql, living: number): Promise<void> {
  await until(
    async () => (await sql`select from herald.workers`).length === living,
    `${living} workers on the list`,
    45_000,
  );
}

/** Once the processes have ended in good order: no row and no lock speaks of them. */
export async function leasesAreGone(sql: postgres.Sql): Promise<void> {
  const [row] = await sql`
    select (select count(*)::int from herald.workers) as workers,
      (select count(*)::int from pg_locks where locktype = 'advisory' and database =
        (select oid from pg_database where datname = current_database())) as locks`;
  expect({ ...row }, 'leases left behind').toEqual({ workers: 0, locks: 0 });
}

function groupBy<T>(
  items: readonly T[],
  pair: (item: T) => readonly [group: string, value: string],
): Map<string, Set<string>> {
  const groups = new Map<string, Set<string>>();
  for (const item of items) {
    const [group, value] = pair(item);
    groups.set(group, (groups.get(group) ?? new Set()).add(value));
  }
  return groups;
}

const severalOf = (groups: ReadonlyMap<string, ReadonlySet<string>>): readonly string[] =>
  [...groups].filter(([, values]) => values.size > 1).map(([group]) => group);
