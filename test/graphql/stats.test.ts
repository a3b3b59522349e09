/** Statistics and the queue's state, compared with the tables they sum up. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Caller } from '../../src/domain/caller.ts';
import { prune } from '../../src/store/retention.ts';
import { markRunning } from '../../src/store/starts.ts';
import { foldTallies } from '../../src/store/stats-fold.ts';
import { ask, createTrigger, type Loose, queueEvent } from './ask.ts';
import { type Door, openDoor } from './door.ts';
import { GIVE_UP, play, RETRY, SUCCEED } from './outcomes.ts';

let door: Door;
const bound: Caller = {
  id: 'key:bound',
  name: 'bound',
  scopes: ['EVENTS_READ', 'TRIGGERS_READ'],
  projects: ['one'],
  watch: () => () => {},
};
beforeAll(async () => {
  door = await openDoor({ callers: { bound } });
});
afterAll(() => door.close());

const STATS = `query ($project: String, $window: StatsWindow) {
  stats(project: $project, window: $window) {
    from to eventsQueued invocationsSucceeded invocationsFailed attempts retries successRate
    attemptDuration { p50Ms p95Ms p99Ms maxMs } deliveryLatency { p50Ms maxMs }
    buckets { from eventsQueued attemptsSucceeded attemptsFailed retries deliveryLatency { p50Ms maxMs } }
  }
}`;
const QUEUE = `query ($project: String) {
  queue(project: $project) {
    scheduled ready running retrying held deadLetters oldestReadyAgeSeconds nextDueAt workers { id running concurrency }
  }
}`;

const stats = async (variables: Loose = {}, headers = {}) =>
  (await ask(door, STATS, variables, headers)).data.stats;
const queue = async (variables: Loose = {}, headers = {}) =>
  (await ask(door, QUEUE, variables, headers)).data.queue;

describe('statistics', () => {
  test('are exact at once, and stay so when they are folded', async () => {
    await createTrigger(door, { name: 'a', project: 'one', type: 'stats.a', retries: 3 });
    const second = await createTrigger(door, { name: 'b', project: 'one', type: 'stats.a', retries: 3 });
    await createTrigger(door, { name: 'c', project: 'two', type: 'stats.c' });
    const [first, other] = [
      await queueEvent(door, { project: 'one', type: 'stats.a' }),
      await queueEvent(door, { project: 'two', type: 'stats.c' }),
    ];
    await queueEvent(door, { project: 'one', type: 'stats.nobody' });
    const [a = '', b = ''] = first.invocations;
    await play(door.db, { invocationId: a, number: 1, statusCode: 500, decision: RETRY });
    await play(
      door.db,
      { invocationId: a, number: 2, statusCode: 200, decision: SUCCEED },
      { invocationId: b, number: 1, statusCode: 500, decision: GIVE_UP },
      { invocationId: other.invocations[0] ?? '', number: 1, statusCode: 200, decision: SUCCEED },
    );

    const expected = {
      eventsQueued: 2,
      invocationsSucceeded: 1,
      invocationsFailed: 1,
      attempts: 3,
      retries: 1,
      successRate: 0.5,
      attemptDuration: { p50Ms: expect.closeTo(12, 0), maxMs: 12 },
    };
    const check = async () => {
      for (const window of ['LAST_HOUR', 'LAST_24_HOURS', 'LAST_7_DAYS', 'LAST_30_DAYS']) {
        const one = await stats({ project: 'one', window });
        expect(one, window).toMatchObject(expected);
        expect(one.buckets.at(-1), window).toMatchObject({
          eventsQueued: 2,
          attemptsSucceeded: 1,
          attemptsFailed: 2,
          retries: 1,
          deliveryLatency: one.deliveryLatency,
        });
        expect(one.buckets[0], window).toMatchObject({ retries: 0, deliveryLatency: { p50Ms: null } });
        expect(new Date(one.buckets[0].from).toISOString()).toBe(one.from);
      }
      expect(await stats()).toMatchObject({ eventsQueued: 3, attempts: 4, invocationsSucceeded: 2 });
      expect(await stats({}, { authorization: 'Bearer bound' })).toMatchObject(expected);
      expect(await stats({ project: 'two' }, { authorization: 'Bearer bound' })).toMatchObject({
        eventsQueued: 0,
        attempts: 0,
        successRate: null,
      });
      const { data } = await ask(
        door,
        'query ($id: ID!) { trigger(id: $id) { stats(window: LAST_HOUR) { eventsQueued attempts invocationsFailed } } }',
        { id: second.id },
      );
      expect(data.trigger.stats).toEqual({ eventsQueued: 1, attempts: 1, invocationsFailed: 1 });
    };
    await check();
    await foldTallies(door.db);
    expect(await door.sql`select from herald.tallies`).toHaveLength(0);
    await check();
    // What comes after a fold is added to what was folded.
    await queueEvent(door, { project: 'one', type: 'stats.nobody' });
    expect(await stats({ project: 'one' })).toMatchObject({ eventsQueued: 3 });
    await foldTallies(door.db);
    expect(await stats({ project: 'one' })).toMatchObject({ eventsQueued: 3, attempts: 3 });
  });

  test('are folded to the end, however many rows there are for one trigger, project and minute', async () => {
    const { id } = await createTrigger(door, { name: 'many', project: 'many', type: 'stats.many' });
    await door.sql`
      insert into herald.tallies (trigger_id, attempts, durations) select ${id}, 1, '{5}' from generate_series(1, 12000)`;
    await door.sql`
      insert into herald.event_tallies (project, type, at, count)
        select 'many', 'stats.many', now(), 1 from generate_series(1, 12000)`;
    await foldTallies(door.db);
    expect(await door.sql`select from herald.tallies`).toHaveLength(0);
    expect(await door.sql`select from herald.event_tallies`).toHaveLength(0);
    expect(await stats({ project: 'many' })).toMatchObject({ attempts: 12_000, eventsQueued: 12_000 });
  });

  test('have as many buckets as the window has spans', async () => {
    const counts = { LAST_HOUR: 60, LAST_24_HOURS: 96, LAST_7_DAYS: 84, LAST_30_DAYS: 120 };
    for (const [window, count] of Object.entries(counts)) {
      expect((await stats({ window })).buckets).toHaveLength(count);
    }
  });

  test('event types: frequent ones first, with their triggers', async () => {
    const types = async (variables: Loose, headers = {}) =>
      (
        await ask(
          door,
          'query ($project: String, $prefix: String) { eventTypes(project: $project, prefix: $prefix) { type triggerCount eventCount lastSeenAt } }',
          variables,
          headers,
        )
      ).data.eventTypes;
    await createTrigger(door, { name: 'waits', project: 'one', type: 'types.waiting' });
    for (const type of ['types.often', 'types.often', 'types.once']) {
      await queueEvent(door, { project: 'one', type });
    }
    await foldTallies(door.db);
    await queueEvent(door, { project: 'one', type: 'types.often' });
    const expected = [
      { type: 'types.often', triggerCount: 0, eventCount: 3, lastSeenAt: expect.any(String) },
      { type: 'types.once', triggerCount: 0, eventCount: 1, lastSeenAt: expect.any(String) },
      { type: 'types.waiting', triggerCount: 1, eventCount: 0, lastSeenAt: null },
    ];
    expect(await types({ prefix: 'types.' })).toEqual(expected);
    expect(await types({ prefix: 'types.' }, { authorization: 'Bearer bound' })).toEqual(expected);
    expect(await types({ prefix: 'types.', project: 'two' })).toEqual([]);
    expect((await types({})).map(({ type }: Loose) => type)).toContain('stats.c');
    expect((await types({}, { authorization: 'Bearer bound' })).map(({ type }: Loose) => type)).not.toContain(
      'stats.c',
    );
  });
});

describe('the queue', () => {
  const NONE = { scheduled: 0, ready: 0, running: 0, retrying: 0, held: 0, deadLetters: 0 };

  test('counts every state, before and after folding', async () => {
    const project = 'queue';
    const trigger = await createTrigger(door, { name: 'q', project, type: 'q', retries: 3 });
    expect(await queue({ project })).toMatchObject({ ...NONE, oldestReadyAgeSeconds: 0, nextDueAt: null });
    const ids: string[] = [];
    for (const delay of [0, 0, 0, 0, 3600, 3600]) {
      const { invocations } = await queueEvent(door, { project, type: 'q', delay });
      ids.push(invocations[0] ?? '');
    }
    const [retried = '', failed = '', running = ''] = ids;
    await play(
      door.db,
      { invocationId: retried, number: 1, statusCode: 500, decision: RETRY },
      { invocationId: failed, number: 1, statusCode: 500, decision: GIVE_UP },
    );
    await markRunning(door.db, [
      {
        invocationId: running,
        attemptsBefore: 0,
        elapsedMs: 5,
        attempt: {
          ...{ id: crypto.randomUUID(), cause: 'INITIAL', url: 'http://127.0.0.1:9/', headers: [] },
          ...{ bodySize: 0, contentMode: 'JSON', specVersion: '1.0' },
        },
      },
    ]);
    const expected = { ...NONE, scheduled: 2, ready: 1, running: 1, retrying: 1, deadLetters: 1 };
    expect(await queue({ project })).toMatchObject(expected);
    await foldTallies(door.db);
    const folded = await queue({ project });
    expect(folded).toMatchObject(expected);
    expect(folded.oldestReadyAgeSeconds).toBeGreaterThan(0);
    // The retry comes first.
    const inMs = Date.parse(folded.nextDueAt) - Date.now();
    expect(inMs).toBeGreaterThan(0);
    expect(inMs).toBeLessThan(61_000);

    await ask(door, 'mutation ($id: ID!) { pauseTrigger(input: {id: $id}) { userErrors { message } } }', {
      id: trigger.id,
    });
    expect(await queue({ project })).toMatchObject({ ...NONE, held: 4, running: 1, deadLetters: 1 });
    expect(await queue({ project }, { authorization: 'Bearer bound' })).toMatchObject(NONE);
  });

  test('what retention removes is counted no more', async () => {
    const project = 'gone';
    await createTrigger(door, { name: 'g', project, type: 'g' });
    const { id, invocations } = await queueEvent(door, { project, type: 'g' });
    await play(door.db, {
      invocationId: invocations[0] ?? '',
      number: 1,
      statusCode: 500,
      decision: GIVE_UP,
    });
    expect(await queue({ project })).toMatchObject({ ...NONE, deadLetters: 1 });
    await foldTallies(door.db);
    // As if it had been queued and finished long ago.
    const old = `00${id.slice(2)}`;
    await door.sql`update herald.events set id = ${old} where id = ${id}`;
    await door.sql`update herald.invocations set event_id = ${old}, finished_at = now() - interval '60 days' where event_id = ${id}`;
    await prune(door.db, 30);
    expect(await queue({ project })).toMatchObject(NONE);
  });

  test('shows workers to those who see all projects', async () => {
    await door.sql`insert into herald.workers (pool_id, name, running, concurrency) values ('p', 'host/1', 3, 300)`;
    expect((await queue()).workers).toEqual([{ id: 'host/1', running: 3, concurrency: 300 }]);
    expect((await queue({}, { authorization: 'Bearer bound' })).workers).toEqual([]);
  });
});
