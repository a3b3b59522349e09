import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { spawnHerald } from '../support/process.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { countChanges, loggedChanges, toldChanges } from '../support/told.ts';
import { until } from '../support/until.ts';
import { herald, type Line, type RunningCommand, spawnCommand, startCommand, untilLine } from './herald.ts';

let app: TestApp;
let receiver: Receiver;
beforeAll(async () => {
  [app, receiver] = await Promise.all([startTestApp(), startReceiver()]);
});
afterAll(() => Promise.all([app[Symbol.asyncDispose](), receiver[Symbol.asyncDispose]()]));

const env = () => ({ HERALD_URL: app.url, HERALD_TOKEN: TOKEN });
const tail = (...args: readonly string[]): RunningCommand => startCommand(['tail', ...args], env());

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
    let requests = 0;
    await using flaky = await startReceiver(
      (_delivery, response) => void response.writeHead(requests++ === 0 ? 503 : 200).end(),
    );
    await createTrigger(app, {
      name: 'tailed',
      type: 'tail.me',
      url: flaky.url,
      retries: 3,
      retrySchedule: [0],
    });
    await createTrigger(app, { name: 'probe', type: 'tail.probe', url: receiver.url });
    await using command = spawnCommand(['tail', '--type', 'tail.me', '--type', 'tail.probe'], env());
    await untilTold(command, 'tail.probe');
    const { id } = await queueEvent(app, { type: 'tail.me' });
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
    const args = ['tail', '-o', 'text', '--type', 'tail.shown', '--type', 'tail.nobody'];
    await using command = spawnCommand(args, { ...env(), FORCE_COLOR: '1' });
    await untilTold(command, 'tail.shown');
    await until(() => command.out().includes('200 in'), 'the delivery');
    const { id } = await queueEvent(app, { type: 'tail.nobody' });
    await until(() => command.out().includes(id), 'the event that nobody takes');
    expect(stripVTControlCharacters(command.out())).toMatch(
      new RegExp(`^[\\d:.]{12}  UNMATCHED  tail\\.nobody → no trigger takes it  ${id}$`, 'm'),
    );
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
    await using command = spawnCommand(['tail', '--type', 'tail.piped'], env());
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

  test('events that no trigger takes are lines too, unless a trigger or another state was asked for', async () => {
    const type = 'tail.unmatched';
    await createTrigger(app, { name: 'other', type: 'tail.other', url: receiver.url });
    await using all = tail('--type', type, '--type', 'tail.other');
    await using alone = tail('--status', 'unmatched');
    await using failed = tail('--status', 'succeeded', '--type', type, '--type', 'tail.other');
    await using ofTrigger = tail('--trigger', 'other', '--type', type, '--type', 'tail.other');
    await untilTold(failed, 'tail.other');
    await untilTold(ofTrigger, 'tail.other');
    const { id } = await queueEvent(app, { type });
    const is = (line: Line) => line.event?.id === id;
    expect(await untilLine(all, is, 'the event')).toMatchObject({ kind: 'UNMATCHED', event: { id, type } });
    await untilLine(alone, is, 'the event');
    expect(new Set(alone.lines().map(({ kind }) => kind))).toEqual(new Set(['UNMATCHED']));
    const last = await queueEvent(app, { type: 'tail.other' });
    for (const command of [failed, ofTrigger]) {
      await untilLine(command, (line) => idOf(line) === last.id, 'what came after it');
      expect(command.lines().filter(is)).toEqual([]);
    }
  });

  test('no gap where Herald is killed, restarted and shut down under it; ends with the token', async () => {
    const database = await createTestDatabase();
    await using sql = openSql(database);
    const settings = {
      ...{ DATABASE_URL: database.url, ADMIN_TOKEN: TOKEN, ROLES: 'api' },
      ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    };
    await using killed = spawnHerald(settings);
    await using worker = await startTestApp({ database });
    await using flaky = await startReceiver();
    let requests = 0;
    flaky.answer = (_delivery, response) => void response.writeHead(requests++ % 3 === 0 ? 503 : 200).end();
    await createTrigger(worker, {
      ...{ type: 'tail.resumed', url: flaky.url },
      ...{ retries: 5, retrySchedule: [0] },
    });
    const { createApiKey } = await worker.graphql<{
      createApiKey: { secret: string; apiKey: { id: string } };
    }>('mutation { createApiKey(input: {name: "tail", scopes: [EVENTS_READ]}) { secret apiKey { id } } }');
    const { url } = await killed.ready();
    const heraldEnv = { HERALD_URL: url, HERALD_TOKEN: createApiKey.secret };
    const { changeCursor } = await worker.graphql<{ changeCursor: string }>('{ changeCursor }');
    await using command = startCommand(['tail', '--after', changeCursor], heraldEnv);
    await untilTold(command, 'tail.resumed', worker);

    let isOver = false;
    let rounds = 0;
    const queueing = (async () => {
      for (; !isOver; rounds++) {
        await Promise.all(
          ['tail.resumed', 'tail.resumed', 'tail.nobody'].map((type) => queueEvent(worker, { type })),
        );
      }
    })();
    const moreRounds = async () => {
      const before = rounds;
      await until(() => rounds > before + 3, 'more events');
    };
    /** Herald is away, and back on the same port; both are noticed. */
    const away = async (stop: () => Promise<unknown>, breaks: number): Promise<TestApp> => {
      await moreRounds();
      await stop();
      const count = (text: string) => command.err().split(text).length - 1;
      await until(() => count('Trying again') === breaks, 'the break to be noticed');
      await moreRounds();
      const next = await startTestApp({
        ...{ database, env: { ROLES: 'api', PORT: new URL(url).port } },
      });
      await until(() => count('Connected again') === breaks, 'the new connection');
      return next;
    };
    const second = await away(() => {
      killed.child.kill('SIGKILL');
      return killed.exited();
    }, 1);
    await using _third = await away(async () => second[Symbol.asyncDispose](), 2);
    await moreRounds();
    isOver = true;
    await queueing;
    const unfinished = () => sql`select from herald.invocations where finished_at is null limit 1`;
    await until(async () => (await unfinished()).length === 0, 'the drain');

    const logged = await loggedChanges(sql);
    const unmatched = await sql`
      select e.id from herald.events e
        where not exists (select from herald.invocations i where i.event_id = e.id)`;
    const read = (lines: readonly Line[]) => ({
      told: toldChanges(lines.filter(({ invocation }) => invocation !== undefined)),
      unmatched: new Set(lines.filter(({ kind }) => kind === 'UNMATCHED').map(({ event }) => event.id)),
    });
    const isComplete = (lines: readonly Line[]) => {
      const all = read(lines);
      return countChanges(all.told) >= countChanges(logged) && all.unmatched.size >= unmatched.length;
    };
    const expected = { told: logged, unmatched: new Set(unmatched.map(({ id }) => id)) };
    await until(() => isComplete(command.lines()), 'every line').catch(() => {});
    const lines = command.lines();
    expect(read(lines)).toEqual(expected);

    // A line's cursor stands behind it and all before it.
    const middle = Math.floor(lines.length / 2);
    await using resumed = startCommand(['tail', '--after', lines[middle].cursor], heraldEnv);
    const both = () => [...lines.slice(0, middle + 1), ...resumed.lines()];
    await until(() => isComplete(both()), 'the other half').catch(() => {});
    expect(read(both())).toEqual(expected);
    expect(resumed.lines().length).toBeLessThan(lines.length - middle / 2);

    await worker.graphql('mutation ($id: ID!) { revokeApiKey(input: {id: $id}) { userErrors { code } } }', {
      id: createApiKey.apiKey.id,
    });
    expect(await command.ended).toMatchObject({
      code: 1,
      err: expect.stringContaining('does not know who calls'),
    });
  }, 60_000);

  test('what is not understood is exit code 2, a trigger that is not there 1', async () => {
    const [wrongStatus, trigger] = await Promise.all([
      herald(['tail', '--status', 'faild'], env()),
      herald(['tail', '--trigger', 'nobody'], env()),
    ]);
    expect([wrongStatus.code, wrongStatus.err]).toEqual([2, expect.stringContaining('did you mean FAILED?')]);
    expect([trigger.code, trigger.err]).toEqual([1, expect.stringContaining('no trigger "nobody"')]);
  });
});
