/** Commands that ask a running Herald something. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { ok, type Receiver, startReceiver, status } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { type Ended, herald, parseLines, spawnCommand, spawnToEnd, startCommand } from './herald.ts';

let app: TestApp;
let receiver: Receiver;
let directory: string;
beforeAll(async () => {
  [app, receiver, directory] = await Promise.all([
    startTestApp(),
    startReceiver(),
    mkdtemp(join(tmpdir(), 'herald-client-')),
  ]);
});
afterAll(async () => {
  await Promise.all([app[Symbol.asyncDispose](), receiver[Symbol.asyncDispose]()]);
  await rm(directory, { recursive: true, force: true });
});

const run = (args: readonly string[], input?: string): Promise<Ended> =>
  herald(args, { HERALD_URL: app.url, HERALD_TOKEN: TOKEN }, input);

/** Its line of JSON; throws where it failed. */
async function lineOf(...args: readonly string[]) {
  const { code, out, err } = await run(args);
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${err}`);
  return parseLines(out)[0];
}

describe('triggers', () => {
  test('from create to delete, by name and by id', async () => {
    const created = await lineOf(
      ...['triggers', 'create', 'billing', '--type', 'bill.due', '--to', receiver.url, '-p', 'shop'],
      ...['--retries', '5', '--timeout', '2.5s', '--retry-schedule', '1,2', '--max-per-minute', '60'],
      ...[
        '--header',
        'X-Team: pay: now',
        '--secret-header',
        'Authorization: Basic x',
        '--content-mode',
        'binary',
      ],
      ...['--spec-version', '1.0', '--description', 'pays', '--paused'],
    );
    expect(created).toMatchObject({
      ...{ project: 'shop', name: 'billing', type: 'bill.due', url: receiver.url, status: 'PAUSED' },
      ...{ retries: 5, timeout: 2500, retrySchedule: [1, 2], maxPerMinute: 60, maxConcurrency: null },
      ...{ contentMode: 'BINARY', specVersion: 'V1_0', description: 'pays' },
      headers: [
        { name: 'x-team', value: 'pay: now' },
        { name: 'authorization', value: '***' },
      ],
      signingSecret: expect.stringMatching(/^whsec_/),
    });

    const updated = await lineOf(
      ...['triggers', 'update', created.id, '--retry-schedule', 'none', '--max-per-minute', 'none'],
      ...['--name', 'bills', '--expected-version', String(created.version)],
    );
    expect(updated).toMatchObject({ name: 'bills', retrySchedule: null, maxPerMinute: null, retries: 5 });

    const rotated = await lineOf('triggers', 'rotate-secret', 'bills', '-p', 'shop', '--grace-hours', '0');
    expect(rotated.signingSecret).toMatch(/^whsec_/);
    expect(rotated.signingSecret).not.toBe(created.signingSecret);

    await lineOf('queue', 'bill.due', '-p', 'shop');
    expect(await lineOf('triggers', 'resume', 'bills', '-p', 'shop')).toMatchObject({
      status: 'ACTIVE',
      releasedCount: 1,
    });
    // What has not arrived yet would be held again, and be cancelled too.
    await until(
      async () => (await lineOf('events', '--type', 'bill.due', '--project', 'shop'))?.status === 'SUCCEEDED',
      'the first one to be delivered',
    );
    expect(await lineOf('triggers', 'pause', 'bills', '-p', 'shop')).toMatchObject({ status: 'PAUSED' });
    expect(await lineOf('triggers', '-p', 'shop')).toMatchObject({ id: created.id, status: 'PAUSED' });
    await lineOf('queue', 'bill.due', '-p', 'shop');
    expect(await lineOf('triggers', 'delete', 'bills', '-p', 'shop')).toEqual({
      deletedTriggerId: created.id,
      cancelledCount: 1,
    });
    expect(await run(['triggers', '-p', 'shop'])).toEqual({ code: 0, out: '', err: '' });
  });

  test('tested: the answer of its receiver; previewed: what would be sent', async () => {
    const before = receiver.deliveries.length;
    await lineOf('triggers', 'create', 'tried', '--type', 'tried', '--to', receiver.url);
    const preview = await run(['triggers', 'preview', 'tried', '{"n": 1.0}', '-o', 'text']);
    expect([preview.code, preview.err]).toEqual([0, '']);
    expect(preview.out).toContain(`curl -g -i '${receiver.url}'`);
    expect(preview.out).toContain('"type":"tried"');
    expect(preview.out).toContain('"data":{"n": 1.0}}');
    expect(receiver.deliveries).toHaveLength(before);

    receiver.answer = status(200, 'thanks\n\u001b[2Jbye');
    const taken = await run(
      ['triggers', 'test', 'tried', '-', '--type', 'other', '-o', 'text'],
      '{"n": 2.0}',
    );
    expect([taken.code, taken.err]).toEqual([0, '']);
    expect(taken.out).toMatch(/^→ http:\S+ {2}200 after \S+.*\nthanks\n\\u001b\[2Jbye\n$/);
    expect(receiver.deliveries.at(-1)?.text).toContain('"type":"other"');
    expect(receiver.deliveries.at(-1)?.text).toContain('"data":{"n": 2.0}}');

    receiver.answer = status(500, 'no');
    const refused = await run(['triggers', 'test', 'tried']);
    receiver.answer = ok;
    expect(refused.code).toBe(1);
    expect(parseLines(refused.out)[0]).toMatchObject({
      ...{ status: 'FAILED', errorCode: 'HTTP_STATUS' },
      response: { statusCode: 500, body: 'no' },
    });
    const wrong = await run(['triggers', 'test', 'tried', '{']);
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('dataText to be JSON')]);
  });

  test('a table for people', async () => {
    await createTrigger(app, { name: 'tabled', type: 'table.laid', url: receiver.url });
    const { out } = await run(['triggers', '--type', 'table.laid', '-o', 'text']);
    expect(out).toMatch(/^PROJECT +NAME +TYPE +STATUS +URL +ID\ndefault +tabled +table\.laid +ACTIVE +http:/);
  });

  test('all pages', async () => {
    await Promise.all(
      Array.from({ length: 101 }, () =>
        createTrigger(app, { project: 'many', type: 'x', url: receiver.url, paused: true }),
      ),
    );
    const { out } = await run(['triggers', '-p', 'many']);
    expect(new Set(parseLines(out).map(({ id }) => id)).size).toBe(101);
  });

  test('what Herald refuses is exit code 1 and says which value; what cannot be meant is 2', async () => {
    const [refused, nobody, nothing, noUrl, header] = await Promise.all([
      run(['triggers', 'create', 'x', '--type', 't', '--to', 'ftp://x']),
      run(['triggers', 'pause', 'nobody']),
      run(['triggers', 'update', 'tabled']),
      run(['triggers', 'create', 'x', '--type', 't']),
      run(['triggers', 'update', 'tabled', '--secret-header', 'hunter2']),
    ]);
    expect([refused.code, refused.err]).toEqual([
      1,
      expect.stringMatching(/^Herald refuses this: .*url.*ftp:/),
    ]);
    expect([nobody.code, nobody.err]).toEqual([1, expect.stringContaining('no trigger "nobody"')]);
    expect([nothing.code, nothing.err]).toEqual([2, expect.stringContaining('expected something to change')]);
    expect([noUrl.code, noUrl.err]).toEqual([2, expect.stringContaining('expected --to')]);
    expect([header.code, header.err]).toEqual([2, expect.not.stringContaining('hunter2')]);
  });
});

describe('queue', () => {
  test('data arrive as they were written, from the command line, a file and standard input', async () => {
    await using own = await startReceiver();
    await createTrigger(app, { type: 'queue.data', url: own.url });
    const text = '{"b": 12345678901234567890, "a": 1.50, "a": "\\u0000"}';
    await writeFile(join(directory, 'data.json'), text);
    await lineOf('queue', 'queue.data', text);
    await lineOf('queue', 'queue.data', `@${join(directory, 'data.json')}`);
    await using piped = spawnCommand(
      ['queue', 'queue.data', '-'],
      { HERALD_URL: app.url, HERALD_TOKEN: TOKEN },
      text,
    );
    expect((await piped.ended).code).toBe(0);
    await lineOf('queue', 'queue.data');
    const deliveries = await own.received(4);
    const data = deliveries.map((delivery) => /"data":(.*)\}$/s.exec(delivery.text)?.[1]);
    expect(data).toEqual([text, text, text, 'null']);
  });

  test('when it is due, and once for one key', async () => {
    const [first, again] = [
      await lineOf(
        'queue',
        'queue.later',
        '--timestamp',
        '2026-12-24T18:00:00Z',
        '--delay',
        '1.5h',
        '-k',
        'k1',
      ),
      await lineOf(
        'queue',
        'queue.later',
        '--timestamp',
        '2026-12-24T18:00:00Z',
        '--delay',
        '90m',
        '-k',
        'k1',
      ),
    ];
    expect(first).toMatchObject({ dueAt: '2026-12-24T19:30:00.000Z', duplicate: false });
    expect(again).toMatchObject({ id: first.id, duplicate: true });
    const [seconds, file, json] = await Promise.all([
      run(['queue', 'x', '--timestamp', '1795449136']),
      run(['queue', 'x', '@/nowhere/data']),
      run(['queue', 'x', '{']),
    ]);
    expect([seconds.code, seconds.err]).toEqual([2, expect.stringContaining('expected epoch milliseconds')]);
    expect([file.code, file.err]).toEqual([2, expect.stringContaining('cannot read /nowhere/data')]);
    expect([json.code, json.err]).toEqual([1, expect.stringContaining('to be JSON')]);
  });

  test('--wait ends with the event: 0 delivered, 1 failed, 1 for nobody', async () => {
    await createTrigger(app, { name: 'waits', type: 'queue.wait', url: receiver.url });
    // Answers once the command follows, so that it sees every attempt.
    await using broken = await startReceiver((_delivery, response) => {
      void until(() => following.lines().length >= 2).then(() => response.writeHead(500).end());
    });
    await createTrigger(app, {
      ...{ name: 'fails', type: 'queue.fail', url: broken.url },
      // A retry that followed at once might have ended before the command looks at what it was told of.
      ...{ retries: 1, retrySchedule: [1], timeout: 20_000 },
    });
    await using following = startCommand(['queue', 'queue.fail', '--wait'], {
      HERALD_URL: app.url,
      HERALD_TOKEN: TOKEN,
    });
    const [delivered, failed, nobody] = await Promise.all([
      run(['queue', 'queue.wait', '--wait', '--delay', '0.5']),
      following.ended,
      run(['queue', 'queue.nobody', '--wait']),
    ]);
    const last = ({ out }: Ended) => parseLines(out).at(-1);
    expect(delivered.code).toBe(0);
    expect(last(delivered)).toMatchObject({ done: true, event: { status: 'SUCCEEDED' } });
    expect(failed.code).toBe(1);
    expect(last(failed)).toMatchObject({ done: true, event: { status: 'FAILED' }, counts: { failed: 1 } });
    expect(parseLines(failed.out).map(({ invocation }) => invocation?.status)).toContain('RETRYING');
    expect(nobody.code).toBe(1);
    expect(last(nobody)).toMatchObject({ done: true, event: { status: 'UNMATCHED' } });
  });

  test('--wait that is interrupted is exit code 130', async () => {
    await createTrigger(app, { type: 'queue.interrupted', url: receiver.url });
    await using command = spawnCommand(['queue', 'queue.interrupted', '--delay', '1h', '--wait'], {
      HERALD_URL: app.url,
      HERALD_TOKEN: TOKEN,
    });
    await expect.poll(() => command.lines().length, { timeout: 15_000 }).toBe(2);
    command.child.kill('SIGINT');
    expect(await command.ended).toMatchObject({ code: 130, err: '' });
  });
});

describe('events and event', () => {
  test('lists the newest, filtered, over pages', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 3; index++) ids.unshift((await queueEvent(app, { type: 'list.me' })).id);
    await app.graphql(
      'mutation ($events: [QueueEventInput!]!) { queueEvents(input: {events: $events}) { userErrors { code } } }',
      {
        events: Array.from({ length: 120 }, () => ({ type: 'list.many' })),
      },
    );
    const idsOf = async (...args: string[]) =>
      parseLines((await run(['events', ...args])).out).map(({ id }) => id);
    expect(await idsOf('--type', 'list.me')).toEqual(ids);
    expect(await idsOf('--type', 'list.me', '-n', '2', '--since', '1h')).toEqual(ids.slice(0, 2));
    expect(await idsOf('--type', 'list.me', '--status', 'failed,scheduled')).toEqual([]);
    expect((await idsOf('--type', 'list.many', '-n', '110')).length).toBe(110);
    const { out } = await run(['events', '--type', 'list.me', '-o', 'text']);
    expect(out).toMatch(
      /^QUEUED +TYPE +STATUS +INVOCATIONS +ID\n\d{4}-\d\d-\d\d [\d:]{8} +list\.me +UNMATCHED +none +/,
    );
  });

  test('explains in words why an event was not delivered, by its id or an invocation’s', async () => {
    await using broken = await startReceiver(status(503, 'out \u001b[2J of stock'));
    await createTrigger(app, {
      name: 'store',
      type: 'why.not',
      url: broken.url,
      retries: 1,
      retrySchedule: [0],
    });
    const { out } = await run(['queue', 'why.not', '{"id": 42}', '--wait']);
    const [{ id }] = parseLines(out);
    const explained = await run(['event', id, '-o', 'text']);
    expect(explained.code).toBe(0);
    expect(explained.out).toMatch(/^why\.not +FAILED/);
    expect(explained.out).toContain('data {"id": 42}');
    expect(explained.out).toMatch(
      /#1 +503 after .*: the receiver did not answer with 2xx.*out \\u001b\[2J of stock/,
    );
    expect(explained.out).toMatch(/#2 +503/);
    expect(explained.out).toContain('Given up after 2 of 2 attempts: every attempt failed');
    expect(explained.out.trimEnd().split('\n').at(-1)).toBe('It was not delivered to store.');
    expect(explained.out).not.toContain('\u001b');

    const webhookId = broken.deliveries[0]?.headers['webhook-id'];
    const byInvocation = await lineOf('event', String(webhookId));
    expect(byInvocation).toMatchObject({ id, dataText: '{"id": 42}', status: 'FAILED' });
    expect(byInvocation.invocations.nodes[0].attempts.nodes).toHaveLength(2);
  });

  test('an event that nothing matched: the trigger that was meant', async () => {
    await createTrigger(app, { name: 'meant', type: 'Shop.Closed', url: receiver.url });
    const { id } = await queueEvent(app, { type: 'shop.closed' });
    const { out } = await run(['event', id, '-o', 'text']);
    expect(out).toContain('There is one for "Shop.Closed": types must be equal to the letter.');
    await createTrigger(app, { name: 'late', type: 'shop.closed', url: receiver.url });
    expect((await run(['event', id, '-o', 'text'])).out).toMatch(
      /The trigger late came .* later\. `replay \S+` queues the event again\./,
    );
  });

  test('colours where they are wanted, none where NO_COLOR says so', async () => {
    const { id } = await queueEvent(app, { type: 'in.colour' });
    const of = async (env: Record<string, string>) =>
      (await spawnToEnd(['event', id, '-o', 'text'], { HERALD_URL: app.url, HERALD_TOKEN: TOKEN, ...env }))
        .out;
    const [forced, byDefault, never] = await Promise.all([
      of({ FORCE_COLOR: '1' }),
      of({}),
      of({ NO_COLOR: '1', TERM: 'xterm-256color' }),
    ]);
    expect(forced).toContain('\u001b[33mUNMATCHED');
    expect(byDefault).not.toContain('\u001b');
    expect(never).not.toContain('\u001b');
  });

  test('an id of nothing', async () => {
    const [unknown, wrong] = await Promise.all([
      run(['event', '019ee0a5-2c1b-7d11-83c4-b5a697887960']),
      run(['event', 'order.paid']),
    ]);
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('knows no event or invocation')]);
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('is no id')]);
  });
});

describe('retry, cancel and reschedule', () => {
  test('a failed event is retried by its id, or by that of its invocation', async () => {
    receiver.answer = status(500);
    await createTrigger(app, { name: 'flaky', type: 'flaky', url: receiver.url, retries: 0 });
    const failed = await run(['queue', 'flaky', '--wait']);
    expect(failed.code).toBe(1);
    const { id } = parseLines(failed.out)[0] as { id: string };
    const again = await lineOf('retry', id);
    expect(again).toMatchObject({ triggerName: 'flaky', status: 'QUEUED' });
    const { id: invocation } = again as { id: string };
    await until(async () => (await attemptsOf(id)) === 2, 'the second attempt');
    receiver.answer = ok;
    await until(
      async () => (await run(['retry', invocation, '--reset-retries'])).code === 0,
      'it to fail again',
    );
    await until(async () => (await attemptsOf(id)) === 3, 'the third attempt');
    const done = await run(['retry', id]);
    expect([done.code, done.err]).toEqual([
      1,
      expect.stringContaining('waits for an attempt: it is SUCCEEDED'),
    ]);
  });

  test('all that failed are retried, past events replayed; what goes on is listed and stopped', async () => {
    receiver.answer = status(500);
    await lineOf('triggers', 'create', 'bulk', '--type', 'bulk', '--to', receiver.url, '--retries', '0');
    const { id } = await lineOf('queue', 'bulk');
    await until(async () => (await lineOf('event', id))?.status === 'FAILED', 'it to fail');
    receiver.answer = ok;
    const retried = await run(['retry-all', '--trigger', 'bulk', '--since', '1h', '--wait']);
    expect([retried.code, retried.err]).toEqual([0, '']);
    expect(parseLines(retried.out).at(-1)).toMatchObject({
      ...{ kind: 'RETRY_INVOCATIONS', status: 'COMPLETED', matched: 1, processed: 1, skipped: 0 },
    });
    await until(async () => (await lineOf('event', id))?.status === 'SUCCEEDED', 'it to be delivered');

    const args = ['--trigger', 'bulk', '--status', 'succeeded', '--type', 'bulk'];
    const replayed = await run(['replay', id, ...args, '--wait', '-o', 'text']);
    expect([replayed.code, replayed.err]).toEqual([0, '']);
    expect(replayed.out).toMatch(
      /^REPLAY_EVENTS {2}RUNNING .*\n(?:.*\n)*REPLAY_EVENTS {2}COMPLETED {2}1 of 1 done {2}\S+\n$/,
    );

    await lineOf('queue', 'bulk');
    const slow = await lineOf('replay', '--type', 'bulk', '--per-minute', '1');
    expect(await lineOf('operations', 'stop', slow.id)).toMatchObject({ id: slow.id, status: 'CANCELLED' });
    expect(parseLines((await run(['operations'])).out).slice(0, 3)).toMatchObject([
      { kind: 'REPLAY_EVENTS', status: 'CANCELLED', maxPerMinute: 1 },
      { kind: 'REPLAY_EVENTS', status: 'COMPLETED' },
      { kind: 'RETRY_INVOCATIONS', status: 'COMPLETED' },
    ]);
    expect((await run(['operations', '-o', 'text'])).out).toMatch(/^STARTED +KIND +STATUS +PROGRESS +ID\n/);

    const nothing = await run(['replay']);
    expect([nothing.code, nothing.err]).toEqual([1, expect.stringContaining('at least one condition')]);
    const wrong = await run(['retry-all', '--since', 'yesterday']);
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('--since')]);
  });

  test('one that waits is moved, and cancelled as a whole or one by one', async () => {
    await createTrigger(app, { name: 'later', type: 'later', url: receiver.url });
    const { id } = (await lineOf('queue', 'later', '--delay', '1h')) as { id: string };
    const at = new Date(Date.now() + 7_200_000).toISOString();
    expect(await lineOf('reschedule', id, '--timestamp', at)).toMatchObject({
      id,
      status: 'SCHEDULED',
      dueAt: at,
    });
    expect(await lineOf('cancel', id)).toEqual({ id, cancelledCount: 1 });
    expect((await run(['reschedule', id])).err).toContain('all its invocations are finished');

    const { id: other } = (await lineOf('queue', 'later', '--delay', '1h')) as { id: string };
    const { invocations } = (await lineOf('event', other)) as { invocations: { nodes: [{ id: string }] } };
    const [{ id: invocation }] = invocations.nodes;
    expect(await lineOf('cancel', invocation)).toMatchObject({ id: invocation, status: 'CANCELLED' });
  });

  async function attemptsOf(id: string): Promise<number> {
    const event = (await lineOf('event', id)) as {
      invocations: { nodes: [{ attemptCount: number; status: string }] };
    };
    const [{ attemptCount, status: of }] = event.invocations.nodes;
    return ['FAILED', 'SUCCEEDED'].includes(of) ? attemptCount : 0;
  }
});

describe('the way to Herald', () => {
  test('nobody there, a wrong token, no token, not a Herald', async () => {
    await using other = await startReceiver(status(404, 'no such page'));
    const [away, wrong, none, stranger, url] = await Promise.all([
      herald(['events', '--url', 'http://127.0.0.1:4', '--token', 'x']),
      herald(['events', '--url', app.url], { HERALD_TOKEN: 'wrong' }),
      herald(['tail', '--url', app.url]),
      herald(['triggers', '--url', new URL(other.url).origin, '--token', 'x']),
      herald(['triggers', '--url', 'localhost']),
    ]);
    expect([away.code, away.err]).toEqual([
      1,
      expect.stringMatching(
        /^Nothing answers at http:\/\/127\.0\.0\.1:4 \(connection refused\)\. Is Herald running\?/,
      ),
    ]);
    expect([wrong.code, wrong.err]).toEqual([
      1,
      expect.stringMatching(/does not know who calls.*\n.*HERALD_TOKEN/),
    ]);
    expect([none.code, none.err]).toEqual([1, expect.stringContaining('No token was found')]);
    expect([stranger.code, stranger.err]).toEqual([
      1,
      expect.stringContaining('answers 404, and not as Herald'),
    ]);
    expect([url.code, url.err]).toEqual([2, expect.stringContaining('--url: expected a URL')]);
  });

  test('the token is the file’s in DATA_DIR, for a Herald on this machine only', async () => {
    await writeFile(join(directory, 'admin-token'), `${TOKEN}\n`);
    const env = { DATA_DIR: directory };
    expect((await herald(['events', '--url', `${app.url}/graphql`], env)).code).toBe(0);
    await using elsewhere = await startReceiver(
      status(200, '{"data":{"events":{"nodes":[],"pageInfo":{}}}}'),
    );
    const url = new URL(elsewhere.url).origin;
    await herald(['events', '--url', url], env);
    // A name that is not loopback's, as far as anybody can tell from it.
    await herald(['events', '--url', url.replace('127.0.0.1', '0.0.0.0')], env);
    expect(elsewhere.deliveries.map(({ headers }) => headers.authorization)).toEqual([
      `Bearer ${TOKEN}`,
      undefined,
    ]);
  });

  test('a token that may not is told which scope it lacks', async () => {
    const { createApiKey } = await app.graphql<{ createApiKey: { secret: string } }>(
      'mutation { createApiKey(input: {name: "till", scopes: [EVENTS_WRITE]}) { secret } }',
    );
    const { code, err } = await herald(['events'], {
      HERALD_URL: app.url,
      HERALD_TOKEN: createApiKey.secret,
    });
    expect([code, err]).toEqual([1, expect.stringMatching(/does not allow this.*EVENTS_READ/)]);
  });
});
