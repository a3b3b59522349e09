/** A trigger that Herald paused, as people come across it. */
import { expect, test } from 'vitest';
import { createTrigger, queueEvent } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { goTo, seen } from './browser.ts';
import { openHouse } from './house.ts';

const house = openHouse();

test('a trigger that failed for too long says so wherever it is seen, and how it goes on', async () => {
  await using sql = openSql(house.app.database);
  const { id } = await createTrigger(house.app, { name: 'dead', type: 'a', url: house.receiver.url });
  await sql`
    update herald.triggers
      set status = 'PAUSED', status_reason = 'CONSECUTIVE_FAILURES', version = version + 1 where id = ${id}`;
  const event = await queueEvent(house.app, { type: 'a' });
  await using visited = await house.open('/');
  const { page } = visited;
  await seen(page, 'Paused: every attempt failed for too long');
  await goTo(page, `/events/${event.id}`);
  await seen(page, 'Held while the trigger is paused (every attempt failed for too long).');
  await goTo(page, `/triggers/${id}`);
  await seen(page, /Every attempt failed for longer than PAUSE_FAILING_AFTER_HOURS allows/);
  await page.getByRole('button', { name: 'Resume' }).click();
  await seen(page, /It was paused because every attempt failed for too long\./);
  await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
  await house.receiver.received(1);
  expect(house.receiver.deliveries[0]?.text).toContain(event.id);
});
