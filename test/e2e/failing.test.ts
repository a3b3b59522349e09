/** A receiver that has been failing for days is left alone until somebody says that it is back. */
import { expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { ok, startReceiver, status } from '../support/receiver.ts';
import { until } from '../support/until.ts';

const TRIGGER = `query ($id: ID!) { trigger(id: $id) {
  status statusReason failingSince invocations(orderBy: { field: CREATED_AT, direction: ASC }) { nodes { status attemptCount } }
} }`;

interface Shown {
  readonly status: string;
  readonly statusReason: string | null;
  readonly failingSince: string | null;
  readonly invocations: { readonly nodes: readonly { readonly status: string }[] };
}

test('it is paused, what is queued meanwhile is held, and all is delivered once it is resumed', async () => {
  await using app = await startTestApp({ env: { PAUSE_FAILING_AFTER_HOURS: '48' } });
  await using other = await startTestApp({
    database: app.database,
    env: { PAUSE_FAILING_AFTER_HOURS: '48', ROLES: 'worker' },
  });
  expect(other.url).not.toBe(app.url);
  await using sql = openSql(app.database);
  await using dead = await startReceiver(status(503));
  await using moody = await startReceiver((delivery, res) =>
    moody.deliveries.length % 2 === 0 ? ok(delivery, res) : status(503)(delivery, res),
  );
  const create = (url: string) => createTrigger(app, { type: 'a', url, retrySchedule: [2], retries: 50 });
  const [lost, intermittent] = [await create(dead.url), await create(moody.url)];
  const show = async ({ id }: { readonly id: string }) =>
    (await app.graphql<{ trigger: Shown }>(TRIGGER, { id })).trigger;

  await queueEvent(app, { type: 'a' });
  const known = () =>
    sql`select from herald.trigger_counts where trigger_id = ${lost.id} and failing_since is not null`;
  await until(async () => (await known()).length > 0, 'the failure to be counted');
  expect(Date.parse((await show(lost)).failingSince ?? '')).toBeGreaterThan(Date.now() - 60_000);
  // Both were made days ago; and what failed first did so then.
  await sql`update herald.triggers set status_changed_at = now() - interval '9 days'`;
  await sql`update herald.trigger_counts set failing_since = now() - interval '49 hours' where trigger_id = ${lost.id}`;
  await until(async () => (await show(lost)).status === 'PAUSED', 'the trigger to be paused', 45_000);
  expect(await show(lost)).toMatchObject({ statusReason: 'CONSECUTIVE_FAILURES' });
  expect(await show(intermittent)).toMatchObject({ status: 'ACTIVE', statusReason: null });

  await queueEvent(app, { type: 'a' });
  const states = async () => (await show(lost)).invocations.nodes.map((invocation) => invocation.status);
  await until(async () => (await states()).join() === 'HELD,HELD', 'both to be held');
  const { auditLog } = await app.graphql<{ auditLog: { nodes: readonly unknown[] } }>(
    'query ($id: ID!) { auditLog(filter: { subjectId: $id }) { nodes { action actor { id } } } }',
    { id: lost.id },
  );
  expect(auditLog.nodes[0]).toEqual({ action: 'TRIGGER_PAUSED', actor: { id: 'herald' } });
  expect(auditLog.nodes).toHaveLength(2);

  dead.answer = ok;
  const { resumeTrigger } = await app.graphql<{ resumeTrigger: unknown }>(
    'mutation ($id: ID!) { resumeTrigger(input: { id: $id }) { trigger { status statusReason } releasedCount } }',
    { id: lost.id },
  );
  expect(resumeTrigger).toEqual({ trigger: { status: 'ACTIVE', statusReason: null }, releasedCount: 2 });
  await until(async () => (await states()).join() === 'SUCCEEDED,SUCCEEDED', 'both to be delivered');
  expect((await show(lost)).failingSince).toBeNull();
}, 90_000);
