import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { createTestDatabase } from '../support/database.ts';
import { spawnHerald } from '../support/process.ts';
import { type Receiver, startReceiver, status } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { herald, type Line, type RunningCommand, spawnCommand, untilLine } from './herald.ts';

let app: TestApp;
let receiver: Receiver;
beforeAll(async () => {
  [app, receiver] = await Promise.all([startTestApp(), startReceiver()]);
});
afterAll(() => Promise.all([app[Symbol.asyncDispose](), receiver[Symbol.asyncDispose]()]));

const tail = (...args: readonly string[]): RunningCommand =>
  spawnCommand(['tail', ...args], { HERALD_URL: app.url, HERALD_TOKEN: TOKEN });

/** Queues events until one is told of: whatever comes after that is told too. */
async function untilTold(command: RunningCommand, type: string, on: TestApp = app): Promise<void> {
  await until(async () => {
    await queueEvent(on, { type });
    return command.out() !== '';
  }, 'the tail to be connected');
}

const idOf = (line: Line): string | undefined => line.invocation?.event.id;

describe('tail', () => {
  test('a line of JSON for each change: queued, retried, delivered', async () => {
    await using flaky = await startReceiver(status(503));
    await createTrigger(app, {
      name: 'tailed',
      type: 'tail.me',
      url: flaky.url,
      retries: 3,
      retrySchedule: [0],
    });
    await createTrigger(app, { name: 'probe', type: 'tail.probe', url: receiver.url });
    await using command = tail('--type', 'tail.me', '--type', 'tail.probe');
    await untilTold(command, 'tail.probe');
    const { id } = await queueEvent(app, { type: 'tail.me' });
    await flaky.received(1);
    flaky.answer = status(200);
    await untilLine(command, (line) => idOf(line) === id && line.status === 'SUCCEEDED', 'the success');
    const mine = command.lines().filter((line) => idOf(line) === id);
    expect(mine[0]).toMatchObject({
      ...{ kind: 'CREATED', previousStatus: null, status: 'QUEUED', attempt: null },
      invocation: { triggerName: 'tailed', event: { id, type: 'tail.me', project: 'default' } },
    });
    expect(mine.find((line) => line.status === 'RETRYING')).toMatchObject({
      attempt: { number: 1, status: 'FAILED', errorCode: 'HTTP_STATUS', response: { statusCode: 503 } },
    });
    expect(mine.at(-1)).toMatchObject({ attempt: { response: { statusCode: 200 } } });
    command.child.kill('SIGINT');
    expect((await command.ended).code).toBe(0);
  });

  test('filters by trigger, project and status', async () => {
    await createTrigger(app, { name: 'one', type: 'tail.filter', url: receiver.url, project: 'here' });
    await createTrigger(app, { name: 'two', type: 'tail.filter', url: receiver.url, project: 'here' });
    await createTrigger(app, { name: 'one', type: 'tail.filter', url: receiver.url, project: 'there' });
    await using byTrigger = tail('--trigger', 'one', '-p', 'here', '--status', 'succeeded,failed');
    await using byProject = tail('-p', 'there');
    for (const [command, project] of [
      [byTrigger, 'here'],
      [byProject, 'there'],
    ] as const) {
      await until(async () => {
        await queueEvent(app, { type: 'tail.filter', project });
        return command.out() !== '';
      }, 'the tail to be connected');
    }
    const here = byTrigger.lines();
    expect(new Set(here.map(({ status: to }) => to))).toEqual(new Set(['SUCCEEDED']));
    expect(new Set(here.map(({ invocation }) => invocation.triggerName))).toEqual(new Set(['one']));
    const projects = byProject.lines().map(({ invocation }) => invocation.event.project);
    expect(new Set(projects)).toEqual(new Set(['there']));
  });

  test('for people: one line each, in colour', async () => {
    await createTrigger(app, { name: 'shown', type: 'tail.shown', url: receiver.url });
    await using command = spawnCommand(['tail', '-o', 'text', '--type', 'tail.shown'], {
      HERALD_URL: app.url,
      HERALD_TOKEN: TOKEN,
      FORCE_COLOR: '1',
    });
    await untilTold(command, 'tail.shown');
    await until(() => command.out().includes('200 in'), 'the delivery');
    const line =
      command
        .out()
        .split('\n')
        .find((one) => one.includes('200 in')) ?? '';
    expect(line).toContain('\u001b[32mSUCCEEDED');
    expect(stripVTControlCharacters(line)).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} {2}SUCCEEDED {2}tail\.shown → shown {2}200 in \d+ ms {2}[\da-f-]{36}$/,
    );
  });

  test('--snapshot shows first what is unfinished', async () => {
    await createTrigger(app, { name: 'held', type: 'tail.held', url: receiver.url, paused: true });
    const { id } = await queueEvent(app, { type: 'tail.held' });
    await using command = tail('--type', 'tail.held', '--snapshot');
    const line = await untilLine(command, (one) => idOf(one) === id, 'the snapshot');
    expect(line).toMatchObject({ kind: 'SNAPSHOT', status: 'HELD' });
  });

  test('ends quietly when nobody reads any more', async () => {
    await createTrigger(app, { name: 'piped', type: 'tail.piped', url: receiver.url });
    await using command = tail('--type', 'tail.piped');
    await untilTold(command, 'tail.piped');
    command.child.stdout?.destroy();
    let isOver = false;
    void command.ended.then(() => {
      isOver = true;
    });
    await until(async () => {
      await queueEvent(app, { type: 'tail.piped' });
      return isOver;
    }, 'the end');
    expect(await command.ended).toMatchObject({ code: 0, err: expect.not.stringContaining('EPIPE') });
  });

  test('connects again when Herald comes back, and ends with the token', async () => {
    const database = await createTestDatabase();
    const settings = {
      ...{ DATABASE_URL: database.url, ADMIN_TOKEN: TOKEN, ROLES: 'api' },
      ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    };
    await using worker = await startTestApp({ database });
    await createTrigger(worker, { name: 'resumed', type: 'tail.resumed', url: receiver.url });
    const first = spawnHerald(settings);
    const { url } = await first.ready();
    const { createApiKey } = await worker.graphql<{
      createApiKey: { secret: string; apiKey: { id: string } };
    }>('mutation { createApiKey(input: {name: "tail", scopes: [EVENTS_READ]}) { secret apiKey { id } } }');
    await using command = spawnCommand(['tail'], { HERALD_URL: url, HERALD_TOKEN: createApiKey.secret });
    await untilTold(command, 'tail.resumed', worker);
    await first[Symbol.asyncDispose]();
    await until(() => command.err().includes('Trying again'), 'the break to be noticed');
    await using _second = spawnHerald({ ...settings, PORT: new URL(url).port });
    await until(() => command.err().includes('Connected again'), 'the new connection', 30_000);
    const { id } = await queueEvent(worker, { type: 'tail.resumed' });
    await untilLine(command, (line) => idOf(line) === id && line.status === 'SUCCEEDED', 'the delivery');
    await worker.graphql('mutation ($id: ID!) { revokeApiKey(input: {id: $id}) { userErrors { code } } }', {
      id: createApiKey.apiKey.id,
    });
    expect(await command.ended).toMatchObject({
      code: 1,
      err: expect.stringContaining('does not know who calls'),
    });
  }, 60_000);

  test('what is not understood is exit code 2, a trigger that is not there 1', async () => {
    const env = { HERALD_URL: app.url, HERALD_TOKEN: TOKEN };
    const [wrongStatus, trigger] = await Promise.all([
      herald(['tail', '--status', 'faild'], env),
      herald(['tail', '--trigger', 'nobody'], env),
    ]);
    expect([wrongStatus.code, wrongStatus.err]).toEqual([2, expect.stringContaining('did you mean FAILED?')]);
    expect([trigger.code, trigger.err]).toEqual([1, expect.stringContaining('no trigger "nobody"')]);
  });
});
