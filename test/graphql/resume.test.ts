/** Subscriptions that go on where they stopped: cursors, late transactions, cursors that are too old. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Caller } from '../../src/domain/caller.ts';
import { prune } from '../../src/store/retention.ts';
import { until } from '../support/until.ts';
import { ask, createTrigger, type Loose, queueEvent } from './ask.ts';
import { type Door, openDoor } from './door.ts';
import { GIVE_UP, play, RETRY, SUCCEED } from './outcomes.ts';
import { watch } from './watch.ts';

let door: Door;
const bound: Caller = {
  id: 'key:bound',
  name: 'bound',
  scopes: ['EVENTS_READ'],
  projects: ['mine'],
  watch: () => () => {},
};
beforeAll(async () => {
  door = await openDoor({ callers: { bound } });
});
afterAll(() => door.close());

const UPDATES = `subscription ($filter: InvocationFilter, $after: String, $snapshot: Boolean) {
  invocationUpdated(filter: $filter, after: $after, snapshot: $snapshot) {
    cursor kind previousStatus status invocation { id status event { id type } trigger { name } } attempt { number }
  }
}`;
const PROGRESS = `subscription ($id: ID!, $after: String) {
  eventProgress(id: $id, after: $after) { cursor done counts { total pending succeeded failed } invocation { id } }
}`;
const TAIL = `subscription ($filter: ActivityFilter, $after: String) {
  liveTail(filter: $filter, after: $after) {
    cursor kind summary event { id type } invocation { id } attempt { number } trigger { name }
  }
}`;

const changeCursor = async (): Promise<string> => (await ask(door, '{ changeCursor }')).data.changeCursor;
const told = (items: readonly Loose[]) => items.map(({ previousStatus, status }) => [previousStatus, status]);

describe('invocationUpdated', () => {
  test('goes on after each of its cursors with all that came later', async () => {
    const type = 'resume.each';
    await createTrigger(door, { name: 'each', type, retries: 5 });
    const filter = { eventType: [type] };
    const whole = watch(door, UPDATES, { filter, after: await changeCursor() });
    const { invocations } = await queueEvent(door, { type });
    const invocationId = invocations[0] ?? '';
    await play(door.db, { invocationId, number: 1, statusCode: 500, decision: RETRY });
    await play(door.db, { invocationId, number: 2, statusCode: 500, decision: RETRY });
    // Two changes in one transaction, so that a cursor lies between them.
    const second = await queueEvent(door, { type });
    await play(
      door.db,
      { invocationId, number: 3, statusCode: 200, decision: SUCCEED },
      { invocationId: second.invocations[0] ?? '', number: 1, statusCode: 500, decision: GIVE_UP },
    );
    await until(() => whole.items.length === 6, 'all updates');
    expect(told(whole.items)).toEqual([
      [null, 'QUEUED'],
      ['QUEUED', 'RETRYING'],
      ['RETRYING', 'RETRYING'],
      [null, 'QUEUED'],
      ['RETRYING', 'SUCCEEDED'],
      ['QUEUED', 'FAILED'],
    ]);
    for (const [index, { cursor }] of whole.items.entries()) {
      const resumed = watch(door, UPDATES, { filter, after: cursor });
      const later = told(whole.items).slice(index + 1);
      // The cursor before the end of a transaction repeats what came of it.
      const expected = index === 4 ? told(whole.items).slice(4) : later;
      await until(() => resumed.items.length >= expected.length, `what came after ${index}`);
      expect(told(resumed.items)).toEqual(expected);
      await resumed.stop();
    }
    await whole.stop();
  });

  test('tells what was missed, then goes live; a transaction that committed late is not skipped', async () => {
    const type = 'resume.late';
    await createTrigger(door, { name: 'late', type });
    const filter = { eventType: [type] };
    const first = watch(door, UPDATES, { filter, after: await changeCursor() });
    const late = await door.sql.reserve();
    await late`begin`;
    await late`select herald.queue_event(${type}, '"late"')`;
    const early = await queueEvent(door, { type });
    await until(() => first.items.length === 1, 'the early one');
    await first.stop();
    expect(first.items[0].invocation.id).toBe(early.invocations[0]);
    const missed = await queueEvent(door, { type });
    await late`commit`;
    late.release();
    const resumed = watch(door, UPDATES, { filter, after: first.items[0].cursor });
    await until(() => resumed.items.length === 2, 'what was missed');
    const live = await queueEvent(door, { type });
    await until(() => resumed.items.length === 3, 'what is new');
    const ids = resumed.items.map(({ invocation }) => invocation.id);
    expect(ids).toContain(missed.invocations[0]);
    expect(ids[2]).toBe(live.invocations[0]);
    expect(new Set(ids).size).toBe(3);
    await resumed.stop();
  });

  test('the end of the snapshot has a cursor', async () => {
    const type = 'resume.snapshot';
    await createTrigger(door, { name: 'snapshot', type });
    await queueEvent(door, { type });
    await queueEvent(door, { type });
    const filter = { eventType: [type] };
    const first = watch(door, UPDATES, { filter });
    await until(() => first.items.length === 2, 'the snapshot');
    await first.stop();
    expect(first.items.map(({ kind, cursor }) => [kind, cursor === null])).toEqual([
      ['SNAPSHOT', true],
      ['SNAPSHOT', false],
    ]);
    await queueEvent(door, { type });
    const resumed = watch(door, UPDATES, { filter, after: first.items[1].cursor });
    await until(() => resumed.items.length === 1, 'what was missed');
    expect(resumed.items[0].kind).toBe('CREATED');
    await resumed.stop();
  });

  test('shows a token bound to projects only theirs, in what was missed too', async () => {
    await createTrigger(door, { name: 'mine', project: 'mine', type: 'resume.bound' });
    await createTrigger(door, { name: 'theirs', project: 'theirs', type: 'resume.bound' });
    const after = await changeCursor();
    await queueEvent(door, { project: 'theirs', type: 'resume.bound' });
    const mine = await queueEvent(door, { project: 'mine', type: 'resume.bound' });
    for (const query of [UPDATES, TAIL.replace('event {', 'event { project')]) {
      const watching = watch(door, query.replace('trigger { name }', ''), { after }, 'bound');
      await until(() => watching.items.length > 0, 'mine');
      expect(watching.items).toHaveLength(1);
      expect(JSON.stringify(watching.items)).toMatch(new RegExp(`${mine.id}|${mine.invocations[0]}`));
      await watching.stop();
    }
  });

  test.each([
    'nonsense',
    Buffer.from('1:2:9').toString('base64url'),
    Buffer.from('5:99999999999:').toString('base64url'),
  ])('answers RESYNC and the state to the cursor %s', async (after) => {
    const type = 'resume.nonsense';
    await createTrigger(door, { name: `n${after.slice(0, 12)}`, type }).catch(() => {});
    await queueEvent(door, { type });
    const watching = watch(door, UPDATES, { filter: { eventType: [type] }, after });
    await until(() => watching.items.length >= 2, 'the state');
    expect(watching.items.map(({ kind }) => kind).slice(0, 2)).toEqual(['RESYNC', 'SNAPSHOT']);
    expect(watching.items[0].cursor).not.toBeNull();
    await watching.stop();
  });
});

test('a cursor from before what was pruned is too old; one from after it is not', async () => {
  await using own = await openDoor();
  const type = 'resume.old';
  await createTrigger(own, { name: 'old', type });
  const cursor = async () => (await ask(own, '{ changeCursor }')).data.changeCursor;
  const old = await cursor();
  await queueEvent(own, { type });
  // An open transaction, and a mark of an hour ago that does not hold it.
  const open = await own.sql.reserve();
  await open`begin`;
  await open`select herald.queue_event(${type}, '"open"')`;
  await own.sql`insert into herald.change_marks (at) values (now() - interval '61 minutes')`;
  // Not before the mark: on a server with other databases, any transaction of theirs may lie between the two.
  const fresh = await cursor();
  await open`commit`;
  open.release();
  const last = await queueEvent(own, { type });
  await prune(own.db, 30);
  const left = await own.sql`select from herald.changes`;
  expect(left).toHaveLength(2);

  const tooOld = watch(own, UPDATES, { after: old });
  await until(() => tooOld.items.length > 0, 'RESYNC');
  expect(tooOld.items[0]).toMatchObject({ kind: 'RESYNC', invocation: null });
  const good = watch(own, UPDATES, { after: fresh });
  await until(() => good.items.length === 2, 'what was missed');
  expect(good.items.map(({ kind }) => kind)).toEqual(['CREATED', 'CREATED']);
  expect(good.items[1].invocation.id).toBe(last.invocations[0]);
  await tooOld.stop();
  await good.stop();
});

describe('eventProgress', () => {
  test('goes on with the counts of that time, and completes', async () => {
    const type = 'progress.resume';
    await createTrigger(door, { name: 'p1', type, retries: 5 });
    await createTrigger(door, { name: 'p2', type, retries: 5 });
    const event = await queueEvent(door, { type });
    const [a = '', b = ''] = event.invocations;
    const first = watch(door, PROGRESS, { id: event.id });
    await until(() => first.items.length === 1, 'the state');
    await play(door.db, { invocationId: a, number: 1, statusCode: 500, decision: RETRY });
    await until(() => first.items.length === 2, 'the first change');
    await first.stop();
    await play(door.db, { invocationId: a, number: 2, statusCode: 200, decision: SUCCEED });
    await play(door.db, { invocationId: b, number: 1, statusCode: 500, decision: GIVE_UP });
    const resumed = watch(door, PROGRESS, { id: event.id, after: first.items[1].cursor });
    await until(() => resumed.over(), 'the end');
    expect(resumed.items).toMatchObject([
      { done: false, counts: { total: 2, pending: 1, succeeded: 1, failed: 0 }, invocation: { id: a } },
      { done: true, counts: { total: 2, pending: 0, succeeded: 1, failed: 1 }, invocation: { id: b } },
    ]);
    const afterwards = watch(door, PROGRESS, { id: event.id, after: resumed.items[1].cursor });
    await until(() => afterwards.over(), 'the end');
    expect(afterwards.items).toMatchObject([{ done: true, counts: { total: 2, pending: 0 } }]);
  });
});

describe('liveTail', () => {
  test('tells events, attempts and triggers, a line each, and resumes', async () => {
    const type = 'tail.all';
    const tail = watch(door, TAIL, { filter: { eventType: [type] }, after: await changeCursor() });
    const lonely = await queueEvent(door, { type });
    const trigger = await createTrigger(door, { name: 'tailed', type, retries: 5 });
    const { id, invocations } = await queueEvent(door, { type });
    const invocationId = invocations[0] ?? '';
    await play(door.db, { invocationId, number: 1, statusCode: 503, decision: RETRY });
    await play(door.db, { invocationId, number: 2, statusCode: 500, decision: GIVE_UP });
    const other = await queueEvent(door, { type });
    await play(door.db, {
      invocationId: other.invocations[0] ?? '',
      number: 1,
      statusCode: 200,
      decision: SUCCEED,
    });
    await queueEvent(door, { type, delay: 3600 });
    await ask(door, 'mutation ($id: ID!) { deleteTrigger(input: {id: $id}) { userErrors { code } } }', {
      id: trigger.id,
    });
    const lines = [
      ['EVENT_UNMATCHED', 'tail.all queued; no trigger matches'],
      ['TRIGGER_CHANGED', 'trigger tailed created'],
      ['EVENT_QUEUED', 'tail.all queued for 1 trigger'],
      ['ATTEMPT_FAILED', 'tail.all → tailed: attempt 1 failed, 503 in 12 ms; a retry is planned'],
      ['ATTEMPT_FAILED', 'tail.all → tailed: attempt 2 failed, 500 in 12 ms'],
      ['INVOCATION_FAILED', 'tail.all → tailed: given up, retries exhausted'],
      ['EVENT_QUEUED', 'tail.all queued for 1 trigger'],
      ['ATTEMPT_SUCCEEDED', 'tail.all → tailed: attempt 1 succeeded, 200 in 12 ms'],
      ['EVENT_QUEUED', 'tail.all queued for 1 trigger'],
      ['TRIGGER_CHANGED', 'trigger tailed deleted'],
      ['EVENT_CHANGED', 'tail.all → tailed: cancelled'],
    ];
    await until(() => tail.items.length === lines.length, 'all lines');
    const shown = (items: readonly Loose[]) => items.map(({ kind, summary }) => [kind, summary]);
    expect(shown(tail.items)).toEqual(lines);
    expect(tail.items[0]).toMatchObject({ event: { id: lonely.id, type }, invocation: null, trigger: null });
    expect(tail.items[3]).toMatchObject({
      event: { id },
      invocation: { id: invocationId },
      attempt: { number: 1 },
    });
    await tail.stop();

    const resumed = watch(door, TAIL, { filter: { eventType: [type] }, after: tail.items[5].cursor });
    await until(() => resumed.items.length === 5, 'the rest');
    expect(shown(resumed.items)).toEqual(lines.slice(6));
    await resumed.stop();
    const filter = { triggerId: [trigger.id.toUpperCase()], kind: ['ATTEMPT_FAILED', 'TRIGGER_CHANGED'] };
    const some = watch(door, TAIL, { filter, after: tail.items[0].cursor });
    await until(() => some.items.length === 4, 'some of it');
    expect(some.items.map(({ kind }) => kind)).toEqual([
      'TRIGGER_CHANGED',
      'ATTEMPT_FAILED',
      'ATTEMPT_FAILED',
      'TRIGGER_CHANGED',
    ]);
    await some.stop();
  });
});

describe('queueStatus', () => {
  const STATUS = `subscription ($project: String, $intervalMs: Int) {
    queueStatus(project: $project, intervalMs: $intervalMs) { ready scheduled deadLetters }
  }`;

  test('tells the state, then each interval in which it changed', async () => {
    const [project, type] = ['status', 'status'];
    await createTrigger(door, { name: 's', project, type });
    const watching = watch(door, STATUS, { project, intervalMs: 250 });
    await until(() => watching.items.length === 1, 'the state');
    const { invocations } = await queueEvent(door, { project, type });
    await until(() => watching.items.length === 2, 'the change');
    // A change elsewhere is none here.
    await queueEvent(door, { type: 'elsewhere' });
    await play(door.db, {
      invocationId: invocations[0] ?? '',
      number: 1,
      statusCode: 500,
      decision: GIVE_UP,
    });
    await until(() => watching.items.at(-1).deadLetters === 1, 'the next one');
    expect(watching.items).toEqual([
      { ready: 0, scheduled: 0, deadLetters: 0 },
      { ready: 1, scheduled: 0, deadLetters: 0 },
      { ready: 0, scheduled: 0, deadLetters: 1 },
    ]);
    await watching.stop();
  });

  test.each([249, 60_001])('refuses an interval of %i ms', async (intervalMs) => {
    const watching = watch(door, STATUS, { intervalMs });
    await until(() => watching.over(), 'the refusal');
    expect(watching.errors).toMatchObject([
      { message: `expected intervalMs between 250 and 60000, got ${intervalMs}` },
    ]);
  });
});
