/** What the command line says of a trigger that Herald paused. */
import { expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp, TOKEN } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { herald } from './herald.ts';

test('a trigger that failed for too long: the list, and an event that is held for it, say so', async () => {
  await using app = await startTestApp({ env: { ROLES: 'api' } });
  await using sql = openSql(app.database);
  const url = 'http://127.0.0.1:9/';
  await createTrigger(app, { name: 'dead', type: 'a', url });
  await createTrigger(app, { name: 'gone', type: 'a', url });
  await createTrigger(app, { name: 'resting', type: 'a', url, paused: true });
  await sql`
    update herald.triggers
      set status = 'PAUSED', status_reason = case name when 'dead' then 'CONSECUTIVE_FAILURES' else 'RECEIVER_GONE' end
      where name in ('dead', 'gone')`;
  const { id } = await queueEvent(app, { type: 'a' });
  const run = (token: string, ...args: readonly string[]) =>
    herald([...args, '-o', 'text'], { HERALD_URL: app.url, HERALD_TOKEN: token });

  const list = await run(TOKEN, 'triggers');
  expect(list.out).toMatch(/dead +a +PAUSED \(failing\) +http/);
  expect(list.out).toMatch(/gone +a +PAUSED \(410\) +http/);
  expect(list.out).toMatch(/resting +a +PAUSED +http/);
  const { out } = await run(TOKEN, 'event', id);
  expect(out).toContain(
    'Held: the trigger is paused (every attempt failed for longer than PAUSE_FAILING_AFTER_HOURS allows: see that the receiver is back first). `triggers resume dead` lets it go.',
  );
  expect(out).toContain(
    'paused (the receiver answered 410 Gone: correct its URL first). `triggers resume gone`',
  );
  expect(out).toContain('paused (by hand). `triggers resume resting`');

  // Who may not see triggers is told all the rest.
  const { createApiKey } = await app.graphql<{ createApiKey: { secret: string } }>(
    'mutation { createApiKey(input: {name: "reader", scopes: [EVENTS_READ]}) { secret } }',
  );
  const reader = await run(createApiKey.secret, 'event', id);
  expect([reader.code, reader.out]).toEqual([
    0,
    expect.stringContaining('Held: the trigger is paused. `triggers resume dead` lets it go.'),
  ]);
});
