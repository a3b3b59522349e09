/** More at once than anyone should send: refused or taken, in bounded memory, by a process of its own. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createTestDatabase, openSql, type TestDatabase } from '../support/database.ts';
import { type HeraldProcess, spawnHerald } from '../support/process.ts';
import { startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';

const TOKEN = 'volume-admin-token-0123456789';
const MIB = 1024 * 1024;

interface Started extends AsyncDisposable {
  readonly herald: HeraldProcess;
  readonly database: TestDatabase;
  readonly url: string;
}

async function start(env: Readonly<Record<string, string>> = {}): Promise<Started> {
  const dataDir = await mkdtemp(join(tmpdir(), 'herald-volume-'));
  const database = await createTestDatabase();
  const herald = spawnHerald({ DATABASE_URL: database.url, DATA_DIR: dataDir, ADMIN_TOKEN: TOKEN, ...env });
  const { url } = await herald.ready();
  return {
    herald,
    database,
    url,
    async [Symbol.asyncDispose]() {
      await herald[Symbol.asyncDispose]();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Resident memory in MiB at its highest so far; 0 where there is no /proc to ask. */
function peakMib({ pid }: HeraldProcess): number {
  try {
    return Math.round(
      Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024,
    );
  } catch {
    return 0;
  }
}

/** Sends `pieces` as one body, chunked unless a length is announced; the status, or `closed` where none came. */
function stream(
  url: string,
  pieces: Iterable<string>,
  headers: Record<string, string> = {},
): Promise<number | 'closed'> {
  return new Promise((resolve) => {
    const call = request(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers },
    });
    call.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
      call.destroy();
    });
    call.on('error', () => resolve('closed'));
    const rest = pieces[Symbol.iterator]();
    const more = (): void => {
      for (;;) {
        const { value, done } = rest.next();
        if (done === true) return void call.end();
        if (call.destroyed) return;
        if (!call.write(value)) return void call.once('drain', more);
      }
    };
    more();
  });
}

function* batch(events: number, bytes: number): Generator<string> {
  yield '{"events":[';
  const data = `"${'x'.repeat(bytes - 2)}"`;
  for (let n = 0; n < events; n++) yield `${n === 0 ? '' : ','}{"type":"bulk","data":${data}}`;
  yield ']}';
}

test('bodies over the limit are refused, however they are sent, and take no memory', async () => {
  await using started = await start();
  const { herald, url } = started;
  const before = peakMib(herald);
  const batchUrl = `${url}/v1/api/default/eventing/admin-queue`;
  expect([413, 'closed']).toContain(await stream(batchUrl, batch(1_000, 256 * 1024)));
  expect(await stream(batchUrl, batch(5, 256 * 1024))).toBe(413);
  expect(await stream(`${url}/queue`, batch(5, 256 * 1024))).toBe(413);
  expect(await stream(`${url}/graphql`, batch(5, 256 * 1024))).toBe(413);
  expect([413, 'closed']).toContain(await stream(`${url}/graphql`, batch(1_000, 256 * 1024)));
  const many = Array.from({ length: 20 }, () => stream(batchUrl, batch(100, 256 * 1024)));
  for (const status of await Promise.all(many)) expect([413, 'closed']).toContain(status);
  expect(await stream(`${url}/queue`, ['{"type":"bulk"}'])).toBe(200);
  process.stdout.write(`bodies over the limit: memory ${before} → ${peakMib(herald)} MiB\n`);
  expect(peakMib(herald) - before).toBeLessThan(150);
  await using sql = openSql(started.database);
  const [row] = await sql`select count(*)::int as count from herald.events`;
  expect(row?.count).toBe(1);
}, 60_000);

test('a batch as large as the largest limit is taken whole, and delivered', async () => {
  await using started = await start({ MAX_BODY_BYTES: String(64 * MIB) });
  const { herald, url, database } = started;
  await using receiver = await startReceiver();
  await using sql = openSql(database);
  await sql`
    insert into herald.triggers (id, project, name, type, url, retries, timeout_ms, content_mode, spec_version, headers)
    values (herald.uuid_v7(), 'default', 'bulk', 'bulk', ${receiver.url}, 3, 30000, 'JSON', '1.0', '[]')`;
  const before = peakMib(herald);
  const startedAt = performance.now();
  expect(await stream(`${url}/v1/api/default/eventing/admin-queue`, batch(240, 256 * 1024))).toBe(200);
  const tookMs = performance.now() - startedAt;
  const deliveries = await receiver.received(240, 60_000);
  expect(deliveries.every(({ body }) => body.length > 256 * 1024)).toBe(true);
  process.stdout.write(
    `60 MiB in one batch: ${Math.round(tookMs)} ms, memory ${before} → ${peakMib(herald)} MiB\n`,
  );
  expect(peakMib(herald) - before).toBeLessThan(1_200);
  expect(await stream(`${url}/v1/api/default/eventing/admin-queue`, batch(1_001, 10))).toBe(400);
}, 90_000);

test('10,000 triggers on one type: one event reaches them all, queued in one transaction in reasonable time', async () => {
  await using started = await start();
  const { herald, url, database } = started;
  await using receiver = await startReceiver();
  await using sql = openSql(database);
  await sql`
    insert into herald.triggers (id, project, name, type, url, retries, timeout_ms, content_mode, spec_version, headers)
    select herald.uuid_v7(), 'default', 'wide-' || n, 'wide', ${receiver.url}, 3, 30000, 'JSON', '1.0', '[]'
      from generate_series(1, 10000) n`;
  const before = peakMib(herald);
  const startedAt = performance.now();
  expect(await stream(`${url}/queue`, ['{"type":"wide","data":1}'])).toBe(200);
  const queuedMs = Math.round(performance.now() - startedAt);
  await receiver.received(10_000, 60_000);
  const drainedMs = Math.round(performance.now() - startedAt);
  await until(async () => {
    const [row] =
      await sql`select count(*)::int as count from herald.invocations where status <> 'SUCCEEDED'`;
    return row?.count === 0;
  }, 'all to be recorded');
  expect(new Set(receiver.deliveries.map(({ headers }) => headers['webhook-id'])).size).toBe(10_000);
  process.stdout.write(
    `10,000 triggers: queued in ${queuedMs} ms, delivered in ${drainedMs} ms, memory ${before} → ${peakMib(herald)} MiB\n`,
  );
  expect(queuedMs).toBeLessThan(20_000);
  expect(peakMib(herald) - before).toBeLessThan(500);
}, 120_000);
