/** 200 hostile receivers at once, against Herald as a process of its own. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { askGraphql } from '../support/app.ts';
import { createTestDatabase } from '../support/database.ts';
import { spawnHerald } from '../support/process.ts';
import { startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { HOSTILE } from '../webhook/hostile-receivers.ts';

const COPIES = 8;
/** Of every attempt, in ms: longer than a body's grace, so that it never cuts what is delivered. */
const TIMEOUT_MS = 3_000;
/** Beyond the timeout, in ms. The promise is 100; receivers, Postgres and Herald share two cores with other tests here. */
const TOLERANCE_MS = 6_000;
/** How much resident memory may grow, in MiB, after a warm-up; the collector takes its time. */
const MAX_GROWTH_MIB = 120;

const CREATE = `mutation ($input: CreateTriggerInput!) {
  createTrigger(input: $input) { trigger { id } userErrors { message } } }`;
const QUEUE =
  'mutation ($type: String!, $data: JSON) { queueEvent(input: {type: $type, data: $data}) { event { id } } }';
const INVOCATIONS = `query ($id: ID!, $after: String) { event(id: $id) { finishedAt invocations(first: 100, after: $after) {
  pageInfo { hasNextPage endCursor }
  nodes { triggerName status attempts { nodes { errorCode timings { totalMs } response { body } } } } } } }`;

interface Page {
  readonly event: {
    readonly finishedAt: string | null;
    readonly invocations: {
      readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
      readonly nodes: readonly {
        readonly triggerName: string;
        readonly status: string;
        readonly attempts: {
          readonly nodes: readonly {
            readonly errorCode: string | null;
            readonly timings: { readonly totalMs: number };
            readonly response: { readonly body: string } | null;
          }[];
        };
      }[];
    };
  };
}

test(`${HOSTILE.length * COPIES} hostile receivers at once: each attempt ends in time, with its code, and memory stays`, async () => {
  await using stack = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), 'herald-hostile-'));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  const database = await createTestDatabase();
  const herald = stack.use(spawnHerald({ DATABASE_URL: database.url, DATA_DIR: dataDir }));
  const at = await herald.ready();
  const ask = <T>(query: string, variables: unknown) => askGraphql<T>(at, query, variables);
  const healthy = stack.use(await startReceiver());
  const fire = (type: string) =>
    ask<{ queueEvent: { event: { id: string } } }>(QUEUE, { type, data: 'x'.repeat(1_000) });

  // Warm: what a process that has worked a little occupies anyway.
  await ask(CREATE, { input: { name: 'healthy', type: 'warm', url: healthy.url } });
  await Promise.all(Array.from({ length: 300 }, () => fire('warm')));
  await healthy.received(300, 20_000);

  const codes = new Map<string, string | null>();
  for (const [kind, [, start, errorCode]] of HOSTILE.entries()) {
    await Promise.all(
      Array.from({ length: COPIES }, async (_, copy) => {
        const { url } = stack.use(await start());
        const name = `h${kind}.${copy}`;
        codes.set(name, errorCode);
        await ask(CREATE, { input: { name, type: 'hostile', url, retries: 0, timeout: TIMEOUT_MS } });
      }),
    );
  }
  await ask(CREATE, { input: { name: 'beside', type: 'hostile', url: healthy.url, retries: 0 } });
  codes.set('beside', null);

  const before = residentMib(herald.pid);
  let peak = before;
  const sampling = setInterval(() => {
    peak = Math.max(peak, residentMib(herald.pid));
  }, 100);
  stack.defer(() => clearInterval(sampling));
  const { event } = (await fire('hostile')).queueEvent;
  await until(
    async () => (await ask<Page>(INVOCATIONS, { id: event.id })).event.finishedAt !== null,
    'every attempt to end',
    30_000,
  );
  clearInterval(sampling);

  const ended = new Map<string, string | null>();
  let slowest = 0;
  for (let after: string | null = null; ; ) {
    const page: Page = await ask<Page>(INVOCATIONS, { id: event.id, after });
    for (const { triggerName, status, attempts } of page.event.invocations.nodes) {
      const [attempt, ...others] = attempts.nodes;
      expect(others).toEqual([]);
      expect(status).toBe(attempt?.errorCode === null ? 'SUCCEEDED' : 'FAILED');
      expect(attempt?.response?.body.length ?? 0).toBeLessThanOrEqual(16_384);
      ended.set(triggerName, attempt?.errorCode ?? null);
      slowest = Math.max(slowest, attempt?.timings.totalMs ?? 0);
    }
    const { hasNextPage, endCursor } = page.event.invocations.pageInfo;
    if (!hasNextPage) break;
    after = endCursor;
  }
  process.stdout.write(
    `slowest ${Math.round(slowest)} ms of ${TIMEOUT_MS}; memory ${before} → ${peak} MiB\n`,
  );
  expect(Object.fromEntries(ended)).toEqual(Object.fromEntries(codes));
  expect(slowest).toBeLessThan(TIMEOUT_MS + TOLERANCE_MS);
  expect(peak - before).toBeLessThan(MAX_GROWTH_MIB);
  expect(herald.output()).not.toMatch(/"level":"error"|Uncaught|Unhandled/i);
  herald.child.kill('SIGTERM');
  expect(await herald.exited()).toEqual({ code: 0, signal: null });
}, 90_000);

/** Resident memory of a process; 0 where there is no /proc to ask. */
function residentMib(pid: number): number {
  try {
    return Math.round(
      Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024,
    );
  } catch {
    return 0;
  }
}
