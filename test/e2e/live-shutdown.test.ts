/** What subscribers hear when their server goes: nothing that sounds like the end, so that they go elsewhere. */
import { createClient } from 'graphql-ws';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createTrigger, queueEvent, startTestApp, TOKEN } from '../support/app.ts';
import { until } from '../support/until.ts';

const UPDATES =
  'subscription ($after: String) { invocationUpdated(after: $after) { cursor kind invocation { id } } }';

test('a graphql-ws client goes on at another server with its cursor, and misses nothing', async () => {
  const first = await startTestApp({ env: { ROLES: 'api' } });
  await using second = await startTestApp({ env: { ROLES: 'api' }, database: first.database });
  await createTrigger(second, { type: 'moving', url: 'http://127.0.0.1:9/' });
  let url = first.url;
  const variables: { after: string | null } = { after: null };
  const ids: string[] = [];
  const closes: number[] = [];
  let completed = false;
  const client = createClient({
    url: () => `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${TOKEN}` },
    retryWait: () => Promise.resolve(),
    on: { closed: (event) => closes.push((event as { code: number }).code) },
  });
  client.subscribe<{ invocationUpdated: { cursor: string | null; invocation: { id: string } } }>(
    { query: UPDATES, variables },
    {
      next: ({ data }) => {
        if (data == null) return;
        ids.push(data.invocationUpdated.invocation.id);
        variables.after = data.invocationUpdated.cursor ?? variables.after;
      },
      error: () => {},
      complete: () => {
        completed = true;
      },
    },
  );
  // Until the subscription stands, what is queued may be in the snapshot or after it.
  await until(async () => {
    if (ids.length === 0) await queueEvent(second, { type: 'moving' });
    return variables.after !== null;
  }, 'a cursor');
  url = second.url;
  const closing = first[Symbol.asyncDispose]();
  await queueEvent(second, { type: 'moving' });
  await closing;
  const queued = async () =>
    (
      await second.graphql<{ invocations: { nodes: { id: string }[] } }>(
        '{ invocations(first: 100) { nodes { id } } }',
      )
    ).invocations.nodes.map(({ id }) => id);
  await until(async () => (await queued()).every((id) => ids.includes(id)), 'all of them');
  expect(closes[0]).toBe(1012);
  expect(completed).toBe(false);
  await client.dispose();
});

test('an SSE response ends without being called complete, and later ones are sent away', async () => {
  const app = await startTestApp({ env: { ROLES: 'api' } });
  const subscribe = () =>
    fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${TOKEN}`,
        'content-type': 'application/json',
        accept: 'text/event-stream',
      },
      body: JSON.stringify({ query: UPDATES }),
    });
  const response = await subscribe();
  const reading = response.text();
  await app[Symbol.asyncDispose]();
  const text = await reading;
  expect(text).toContain(':\n\n');
  expect(text).not.toContain('complete');
  await expect(subscribe()).rejects.toThrow();
});
