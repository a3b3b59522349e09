/** `GET /metrics`, as Prometheus asks for it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { ok, type Receiver, startReceiver, status } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { createKey } from './callers.ts';

let app: TestApp;
let receiver: Receiver;
beforeAll(async () => {
  [app, receiver] = await Promise.all([startTestApp(), startReceiver()]);
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

const get = (token: string | null, url = app.url, method = 'GET') =>
  fetch(`${url}/metrics`, {
    method,
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
  });

/** Values by series as it is written; every line must be one of the text format (0.0.4). */
async function scrape(url?: string): Promise<ReadonlyMap<string, number>> {
  const response = await get(TOKEN, url);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  const text = await response.text();
  expect(text.endsWith('\n')).toBe(true);
  const values = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const [, name = '', type = ''] = /^# TYPE (\w+) (counter|gauge|histogram|summary)$/.exec(line) ?? [];
    if (name !== '') types.set(name, type);
    if (line.startsWith('#')) {
      expect(line).toMatch(/^# (?:TYPE|HELP) \w+ ./);
      continue;
    }
    const [, series = '', of = '', value] =
      /^((\w+)(?:\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})?) (\S+)$/.exec(line) ?? [];
    expect(series, line).not.toBe('');
    expect(values.has(series), `${series} twice`).toBe(false);
    expect(types.has(of) || types.has(of.replace(/_(?:bucket|sum|count)$/, '')), `the type of ${of}`).toBe(
      true,
    );
    values.set(series, value === 'Nan' ? Number.NaN : Number(value));
  }
  return values;
}

describe('what Herald does', () => {
  test('is counted by project and trigger, and what waits by state', async () => {
    const type = 'metrics';
    const own = { project: 'shop', type };
    receiver.answer = (delivery, res) => (delivery.path.endsWith('bad') ? status(500) : ok)(delivery, res);
    await createTrigger(app, { ...own, name: 'good', url: receiver.url });
    await createTrigger(app, {
      ...own,
      name: 'bad',
      url: `${receiver.url}/bad`,
      retries: 1,
      retrySchedule: [0],
    });
    await createTrigger(app, { ...own, name: 'held', url: receiver.url, paused: true });
    for (let n = 0; n < 2; n++) await queueEvent(app, own);
    await queueEvent(app, { ...own, delay: 3600 });
    const seen = await until(async () => {
      const values = await scrape();
      return (
        values.get('herald_trigger_invocations_total{project="shop",trigger="bad",outcome="failed"}') === 2 &&
        values
      );
    }, 'the statistics to be folded');
    const of = (trigger: string, name: string, label = '') =>
      seen.get(`${name}{project="shop",trigger="${trigger}"${label}}`);
    expect(seen.get('herald_events_total{project="shop"}')).toBe(3);
    expect(of('good', 'herald_trigger_attempts_total', ',outcome="succeeded"')).toBe(2);
    expect(of('good', 'herald_trigger_attempts_total', ',outcome="failed"')).toBe(0);
    expect(of('good', 'herald_trigger_invocations_total', ',outcome="succeeded"')).toBe(2);
    expect(of('bad', 'herald_trigger_attempts_total', ',outcome="failed"')).toBe(4);
    expect(of('bad', 'herald_trigger_retries_total')).toBe(2);
    expect(of('held', 'herald_trigger_queue_invocations', ',state="held"')).toBe(3);
    expect(of('bad', 'herald_trigger_queue_invocations', ',state="failed"')).toBe(2);
    expect(of('good', 'herald_trigger_queue_invocations', ',state="pending"')).toBe(1);
    for (const [state, count] of Object.entries({ ready: 0, scheduled: 2, held: 3, failed: 2 })) {
      expect(seen.get(`herald_queue_invocations{state="${state}"}`), state).toBe(count);
    }
    expect(seen.get('herald_triggers{status="active"}')).toBe(2);
    expect(seen.get('herald_triggers{status="paused"}')).toBe(1);
    expect(seen.get('herald_workers')).toBe(1);
    expect(
      [...seen.keys()].filter((key) => key.startsWith('herald_worker_concurrency{worker="')),
    ).toHaveLength(1);
    expect(seen.get('herald_queue_oldest_ready_age_seconds')).toBe(0);
    expect([...seen.keys()]).toContainEqual(expect.stringMatching(/^herald_build_info\{version="\d/));
    expect(seen.get('nodejs_eventloop_lag_seconds')).toBeGreaterThanOrEqual(0);
    expect(seen.get('process_resident_memory_bytes')).toBeGreaterThan(10e6);
  });

  test('durations are histograms whose buckets grow to their count', async () => {
    const values = await scrape();
    for (const [name, count] of [
      ['herald_attempt_duration_seconds', 6],
      ['herald_delivery_latency_seconds', 2],
    ] as const) {
      const buckets = [...values].filter(([series]) =>
        series.startsWith(`${name}_bucket{project="shop",le=`),
      );
      expect(buckets.at(-1)).toEqual([`${name}_bucket{project="shop",le="+Inf"}`, count]);
      const counts = buckets.map(([, value]) => value);
      expect(counts).toEqual(counts.toSorted((a, b) => a - b));
      expect(values.get(`${name}_count{project="shop"}`)).toBe(count);
      expect(values.get(`${name}_sum{project="shop"}`)).toBeGreaterThan(0);
    }
  });

  test('counts stay when the windows of the statistics have passed, and are said by every process', async () => {
    await using sql = openSql(app.database);
    await sql`delete from herald.stats where grain > 0`;
    await using worker = await startTestApp({ database: app.database, env: { ROLES: 'worker' } });
    const series = 'herald_trigger_attempts_total{project="shop",trigger="bad",outcome="failed"}';
    expect((await scrape(worker.url)).get(series)).toBe(4);
    expect((await fetch(`${worker.url}/graphql`)).status).toBe(404);
  });

  test('more triggers than should have series of their own have none; projects go on', async () => {
    await using sql = openSql(app.database);
    await sql`
      insert into herald.triggers (id, project, name, type, url, retries, timeout_ms, content_mode, spec_version, headers)
      select herald.uuid_v7(), 'shop', 'crowd-' || n, 'crowd', 'http://127.0.0.1:9/', 3, 5000, 'JSON', '1.0', '[]'
        from generate_series(1, 1000) n`;
    const values = await until(async () => {
      const seen = await scrape();
      return seen.get('herald_triggers{status="active"}') === 1002 && seen;
    }, 'what is shared to be written anew');
    expect(values.get('herald_attempts_total{project="shop",outcome="failed"}')).toBe(4);
    expect(values.get('herald_database_up')).toBe(1);
    expect([...values.keys()].filter((key) => key.includes('trigger='))).toEqual([]);
    await sql`delete from herald.triggers where type = 'crowd'`;
  });
});

describe('who may ask', () => {
  test('a token with EVENTS_READ for all projects', async () => {
    const { secret } = await createKey(app, { scopes: ['EVENTS_READ'] });
    expect((await get(secret)).status).toBe(200);
  });

  test('nobody else', async () => {
    expect((await get(null)).status).toBe(401);
    expect((await get('nonsense-nonsense')).status).toBe(401);
    const writer = await createKey(app, { scopes: ['EVENTS_WRITE'] });
    expect((await get(writer.secret)).status).toBe(403);
    const limited = await createKey(app, { scopes: ['ADMIN'], projects: ['shop'] });
    const refused = await get(limited.secret);
    expect([refused.status, await refused.json()]).toMatchObject([403, { code: 'FORBIDDEN' }]);
    const posted = await get(TOKEN, app.url, 'POST');
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET']);
  });
});
