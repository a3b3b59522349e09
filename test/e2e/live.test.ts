/** Subscribed on one process, delivered by another, with the clients that people use. */
import { ApolloClient, gql, InMemoryCache } from '@apollo/client/core';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { subscriptionExchange, Client as UrqlClient } from '@urql/core';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createWsClient } from 'graphql-ws';
import { Agent, EventSource } from 'undici';
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
  readonly cursor: string | null;
  readonly previousStatus: string | null;
  readonly status: string;
  readonly attempt: { readonly number: number; readonly errorCode: string | null } | null;
}

interface Answer {
  readonly data?: { readonly invocationUpdated: Update } | null | undefined;
}

interface Variables extends Record<string, unknown> {
  readonly type: string;
  readonly after: string | null;
}

const UPDATES = `subscription Updates($type: [String!], $after: String) {
  invocationUpdated(filter: {eventType: $type}, after: $after) {
    cursor previousStatus status attempt { number errorCode }
  }
}`;

const AUTHORIZATION = `Bearer ${TOKEN}`;
const address = () => `${api.url}/graphql`;
const openWsClient = () =>
  createWsClient({
    url: address().replace('http', 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { authorization: AUTHORIZATION },
  });

/** Opens the subscription; returns what ends it. */
type Subscribe = (variables: Variables, next: (answer: Answer) => void) => () => void;

const QUIET = { error: () => {}, complete: () => {} };

const clients: Readonly<Record<string, Subscribe>> = {
  'graphql-ws': (variables, next) => {
    const client = openWsClient();
    client.subscribe<Answer['data']>({ query: UPDATES, variables }, { next, ...QUIET });
    return () => void client.dispose();
  },
  'graphql-sse': (variables, next) => {
    const client = createSseClient({ url: address(), headers: { authorization: AUTHORIZATION } });
    client.subscribe<Answer['data']>({ query: UPDATES, variables }, { next, ...QUIET });
    return () => client.dispose();
  },
  'Apollo Client': (variables, next) => {
    const socket = openWsClient();
    const client = new ApolloClient({ link: new GraphQLWsLink(socket), cache: new InMemoryCache() });
    const updates = client.subscribe<{ invocationUpdated: Update }>({
      ...{ query: gql(UPDATES), variables, fetchPolicy: 'no-cache' },
    });
    const subscription = updates.subscribe(next);
    return () => {
      subscription.unsubscribe();
      client.stop();
      void socket.dispose();
    };
  },
  urql: (variables, next) => {
    const socket = openWsClient();
    const forward = subscriptionExchange({
      forwardSubscription: ({ query = '', variables: given }) => ({
        subscribe: (sink) => ({
          unsubscribe: socket.subscribe(
            { query, variables: given as Record<string, unknown> },
            { ...sink, next: ({ data = null }) => sink.next({ data }) },
          ),
        }),
      }),
    });
    const client = new UrqlClient({ url: address(), exchanges: [forward], preferGetMethod: false });
    const { unsubscribe } = client
      .subscription<{ invocationUpdated: Update }>(UPDATES, variables)
      .subscribe(next);
    return () => {
      unsubscribe();
      void socket.dispose();
    };
  },
  /** A browser's own sends no header of the page's choice: a proxy adds it, or AUTH is off. */
  EventSource: (variables, next) => {
    const url = new URL(address());
    url.searchParams.set('query', UPDATES);
    url.searchParams.set('variables', JSON.stringify(variables));
    const dispatcher = new Agent().compose((dispatch) => (options, handler) => {
      const headers = { ...(options.headers as Record<string, string>), authorization: AUTHORIZATION };
      return dispatch({ ...options, headers }, handler);
    });
    const source = new EventSource(url.href, { node: { dispatcher } });
    source.addEventListener('next', (event) => {
      next(JSON.parse((event as MessageEvent<string>).data) as Answer);
    });
    return () => {
      source.close();
      void dispatcher.close();
    };
  },
};

test.each(Object.entries(clients))(
  '%s sees a delivery fail, retry and succeed, and resumes',
  async (name, subscribe) => {
    const type = `live.${name}`;
    let requests = 0;
    receiver.answer = (delivery, res) => status(++requests === 1 ? 503 : 200)(delivery, res);
    await createTrigger(api, { type, url: receiver.url, retrySchedule: [0] });
    await queueEvent(api, { type, delay: 3600 });
    const watch = (after: string | null) => {
      const updates: Update[] = [];
      const stop = subscribe({ type, after }, ({ data }) => {
        if (data != null) updates.push(data.invocationUpdated);
      });
      const told = () =>
        updates.map(({ previousStatus, status: to, attempt }) => [
          ...[previousStatus, to],
          attempt === null ? null : [attempt.number, attempt.errorCode],
        ]);
      return { updates, stop, told };
    };
    const first = watch(null);
    // The snapshot of the scheduled one says that the subscription stands.
    await until(() => first.updates.length === 1, 'the snapshot');
    await queueEvent(api, { type });
    const QUEUED = [null, 'QUEUED', null];
    const RETRIED = [
      ['QUEUED', 'RETRYING', [1, 'HTTP_STATUS']],
      ['RETRYING', 'SUCCEEDED', [2, null]],
    ];
    await until(() => first.updates.length === 4, 'the updates');
    expect(first.told()).toEqual([[null, 'SCHEDULED', null], QUEUED, ...RETRIED]);
    first.stop();
    // Nobody watches while this one is delivered.
    await queueEvent(api, { type });
    await until(() => requests === 3, 'its delivery');
    const resumed = watch(first.updates[1]?.cursor ?? null);
    await until(() => resumed.updates.length === 4, 'what was missed');
    expect(resumed.told()).toEqual([...RETRIED, QUEUED, ['QUEUED', 'SUCCEEDED', [1, null]]]);
    resumed.stop();
  },
);

test.each([10, 1000, 250_000])('a payload of %d bytes and more arrives as it is', async (size) => {
  const type = `live.size.${size}`;
  await createTrigger(api, { type, url: receiver.url, paused: true });
  const data = 'é'.repeat(size / 2);
  const socket = openWsClient();
  const { changeCursor: after } = await api.graphql<{ changeCursor: string }>('{ changeCursor }');
  const query = `subscription ($type: [String!], $after: String) {
    invocationUpdated(filter: {eventType: $type}, after: $after) { invocation { event { data } } }
  }`;
  const updates = socket.iterate({ query, variables: { type, after } });
  const short = `subscription ($type: [String!], $after: String) {
    u: invocationUpdated(filter: {eventType: $type}, after: $after) { kind }
  }`;
  const kinds = socket.iterate({ query: short, variables: { type, after } });
  await queueEvent(api, { type, data });
  const told = await updates.next();
  expect(told.value).toEqual({ data: { invocationUpdated: { invocation: { event: { data } } } } });
  expect((await kinds.next()).value).toEqual({ data: { u: { kind: 'CREATED' } } });
  void socket.dispose();
});
