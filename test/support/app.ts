/** A whole Herald in this process: real database, real port, the way main.ts starts it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createLog, type Log } from '../../src/log.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';

export const TOKEN = 'test-admin-token-0123456789';

export interface TestApp extends App, AsyncDisposable {
  readonly database: TestDatabase;
  /** Runs a GraphQL operation as admin; throws where the answer has errors. */
  graphql<T = Record<string, unknown>>(query: string, variables?: unknown): Promise<T>;
  /** POSTs JSON as admin; a string goes out as it is. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
}

export interface TestAppOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly database?: TestDatabase;
  readonly log?: Log;
}

export async function startTestApp({ env = {}, database, log }: TestAppOptions = {}): Promise<TestApp> {
  const used = database ?? (await createTestDatabase());
  const dataDir = await mkdtemp(join(tmpdir(), 'herald-app-'));
  const config = readConfig({
    PORT: '0',
    DATABASE_URL: used.url,
    DATA_DIR: dataDir,
    ADMIN_TOKEN: TOKEN,
    // Processes on one database share the key, as operators must see to.
    ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    LOG_LEVEL: 'silent',
    SHUTDOWN_SECONDS: '10',
    ...env,
  });
  const app = await startApp(config, log ?? createLog(config.logLevel));
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  return {
    ...app,
    database: used,
    graphql: (query, variables) => askGraphql({ url: app.url, token: TOKEN }, query, variables),
    post: (path, body, more = {}) =>
      fetch(app.url + path, {
        method: 'POST',
        headers: { ...headers, ...more },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    async [Symbol.asyncDispose]() {
      await app.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Runs a GraphQL operation; throws where the answer has errors. */
export async function askGraphql<T>(
  herald: { readonly url: string; readonly token: string },
  query: string,
  variables: unknown = {},
): Promise<T> {
  const response = await fetch(`${herald.url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${herald.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data: T; errors?: unknown };
  if (errors !== undefined) throw new Error(JSON.stringify(errors));
  return data;
}

/** Creates a trigger over GraphQL and returns what a person would note down. */
export async function createTrigger(
  app: Pick<TestApp, 'graphql'>,
  input: Readonly<Record<string, unknown>>,
): Promise<{ readonly id: string; readonly name: string; readonly secret: string }> {
  const { createTrigger: payload } = await app.graphql<{
    createTrigger: {
      trigger: { id: string; name: string } | null;
      signingSecret: string;
      userErrors: unknown[];
    };
  }>(
    `mutation ($input: CreateTriggerInput!) {
      createTrigger(input: $input) { trigger { id name } signingSecret userErrors { field code message } }
    }`,
    { input: { name: `trigger-${crypto.randomUUID().slice(0, 8)}`, ...input } },
  );
  if (payload.trigger === null) throw new Error(JSON.stringify(payload.userErrors));
  return { ...payload.trigger, secret: payload.signingSecret };
}

export interface QueuedEvent {
  readonly id: string;
  readonly status: string;
}

/** Queues an event over GraphQL. */
export async function queueEvent(
  app: TestApp,
  input: Readonly<Record<string, unknown>>,
): Promise<QueuedEvent> {
  const { queueEvent: payload } = await app.graphql<{
    queueEvent: { event: QueuedEvent | null; userErrors: unknown[] };
  }>(
    'mutation ($input: QueueEventInput!) { queueEvent(input: $input) { event { id status } userErrors { code message } } }',
    { input },
  );
  if (payload.event === null) throw new Error(JSON.stringify(payload.userErrors));
  return payload.event;
}
