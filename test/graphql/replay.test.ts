/** Past events queued anew: for whom, which ones, how fast; and how such work is found and stopped. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Caller, Scope } from '../../src/domain/caller.ts';
import { doChunk } from '../../src/store/bulk-work.ts';
import { until } from '../support/until.ts';
import { ask, createTrigger, type Loose, queueEvent } from './ask.ts';
import { type BulkCalls, bulkCalls, OPERATION } from './bulk-calls.ts';
import { type Door, openDoor } from './door.ts';

const callerWith = (id: string, projects: readonly string[] | null, scopes: readonly Scope[]): Caller => ({
  ...{ id, name: id, scopes, projects },
  watch: () => () => {},
});
const as = (token: string) => ({ authorization: `Bearer ${token}` });

let door: Door;
let calls: BulkCalls;
beforeAll(async () => {
  door = await openDoor({
    callers: {
      shop: callerWith('key:shop', ['shop'], ['EVENTS_READ', 'EVENTS_RETRY']),
      nobody: callerWith('jwt:nobody', [], ['EVENTS_READ', 'EVENTS_RETRY']),
      writer: callerWith('key:writer', null, ['EVENTS_WRITE']),
      reader: callerWith('key:reader', null, ['EVENTS_READ']),
    },
  });
  calls = bulkCalls(door);
});
afterAll(() => door[Symbol.asyncDispose]());

const newType = (): string => `replay.${crypto.randomUUID()}`;
const newTrigger = (type: string, name: string, more: object = {}): Promise<Loose> =>
  createTrigger(door, { name: `${name}-${type.slice(7, 15)}`, type, ...more });

/** Copies of events of the type, in the order of what they repeat; each with its invocations and their jobs. */
const copiesOf = (type: string) =>
  door.sql<Loose[]>`
    select
        e.id, e.replay_of, e.data, e.source, e.project, e.origin, e.traceparent, e.due_at, e.received_at,
        array_agg(t.name || ' ' || (j.id is not null)::text order by t.name) filter (where i.id is not null) as fired
      from herald.events e
      left join herald.invocations i on i.event_id = e.id
      left join herald.triggers t on t.id = i.trigger_id
      left join graphile_worker._private_jobs j on j.key = i.id::text
      where e.type = ${type} and e.replay_of is not null
      group by e.id
      order by e.replay_of, e.id`;

const filterOf = (type: string) => ({ filter: { type: [type] } });

describe('replayEvents', () => {
  test('queues copies for the triggers that match now, also of what nobody took then', async () => {
    const type = newType();
    const data = '{"n": 1.10, "n": 12345678901234567890}';
    const traceparent = '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01';
    const first = await queueEvent(door, { type, dataText: data, source: 'urn:shop', traceparent });
    const trigger = await newTrigger(type, 'late');
    const second = await queueEvent(door, { type, delay: 3600 });
    const before = await door.sql`select e::text from herald.events e where type = ${type} order by id`;
    const { bulkOperation, userErrors } = await calls.begin('replayEvents', filterOf(type));
    expect(userErrors).toEqual([]);
    expect(await calls.completed(bulkOperation.id)).toMatchObject({
      ...{ kind: 'REPLAY_EVENTS', status: 'COMPLETED', matched: 2, processed: 2, skipped: 0 },
      filter: { type: [type] },
    });
    const copies = await copiesOf(type);
    expect(copies.map(({ replay_of: of }) => of)).toEqual([first.id, second.id]);
    const common = { project: 'default', origin: 'REPLAY', fired: [`${trigger.name} true`] };
    expect(copies[0]).toMatchObject({ ...common, data, source: 'urn:shop', traceparent });
    expect(copies[1]).toMatchObject(common);
    // Now, not when the original is due.
    for (const { due_at: due, received_at: received } of copies) expect(due - received).toBeLessThan(1000);
    expect(
      await door.sql`
        select e::text from herald.events e where type = ${type} and replay_of is null order by id`,
    ).toEqual(before);
    const { data: answer } = await ask(
      door,
      'query ($id: ID!) { event(id: $id) { origin replayOf { id } invocations { nodes { status } } } }',
      { id: copies[0]?.id },
    );
    expect(answer.event).toMatchObject({ origin: 'REPLAY', replayOf: { id: first.id } });
  });

  test('for some triggers only, by event id', async () => {
    const type = newType();
    const wanted = await newTrigger(type, 'wanted', { paused: true });
    await newTrigger(type, 'other');
    const { id } = await queueEvent(door, { type });
    await queueEvent(door, { type });
    const { bulkOperation } = await calls.begin('replayEvents', {
      filter: { id: [id] },
      triggerIds: [wanted.id],
    });
    expect(await calls.completed(bulkOperation.id)).toMatchObject({
      ...{ matched: 1, processed: 1, filter: { id: [id], triggerIds: [wanted.id] } },
    });
    expect(await copiesOf(type)).toMatchObject([{ replay_of: id, fired: [`${wanted.name} true`] }]);
    // Whatever else this connection queues is for everybody again.
    const later = await queueEvent(door, { type });
    expect(later.invocations).toHaveLength(2);
  });

  test('skips what no trigger takes now, and what is no longer known', async () => {
    const [nobody, disabled, forgotten] = [newType(), newType(), newType()];
    await queueEvent(door, { type: nobody });
    await queueEvent(door, { type: disabled });
    const { id } = await newTrigger(disabled, 'disabled');
    await ask(
      door,
      'mutation ($id: ID!) { updateTrigger(input: {id: $id, status: DISABLED}) { trigger { id } } }',
      {
        id,
      },
    );
    await newTrigger(forgotten, 'forgotten');
    await queueEvent(door, { type: forgotten });
    await door.sql`update herald.events set data = null where type = ${forgotten}`;
    const { bulkOperation } = await calls.begin('replayEvents', {
      filter: { type: [nobody, disabled, forgotten] },
    });
    expect(await calls.completed(bulkOperation.id)).toMatchObject({ matched: 3, processed: 0, skipped: 3 });
    for (const type of [nobody, disabled, forgotten]) expect(await copiesOf(type)).toEqual([]);
  });

  test('spreads them evenly, never copies its own copies, and does nothing twice, whoever works on it', async () => {
    const type = newType();
    await newTrigger(type, 'paced');
    for (let n = 0; n < 30; n++) await queueEvent(door, { type });
    const { bulkOperation } = await calls.begin('replayEvents', { ...filterOf(type), maxPerMinute: 1200 });
    // Others at the same time: only who has its row does a chunk.
    await until(async () => {
      await Promise.all(
        [0, 1, 2].map(() => doChunk(door.db, bulkOperation.id, { size: 20, reach: 100_000, perRowMs: 50 })),
      );
      return (await calls.operation(bulkOperation.id)).status === 'COMPLETED';
    }, 'the operation to end');
    expect(await calls.operation(bulkOperation.id)).toMatchObject({ matched: 30, processed: 30, skipped: 0 });
    const copies = await copiesOf(type);
    expect(new Set(copies.map(({ replay_of: of }) => of)).size).toBe(30);
    expect(copies).toHaveLength(30);
    const times = copies.map(({ due_at: due }) => due.getTime());
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(Math.min(...gaps.slice(0, 19))).toBeGreaterThanOrEqual(49);
  });

  test('copies no more at once than a statement should hold', async () => {
    const type = newType();
    await newTrigger(type, 'large');
    const dataText = JSON.stringify('x'.repeat(262_100));
    for (let n = 0; n < 20; n++) await queueEvent(door, { type, dataText });
    const filter = JSON.stringify({ type: [type], triggerIds: null });
    const [row] = await door.sql`
      insert into herald.bulk_operations (id, kind, filter)
      values (herald.uuid_v7(), 'REPLAY_EVENTS', ${filter}) returning id`;
    const chunk = async () =>
      (await doChunk(door.db, row?.id, { size: 1000, reach: 20_000, perRowMs: 0 })).end;
    expect(await chunk()).toBe('MORE');
    const { processed } = await calls.operation(row?.id);
    expect(processed).toBeLessThan(20);
    expect(await chunk()).toBe('DONE');
    expect(await calls.operation(row?.id)).toMatchObject({ processed: 20, skipped: 0 });
    expect(new Set((await copiesOf(type)).map(({ replay_of: of }) => of)).size).toBe(20);
  });

  test('looks through so many rows at once, whatever it finds among them', async () => {
    const [type, rare] = [newType(), newType()];
    await newTrigger(rare, 'rare');
    await queueEvent(door, { type: rare });
    for (let n = 0; n < 6; n++) await queueEvent(door, { type });
    await queueEvent(door, { type: rare });
    // With one type alone it would look through those alone.
    const filter = JSON.stringify({ type: [rare, 'none'], triggerIds: null });
    const [row] = await door.sql`
      insert into herald.bulk_operations (id, kind, filter)
      values (herald.uuid_v7(), 'REPLAY_EVENTS', ${filter}) returning id`;
    const came: Loose[] = [];
    do came.push(await doChunk(door.db, row?.id, { size: 100, reach: 3, perRowMs: 0 }));
    while ((await calls.operation(row?.id)).status === 'RUNNING');
    expect(came.length).toBeGreaterThanOrEqual(3);
    expect(came.reduce((sum, { done }) => sum + done, 0)).toBe(2);
    expect(await copiesOf(rare)).toHaveLength(2);
  });

  test('an event that would not be taken any more is skipped, and the others are replayed', async () => {
    const type = newType();
    await newTrigger(type, 'stale');
    const queued: Loose[] = [];
    for (let n = 0; n < 5; n++) queued.push(await queueEvent(door, { type }));
    await door.sql`update herald.events set source = 'not a uri' where id = ${queued[2]?.id ?? ''}`;
    const { bulkOperation } = await calls.begin('replayEvents', filterOf(type));
    expect(await calls.completed(bulkOperation.id)).toMatchObject({
      ...{ status: 'COMPLETED', matched: 5, processed: 4, skipped: 1 },
      errorMessage: expect.stringMatching(new RegExp(`${queued[2]?.id} was refused: 22023 .*source`)),
    });
    expect((await copiesOf(type)).map(({ replay_of: of }) => of)).toEqual(
      [0, 1, 3, 4].map((n) => queued[n]?.id),
    );
  });

  test('asked again, it copies no copies, unless they are named', async () => {
    const type = newType();
    await newTrigger(type, 'again');
    await queueEvent(door, { type });
    const replay = async (filter: object) => {
      const { bulkOperation } = await calls.begin('replayEvents', { filter });
      return (await calls.completed(bulkOperation.id)).processed;
    };
    expect([await replay({ type: [type] }), await replay({ type: [type] })]).toEqual([1, 1]);
    const [copy] = await copiesOf(type);
    expect(await replay({ id: [copy?.id] })).toBe(1);
    expect((await copiesOf(type)).map(({ replay_of: of }) => of)).toContain(copy?.id);
  });

  test('refuses what cannot be meant', async () => {
    const type = newType();
    const { id } = await newTrigger(type, 'known');
    const nobody = '0190ffff-ffff-7fff-8fff-ffffffffffff';
    const refusals = [
      [{ filter: {} }, ['input', 'filter'], 'REQUIRED'],
      [{ filter: { receivedAt: { from: null } }, triggerIds: [id] }, ['input', 'filter'], 'REQUIRED'],
      [{ ...filterOf(type), maxPerMinute: 600_001 }, ['input', 'maxPerMinute'], 'INVALID'],
      [{ filter: { type: ['x'.repeat(70_000)] } }, ['input', 'filter'], 'TOO_LARGE'],
      [{ ...filterOf(type), triggerIds: [] }, ['input', 'triggerIds'], 'REQUIRED'],
      [{ ...filterOf(type), triggerIds: Array(101).fill(id) }, ['input', 'triggerIds'], 'TOO_LARGE'],
      [{ ...filterOf(type), triggerIds: [id, nobody] }, ['input', 'triggerIds', '1'], 'NOT_FOUND'],
      [{ ...filterOf('other'), triggerIds: [id] }, ['input', 'triggerIds'], 'INVALID'],
      [{ filter: { id: [id, 'nonsense'] } }, ['input', 'filter', 'id', '1'], 'INVALID'],
      [{ filter: { id: [] } }, ['input', 'filter'], 'REQUIRED'],
      [{ ...filterOf(type), triggerIds: ['x'] }, ['input', 'triggerIds', '0'], 'NOT_FOUND'],
    ] as const;
    for (const [input, field, code] of refusals) {
      const { bulkOperation, userErrors } = await calls.begin('replayEvents', input);
      expect({ bulkOperation, userErrors }).toMatchObject({
        bulkOperation: null,
        userErrors: [{ field, code }],
      });
    }
  });

  test('a caller of one project replays that one only, to triggers it may see', async () => {
    const type = newType();
    const { id } = await newTrigger(type, 'mine', { project: 'shop' });
    const { id: other } = await newTrigger(type, 'other');
    const mine = await queueEvent(door, { type, project: 'shop' });
    await queueEvent(door, { type });
    const hidden = await calls.begin('replayEvents', { ...filterOf(type), triggerIds: [other] }, as('shop'));
    expect(hidden.userErrors).toMatchObject([{ field: ['input', 'triggerIds', '0'], code: 'NOT_FOUND' }]);
    const { bulkOperation } = await calls.begin(
      'replayEvents',
      { ...filterOf(type), triggerIds: [id] },
      as('shop'),
    );
    expect(await calls.completed(bulkOperation.id)).toMatchObject({ matched: 1, processed: 1 });
    expect(await copiesOf(type)).toMatchObject([{ replay_of: mine.id, project: 'shop' }]);
  });
});

describe('work that goes on', () => {
  /** One that takes minutes. */
  async function beginSlow(): Promise<string> {
    const type = newType();
    await newTrigger(type, 'slow');
    for (let n = 0; n < 3; n++) await queueEvent(door, { type });
    const { bulkOperation } = await calls.begin('replayEvents', { ...filterOf(type), maxPerMinute: 1 });
    await until(async () => (await calls.operation(bulkOperation.id)).processed === 1, 'the first one');
    return bulkOperation.id;
  }

  test('is stopped where it is; asked again, the answer is the same', async () => {
    const id = await beginSlow();
    for (let n = 0; n < 2; n++) {
      expect(await calls.begin('cancelBulkOperation', { id })).toMatchObject({
        bulkOperation: { id, status: 'CANCELLED', processed: 1, finishedAt: expect.any(String) },
        userErrors: [],
      });
    }
    await door.sql`update herald.bulk_operations set next_at = now() where id = ${id}`;
    expect((await doChunk(door.db, id, { size: 1, reach: 9, perRowMs: 0 })).end).toBe('NOT_OURS');
    const { data } = await ask(
      door,
      'query ($id: ID!) { auditLog(filter: {subjectId: $id}) { nodes { action subjectName } } }',
      { id },
    );
    expect(data.auditLog.nodes).toEqual([
      { action: 'BULK_OPERATION_CANCELLED', subjectName: 'REPLAY_EVENTS' },
      { action: 'BULK_OPERATION_STARTED', subjectName: 'REPLAY_EVENTS' },
    ]);
  });

  test('that has ended cannot be stopped, nor what is not there', async () => {
    const { bulkOperation } = await calls.begin('cancelEvents', { filter: { type: ['none'] } });
    const { id } = await calls.completed(bulkOperation.id);
    expect((await calls.begin('cancelBulkOperation', { id })).userErrors).toMatchObject([
      { field: ['input', 'id'], code: 'WRONG_STATE', message: expect.stringContaining('COMPLETED') },
    ]);
    for (const unknown of ['nonsense', '0190ffff-ffff-7fff-8fff-ffffffffffff']) {
      expect((await calls.begin('cancelBulkOperation', { id: unknown })).userErrors).toMatchObject([
        { field: ['input', 'id'], code: 'NOT_FOUND' },
      ]);
    }
  });

  test('is stopped by who may start it', async () => {
    const id = await beginSlow();
    await expect(calls.begin('cancelBulkOperation', { id }, as('reader'))).rejects.toThrow(/EVENTS_RETRY/);
    expect((await calls.begin('cancelBulkOperation', { id }, as('shop'))).userErrors).toMatchObject([
      { code: 'NOT_FOUND' },
    ]);
    expect(await calls.operation(id)).toMatchObject({ status: 'RUNNING' });
    expect((await calls.begin('cancelBulkOperation', { id })).userErrors).toEqual([]);
    // Another kind needs another scope.
    const [row] = await door.sql`
      insert into herald.bulk_operations (id, kind, filter, projects, next_at)
      values (herald.uuid_v7(), 'CANCEL_EVENTS', '{}', '{shop}', 'infinity') returning id`;
    await expect(calls.begin('cancelBulkOperation', { id: row?.id }, as('shop'))).rejects.toThrow(
      /EVENTS_WRITE/,
    );
    expect((await calls.begin('cancelBulkOperation', { id: row?.id }, as('writer'))).userErrors).toEqual([]);
  });

  test('of somebody who sees no project is seen by none of those who see some', async () => {
    const { bulkOperation } = await calls.begin('replayEvents', { filter: { type: ['none'] } }, as('nobody'));
    expect(await calls.operation(bulkOperation.id, as('shop'))).toBeNull();
    expect(await calls.operation(bulkOperation.id)).toMatchObject({ id: bulkOperation.id });
    const { data } = await ask(door, '{ bulkOperations { nodes { id } } }', {}, as('shop'));
    expect(JSON.stringify(data)).not.toContain(bulkOperation.id);
  });

  test('is listed, newest first, for those who may see it', async () => {
    const [theirs, all] = [
      await calls.begin('replayEvents', { filter: { type: ['none'] } }, as('shop')),
      await calls.begin('replayEvents', { filter: { type: ['none'] }, maxPerMinute: 7 }),
    ].map(({ bulkOperation }) => bulkOperation.id);
    const list = async (filter: object, headers: Record<string, string> = {}): Promise<Loose> => {
      const { data } = await ask(
        door,
        `query ($filter: BulkOperationFilter) {
          bulkOperations(filter: $filter, first: 2) { nodes { ${OPERATION} } totalCount { value } }
        }`,
        { filter },
        headers,
      );
      return data.bulkOperations;
    };
    await calls.completed(theirs);
    await calls.completed(all);
    expect((await list({})).nodes).toMatchObject([
      { id: all, maxPerMinute: 7, filter: { type: ['none'] } },
      { id: theirs, maxPerMinute: null },
    ]);
    const shops = await list({ kind: ['REPLAY_EVENTS'] }, as('shop'));
    expect(shops.nodes[0]).toMatchObject({ id: theirs });
    expect(shops.nodes.map(({ id }: Loose) => id)).not.toContain(all);
    expect(await list({ status: ['FAILED'] })).toEqual({ nodes: [], totalCount: { value: 0 } });
  });
});
