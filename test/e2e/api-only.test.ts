/** A process with ROLES=api, while no worker is there. */
import { expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { until } from '../support/until.ts';

test('folds statistics, which would grow slower with every event', async () => {
  await using app = await startTestApp({ env: { ROLES: 'api' } });
  await using sql = openSql(app.database);
  await createTrigger(app, { name: 'waits', type: 'waits', url: 'http://127.0.0.1:9/' });
  await queueEvent(app, { type: 'waits' });
  expect(await sql`select from herald.tallies`).not.toHaveLength(0);
  await until(async () => (await sql`select from herald.tallies`).length === 0, 'the fold');
  const { stats, queue } = await app.graphql<{ stats: unknown; queue: unknown }>(
    '{ stats(window: LAST_HOUR) { eventsQueued } queue { ready } }',
  );
  expect({ stats, queue }).toEqual({ stats: { eventsQueued: 1 }, queue: { ready: 1 } });
}, 20_000);
