/** Triggers whose every attempt fails, as several processes would pause them and people set them going again. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { updateTrigger } from '../../src/actions/manage-trigger.ts';
import { createMoves } from '../../src/actions/move-invocations.ts';
import { pauseFailing } from '../../src/actions/pause-failing.ts';
import { resumeTrigger } from '../../src/actions/pause-trigger.ts';
import type { TriggerWriter } from '../../src/actions/write-trigger.ts';
import { createSecretBox } from '../../src/store/secrets.ts';
import { foldTallies } from '../../src/store/stats-fold.ts';
import { type OpenedStore, openStore } from '../support/database.ts';
import { insertTrigger } from '../support/trigger-row.ts';
import { until } from '../support/until.ts';

let store: OpenedStore;
let db: OpenedStore['db'];
let sql: OpenedStore['sql'];
let writer: TriggerWriter;
let id: string;
beforeAll(async () => {
  store = await openStore(8);
  ({ db, sql } = store);
  writer = {
    db,
    secrets: createSecretBox([randomBytes(32)]),
    egress: { mode: 'private', allowCidrs: [] },
    moves: createMoves(db),
    actor: { id: 'admin', name: 'admin' },
  };
});
afterAll(() => store[Symbol.asyncDispose]());
/** It has failed for six days, four times a day. */
beforeEach(async () => {
  await sql`truncate herald.triggers, herald.tallies, herald.trigger_counts, herald.stats, herald.audit_log cascade`;
  id = await insertTrigger(sql, { name: 'dead', retries: 1, days: 90 });
  await sql`
    insert into herald.tallies (trigger_id, at, attempts, attempts_failed)
      select ${id}, now() - n * interval '6 hours', 1, 1 from generate_series(0, 24) n`;
  await foldTallies(db);
});

const logged: { readonly level: string; readonly fields: unknown }[] = [];
beforeEach(() => void logged.splice(0));

const pause = (afterHours = 120) =>
  pauseFailing({
    ...{ db, moves: writer.moves, afterHours },
    log: (level, _message, fields) => void logged.push({ level, fields }),
  });

async function trigger() {
  const [row] =
    await sql`select status, status_reason as reason, version from herald.triggers where id = ${id}`;
  return row;
}

const PAUSED = { status: 'PAUSED', reason: 'CONSECUTIVE_FAILURES', version: 2 };
const ACTIVE = { status: 'ACTIVE', reason: null };

test('is paused by Herald, which says so in the log and in the audit log', async () => {
  await pause();
  expect(await trigger()).toEqual(PAUSED);
  expect(await sql`select action, actor_id, subject_id, project from herald.audit_log`).toEqual([
    { action: 'TRIGGER_PAUSED', actor_id: 'herald', subject_id: id, project: 'default' },
  ]);
  const [line] = logged;
  expect(line).toMatchObject({ level: 'warn', fields: { trigger: id, triggerName: 'dead' } });
  const since = Date.parse(String(Reflect.get(Object(line?.fields), 'failingSince')));
  expect((Date.now() - since) / 3_600_000).toBeCloseTo(144, 1);
});

test('is left alone where the period is longer, or there is none', async () => {
  await pause(145);
  await pause(0);
  expect(await trigger()).toEqual({ ...ACTIVE, version: 1 });
});

test('is paused once, by however many processes', async () => {
  await Promise.all([pause(), pause(), pause(), pause()]);
  expect(await trigger()).toEqual(PAUSED);
  expect(await sql`select from herald.audit_log`).toHaveLength(1);
  expect(logged).toHaveLength(1);
});

test('does not wait for another one, whose row somebody holds, and says so', async () => {
  await insertTrigger(sql, {
    id: '00000000-0000-7000-8000-000000000001',
    name: 'first',
    retries: 1,
    days: 90,
  });
  await sql`
    insert into herald.trigger_counts
    select '00000000-0000-7000-8000-000000000001', 0, 0, 0, 0, 0, null, failing_since, failed_at
      from herald.trigger_counts`;
  await sql.begin(async (tx) => {
    await tx`select from herald.triggers where name = 'first' for update`;
    await pause();
  });
  expect(await trigger()).toEqual(PAUSED);
  expect(logged.map(({ fields }) => fields)).toMatchObject([
    { trigger: '00000000-0000-7000-8000-000000000001', error: expect.stringContaining('55P03') },
    { trigger: id },
  ]);
  const [first] = await sql`select status from herald.triggers where name = 'first'`;
  expect(first).toEqual({ status: 'ACTIVE' });
});

test('is judged again once its row is to be had: what somebody did meanwhile counts', async () => {
  let pausing: Promise<void> | undefined;
  await sql.begin(async (person) => {
    await person`select from herald.triggers where id = ${id} for update`;
    pausing = pause();
    const waiting = () =>
      sql`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await until(async () => (await waiting()).length > 0, 'it to wait for the row');
    await person`update herald.trigger_counts set failing_since = null`;
  });
  await pausing;
  expect(await trigger()).toEqual({ ...ACTIVE, version: 1 });
});

test('has a fresh period when somebody resumes it, whatever was in flight when it was paused', async () => {
  await pause();
  const inFlight = () =>
    sql`insert into herald.tallies (trigger_id, attempts, attempts_failed) values (${id}, 3, 3)`;
  await inFlight();
  expect(await resumeTrigger(writer, { id })).toMatchObject({ ok: true });
  await inFlight();
  await foldTallies(db);
  await pause();
  expect(await trigger()).toMatchObject(ACTIVE);
  // And that one ends as the first did.
  await sql`update herald.triggers set status_changed_at = status_changed_at - interval '121 hours'`;
  await pause();
  expect(await trigger()).toMatchObject(ACTIVE);
  await sql`update herald.trigger_counts set failing_since = failing_since - interval '121 hours'`;
  await pause();
  expect(await trigger()).toMatchObject({ ...PAUSED, version: 4 });
});

test('has a fresh period with another URL, not with another name', async () => {
  const change = (changes: { readonly name: string; readonly url?: string }) =>
    updateTrigger(writer, { id, expectedVersion: null, ...changes });
  expect(await change({ name: 'better', url: 'http://127.0.0.1:10/' })).toMatchObject({ ok: true });
  await pause();
  expect(await trigger()).toEqual({ ...ACTIVE, version: 2 });
  await sql`update herald.trigger_counts set failing_since = now() - interval '6 days'`;
  expect(await change({ name: 'best', url: 'http://127.0.0.1:10/' })).toMatchObject({ ok: true });
  await pause();
  expect(await trigger()).toEqual({ ...PAUSED, version: 4 });
});
