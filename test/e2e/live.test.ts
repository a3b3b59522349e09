/** Subscribed on one process, delivered by another. */
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createWsClient } from 'graphql-ws';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createTrigger, queueEvent, startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { type Receiver, startReceiver, status } from '../support/receiver.ts';
import { until } from '../support/until.ts';

let api: TestApp;
let worker: TestApp;
let receiver: Receiver;
beforeAll(async () => {
  api = await startTestApp({ env: { ROLES: 'api' } });
  worker = await startTestApp({ env: { ROLES: 'worker' }, database: api.database });
  receiver = await startReceiver();
});
afterAll(async () => {
  await receiver[Symbol.asyncDispose]();
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

interface Update {
  readonly previousStatus: string | null;
  readonly status: string;
  readonly attempt: { readonly number: number; readonly errorCode: string | null } | null;
}

const UPDATES = `subscription ($type: [String!]) {
  invocationUpdated(filter: {eventType: $type}) { previousStatus status attempt { number errorCode } }
}`;

/** Opens the subscription with one of the field's clients; its updates as they come. */
const clients: Readonly<
  Record<string, (type: string) => { readonly updates: readonly Update[]; stop(): void }>
> = {
  'graphql-ws': (type) => {
    const client = createWsClient({
      url: `${api.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${TOKEN}` },
    });
    const updates: Update[] = [];
    client.subscribe<{ invocationUpdated: Update }>(
      { query: UPDATES, variables: { type } },
      {
        next: ({ data }) => data && updates.push(data.invocationUpdated),
        error: () => {},
        complete: () => {},
      },
    );
    return { updates, stop: () => void client.dispose() };
  },
  'graphql-sse': (type) => {
    const client = createSseClient({
      url: `${api.url}/graphql`,
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    const updates: Update[] = [];
    client.subscribe<{ invocationUpdated: Update }>(
      { query: UPDATES, variables: { type } },
      {
        next: ({ data }) => data && updates.push(data.invocationUpdated),
        error: () => {},
        complete: () => {},
      },
    );
    return { updates, stop: () => client.dispose() };
  },
};

test.each(Object.keys(clients))('%s sees a delivery fail, retry and succeed', async (name) => {
  const type = `live.${name}`;
  let requests = 0;
  receiver.answer = (delivery, res) => status(++requests === 1 ? 503 : 200)(delivery, res);
  await createTrigger(api, { type, url: receiver.url, retrySchedule: [0] });
  await queueEvent(api, { type, delay: 3600 });
  const subscribe = clients[name];
  if (subscribe === undefined) throw new Error('unreachable');
  const { updates, stop } = subscribe(type);
  // The snapshot of the scheduled one says that the subscription stands.
  await until(() => updates.length === 1, 'the snapshot');
  await queueEvent(api, { type });
  await until(() => updates.length === 4, 'the updates');
  stop();
  expect(updates.map(({ previousStatus, status, attempt }) => [previousStatus, status, attempt])).toEqual([
    [null, 'SCHEDULED', null],
    [null, 'QUEUED', null],
    ['QUEUED', 'RETRYING', { number: 1, errorCode: 'HTTP_STATUS' }],
    ['RETRYING', 'SUCCEEDED', { number: 2, errorCode: null }],
  ]);
});
