import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { type Delivery, startReceiver, status } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { herald, parseLines, type RunningCommand, spawnCommand, startCommand, untilLine } from './herald.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app[Symbol.asyncDispose]());

const env = () => ({ HERALD_URL: app.url, HERALD_TOKEN: TOKEN });

async function secretOf(command: RunningCommand): Promise<string> {
  const { signingSecret } = await untilLine(command, ({ kind }) => kind === 'READY', 'the secret');
  return signingSecret;
}

const headersOf = ({ headers }: Delivery) => {
  const {
    host,
    connection,
    'webhook-id': id,
    'webhook-timestamp': at,
    'webhook-signature': by,
    ...rest
  } = headers;
  const { traceparent, ...others } = rest;
  return {
    names: Object.keys(headers),
    others,
    trace: traceparent?.toString().slice(0, 35),
    signed: [id, at, by].every(Boolean),
  };
};

describe('listen', () => {
  test('forwards what a delivery would bring: body, headers, signature; with a trigger or without', async () => {
    await using local = await startReceiver();
    await using real = await startReceiver();
    await createTrigger(app, { type: 'both', url: real.url });
    const args = ['listen', '--forward', local.url, '--type', 'both', '--type', 'alone'];
    await using command = spawnCommand(args, env());
    const secret = await secretOf(command);
    await queueEvent(app, { type: 'alone' });
    await local.received(1);

    const input = {
      type: 'both',
      dataText: '{"big": 12345678901234567890, "b": 1.50}',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    };
    await queueEvent(app, { type: 'other' });
    const { id } = await queueEvent(app, input);
    const [, forwarded] = await local.received(2);
    const [delivered] = await real.received(1);
    if (forwarded === undefined || delivered === undefined) throw new Error('nothing came');
    expect(forwarded.text).toBe(delivered.text);
    expect(forwarded.path).toBe('/hook');
    expect(headersOf(forwarded)).toEqual(headersOf(delivered));
    expect(forwarded.headers['webhook-id']).toBe(id);
    expect(() =>
      new Webhook(secret).verify(forwarded.text, forwarded.headers as Record<string, string>),
    ).not.toThrow();
    const line = await untilLine(command, ({ event }) => event?.id === id, 'the line of the event');
    expect(line).toMatchObject({
      kind: 'FORWARDED',
      event: { type: 'both', project: 'default' },
      statusCode: 200,
    });

    command.child.kill('SIGINT');
    expect(await command.ended).toMatchObject({ code: 0, err: '' });
    expect(local.deliveries).toHaveLength(2);
    // Nothing was left behind: no trigger, and the event's story is that of its own trigger alone.
    expect(parseLines((await herald(['triggers', '--type', 'alone'], env())).out)).toEqual([]);
    const [event] = parseLines((await herald(['event', id], env())).out);
    expect(event.invocations.nodes).toHaveLength(1);
  });

  test('when it is due, what was scheduled before too; options shape the request', async () => {
    await using local = await startReceiver(status(500, 'not today'));
    await createTrigger(app, { type: 'later', url: 'http://127.0.0.1:9/', paused: false });
    const before = await queueEvent(app, { type: 'later', delay: 2 });
    const args = [
      ...[
        'listen',
        '--forward',
        local.url.replace('http://', ''),
        '--type',
        'later',
        '--content-mode',
        'binary',
      ],
      ...[
        '--spec-version',
        '1.0',
        '--header',
        'X-Env: dev',
        '--secret',
        `whsec_${Buffer.alloc(24, 7).toString('base64')}`,
      ],
    ];
    await using command = startCommand(args, env());
    expect(await secretOf(command)).toBe(`whsec_${Buffer.alloc(24, 7).toString('base64')}`);
    const dueAt = Date.now() + 1000;
    const after = await queueEvent(app, { type: 'later', timestamp: dueAt, data: [1] });
    const deliveries = await local.received(2);
    expect(deliveries.map(({ headers }) => headers['webhook-id']).sort()).toEqual(
      [before.id, after.id].sort(),
    );
    const mine = deliveries.find(({ headers }) => headers['webhook-id'] === after.id);
    expect(mine?.atEpochMs).toBeGreaterThanOrEqual(dueAt);
    expect(mine?.text).toBe('[1]');
    expect(mine?.headers).toMatchObject({ 'ce-specversion': '1.0', 'ce-id': after.id, 'x-env': 'dev' });
    const line = await untilLine(command, ({ event }) => event?.id === after.id, 'the line of the event');
    expect(line).toMatchObject({ statusCode: 500, body: 'not today' });
  });

  test('goes on where Herald was away: what was queued meanwhile comes, each event once', async () => {
    const database = await createTestDatabase();
    await using sql = openSql(database);
    await using local = await startReceiver();
    const first = await startTestApp({ database });
    await queueEvent(first, { type: 'before' });
    await using command = startCommand(['listen', '--forward', local.url], {
      HERALD_URL: first.url,
      HERALD_TOKEN: TOKEN,
    });
    await secretOf(command);
    await queueEvent(first, { type: 'a' });
    await local.received(1);
    const late = await sql.reserve();
    await late`begin`;
    const [open] = await late`select * from herald.queue_event('late', '1') as id`;
    await first[Symbol.asyncDispose]();
    const queued = await sql`select herald.queue_event('b', n::text) as id from generate_series(1, 20) n`;
    await until(() => command.err().includes('Trying again'), 'the break to be noticed');
    const second = await startTestApp({ database, env: { PORT: new URL(first.url).port } });
    await local.received(21);
    // One that was queued in a transaction of one's own comes however late that commits.
    await late`commit`;
    late.release();
    await local.received(22);
    expect(command.err()).toContain('Connected again.');

    // Where the log no longer reaches back to the break, the list of events does.
    await second[Symbol.asyncDispose]();
    const more = await sql`select herald.queue_event('c', n::text) as id from generate_series(1, 5) n`;
    await sql`delete from herald.changes`;
    await sql`delete from herald.change_marks`;
    await sql`insert into herald.change_marks default values`;
    await using _third = await startTestApp({ database, env: { PORT: new URL(first.url).port } });
    const deliveries = await local.received(27);
    const received = deliveries.slice(1).map(({ headers }) => headers['webhook-id']);
    const ids = [...queued, open, ...more].map((row) => String(row?.id));
    expect(received.toSorted()).toEqual(ids.toSorted());
  }, 60_000);

  test('a receiver that is away is said to be; what cannot be meant is exit code 2', async () => {
    await using command = startCommand(
      ['listen', '--forward', 'http://127.0.0.1:4/x', '--type', 'gone'],
      env(),
    );
    await secretOf(command);
    await queueEvent(app, { type: 'gone' });
    const line = await untilLine(command, ({ kind }) => kind === 'FORWARDED', 'the failure');
    expect(line.error).toContain('ECONNREFUSED');
    const [none, wrong, secret] = await Promise.all([
      herald(['listen'], env()),
      herald(['listen', '-f', 'ftp://x'], env()),
      herald(['listen', '-f', '3000', '--secret', 'hunter2'], env()),
    ]);
    expect([none.code, none.err]).toEqual([2, expect.stringContaining('expected --forward')]);
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('--forward: expected a URL')]);
    expect([secret.code, secret.err]).toEqual([2, expect.not.stringContaining('hunter2')]);
  });
});
