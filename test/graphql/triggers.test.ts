import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, createTrigger, type Loose, queueEvent } from './ask.ts';
import { type Door, openDoor } from './door.ts';

let door: Door;
beforeAll(async () => {
  door = await openDoor();
});
afterAll(() => door.close());

const CREATE = `mutation ($input: CreateTriggerInput!) {
  createTrigger(input: $input) { trigger { id } signingSecret userErrors { field code message } }
}`;
const UPDATE = `mutation ($input: UpdateTriggerInput!) {
  updateTrigger(input: $input) {
    trigger { id name type url retries timeout retrySchedule description contentMode specVersion version status
      maxConcurrency maxPerMinute
      headers { name value } }
    userErrors { field code message }
  }
}`;

const countTriggers = async (): Promise<number> => {
  const rows = await door.sql`select count(*)::int as count from herald.triggers`;
  return rows[0]?.count;
};

describe('createTrigger', () => {
  test('stores what was asked, and the defaults of what was not', async () => {
    const { data } = await ask(
      door,
      `mutation { createTrigger(input: { name: "defaults", type: "order.paid", url: "HTTP://127.0.0.1:80/a b" }) {
        trigger { project name description maxConcurrency maxPerMinute type url retries timeout retrySchedule status statusReason contentMode
          specVersion headers { name value } version signingKeys { algorithm expiresAt } createdAt updatedAt
          statusChangedAt }
        signingSecret
        userErrors { code }
      } }`,
    );
    expect(data.createTrigger.userErrors).toEqual([]);
    expect(data.createTrigger.signingSecret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(data.createTrigger.trigger).toMatchObject({
      project: 'default',
      name: 'defaults',
      description: null,
      type: 'order.paid',
      url: 'http://127.0.0.1/a%20b',
      retries: 3,
      timeout: 5000,
      retrySchedule: null,
      maxConcurrency: null,
      maxPerMinute: null,
      status: 'ACTIVE',
      statusReason: null,
      contentMode: 'JSON',
      specVersion: 'V1_0_RC1',
      headers: [],
      version: 1,
      signingKeys: [{ algorithm: 'HMAC_SHA256', expiresAt: null }],
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    });
  });

  test('takes every setting, masks secret headers, keeps a secret of the caller', async () => {
    const signingSecret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    const { data } = await ask(
      door,
      `mutation ($input: CreateTriggerInput!) { createTrigger(input: $input) {
        trigger { project description maxConcurrency maxPerMinute retries timeout retrySchedule status statusReason contentMode specVersion
          headers { name value } }
        signingSecret
        userErrors { code }
      } }`,
      {
        input: {
          name: 'all',
          type: 't',
          url: 'https://127.0.0.1/x',
          project: 'shop',
          description: 'Ünïcode ✓',
          retries: 0,
          timeout: 100,
          retrySchedule: [0, 5, 604800],
          maxConcurrency: 10_000,
          maxPerMinute: 1,
          contentMode: 'BINARY',
          specVersion: 'V1_0',
          headers: [
            { name: 'X-Plain', value: 'seen' },
            { name: 'Authorization', value: 'Bearer s3cret', secret: true },
          ],
          signingSecret,
          paused: true,
        },
      },
    );
    expect(data.createTrigger).toEqual({
      trigger: {
        project: 'shop',
        description: 'Ünïcode ✓',
        retries: 0,
        timeout: 100,
        retrySchedule: [0, 5, 604800],
        maxConcurrency: 10_000,
        maxPerMinute: 1,
        status: 'PAUSED',
        statusReason: 'MANUAL',
        contentMode: 'BINARY',
        specVersion: 'V1_0',
        headers: [
          { name: 'x-plain', value: 'seen' },
          { name: 'authorization', value: '***' },
        ],
      },
      signingSecret,
      userErrors: [],
    });
    const rows = await door.sql`select headers from herald.triggers where name = 'all'`;
    expect(rows[0]?.headers).not.toContain('s3cret');
  });

  const good = { name: 'bad', type: 't', url: 'http://127.0.0.1/' };
  const header = (name: string, value: string) => ({ headers: [{ name, value }] });
  test.each<[string, Record<string, unknown>, string[], string]>([
    ['an empty name', { name: '' }, ['name'], 'REQUIRED'],
    ['a name with a space', { name: 'a b' }, ['name'], 'INVALID'],
    ['a name of 65 characters', { name: 'n'.repeat(65) }, ['name'], 'INVALID'],
    ['an empty type', { type: '' }, ['type'], 'REQUIRED'],
    ['a type of 256 characters', { type: 't'.repeat(256) }, ['type'], 'TOO_LARGE'],
    ['a type with a control character', { type: 'a\u0000b' }, ['type'], 'INVALID'],
    ['a project with a slash', { project: 'a/b' }, ['project'], 'INVALID'],
    ['a url that is none', { url: 'nonsense' }, ['url'], 'INVALID'],
    ['an empty url', { url: '' }, ['url'], 'INVALID'],
    ['ftp', { url: 'ftp://127.0.0.1/' }, ['url'], 'URL_SCHEME_NOT_ALLOWED'],
    ['a metadata address', { url: 'http://169.254.169.254/' }, ['url'], 'URL_ADDRESS_FORBIDDEN'],
    ['a url of 3000 characters', { url: `http://127.0.0.1/${'u'.repeat(3000)}` }, ['url'], 'TOO_LARGE'],
    ['negative retries', { retries: -1 }, ['retries'], 'INVALID'],
    ['51 retries', { retries: 51 }, ['retries'], 'INVALID'],
    ['a timeout of 99 ms', { timeout: 99 }, ['timeout'], 'INVALID'],
    ['a timeout of 120001 ms', { timeout: 120_001 }, ['timeout'], 'INVALID'],
    ['a concurrency of 0', { maxConcurrency: 0 }, ['maxConcurrency'], 'INVALID'],
    ['a concurrency of 10,001', { maxConcurrency: 10_001 }, ['maxConcurrency'], 'INVALID'],
    ['0 attempts a minute', { maxPerMinute: 0 }, ['maxPerMinute'], 'INVALID'],
    ['60,001 attempts a minute', { maxPerMinute: 60_001 }, ['maxPerMinute'], 'INVALID'],
    ['an empty schedule', { retrySchedule: [] }, ['retrySchedule'], 'INVALID'],
    ['a negative delay', { retrySchedule: [1, -1] }, ['retrySchedule', '1'], 'INVALID'],
    ['a reserved header', header('Host', 'x'), ['headers', '0', 'name'], 'HEADER_NOT_ALLOWED'],
    ['a header that is no token', header('a b', 'x'), ['headers', '0', 'name'], 'HEADER_NOT_ALLOWED'],
    [
      'a header with a line break',
      header('x-a', 'a\r\nb: c'),
      ['headers', '0', 'value'],
      'HEADER_NOT_ALLOWED',
    ],
    [
      '21 headers',
      { headers: Array.from({ length: 21 }, (_, i) => ({ name: `x-${i}`, value: '' })) },
      ['headers'],
      'TOO_LARGE',
    ],
    ['a description of 1025 characters', { description: 'd'.repeat(1025) }, ['description'], 'TOO_LARGE'],
    ['a description with U+0000', { description: 'a\u0000b' }, ['description'], 'INVALID'],
    ['a description with a lone surrogate', { description: '\ud800' }, ['description'], 'INVALID'],
    ['a short signing secret', { signingSecret: 'whsec_YWJj' }, ['signingSecret'], 'INVALID'],
    ['an empty signing secret', { signingSecret: '' }, ['signingSecret'], 'INVALID'],
  ])('refuses %s and stores nothing', async (_what, wrong, field, code) => {
    const before = await countTriggers();
    const { data, errors } = await ask(door, CREATE, { input: { ...good, ...wrong } });
    expect(errors).toBeUndefined();
    expect(data.createTrigger).toMatchObject({ trigger: null, signingSecret: null });
    expect(data.createTrigger.userErrors).toEqual([
      { field: ['input', ...field], code, message: expect.stringMatching(/./) },
    ]);
    expect(await countTriggers()).toBe(before);
  });

  test('reports everything that is wrong at once', async () => {
    const { data } = await ask(door, CREATE, { input: { name: '', type: '', url: 'x', retries: -1 } });
    const fields = data.createTrigger.userErrors.map(({ field }: Loose) => field[1]);
    expect(fields.sort()).toEqual(['name', 'retries', 'type', 'url']);
  });

  test('refuses a name that is taken, in the same project only', async () => {
    await createTrigger(door, { name: 'taken', type: 't' });
    const { data } = await ask(door, CREATE, { input: { ...good, name: 'taken' } });
    expect(data.createTrigger.userErrors).toMatchObject([{ field: ['input', 'name'], code: 'TAKEN' }]);
    await createTrigger(door, { name: 'taken', type: 't', project: 'elsewhere' });
  });
});

describe('updateTrigger', () => {
  test('sets and removes limits', async () => {
    const { id } = await createTrigger(door, { name: 'limited', type: 't' });
    const change = async (input: Record<string, unknown>) => {
      const { data } = await ask(door, UPDATE, { input: { id, ...input } });
      return data.updateTrigger;
    };
    const both = await change({ maxConcurrency: 2, maxPerMinute: 30 });
    expect(both.trigger).toMatchObject({ maxConcurrency: 2, maxPerMinute: 30 });
    const one = await change({ maxPerMinute: null });
    expect(one.trigger).toMatchObject({ maxConcurrency: 2, maxPerMinute: null });
    const none = await change({ maxConcurrency: -1 });
    expect(none.userErrors).toMatchObject([{ field: ['input', 'maxConcurrency'], code: 'INVALID' }]);
  });

  test('leaves absent fields alone, clears what null may clear, counts the version', async () => {
    const { id } = await createTrigger(door, {
      name: 'changing',
      type: 'before',
      description: 'text',
      retrySchedule: [1],
      headers: [{ name: 'x-key', value: 'v', secret: true }],
    });
    const change = async (input: Record<string, unknown>) => {
      const { data } = await ask(door, UPDATE, { input: { id, ...input } });
      expect(data.updateTrigger.userErrors).toEqual([]);
      return data.updateTrigger.trigger;
    };
    expect(await change({})).toMatchObject({
      type: 'before',
      description: 'text',
      retrySchedule: [1],
      version: 2,
    });
    expect(await change({ description: null, retrySchedule: null })).toMatchObject({
      description: null,
      retrySchedule: null,
    });
    expect(
      await change({
        name: 'changed',
        type: 'after',
        url: 'http://127.0.0.1/after',
        retries: 7,
        timeout: 700,
        contentMode: 'STRUCTURED',
        specVersion: 'V1_0',
        status: 'DISABLED',
        headers: [{ name: 'X-Key', value: '***', secret: true }],
        expectedVersion: 3,
      }),
    ).toMatchObject({
      name: 'changed',
      type: 'after',
      url: 'http://127.0.0.1/after',
      retries: 7,
      timeout: 700,
      contentMode: 'STRUCTURED',
      specVersion: 'V1_0',
      status: 'DISABLED',
      headers: [{ name: 'x-key', value: '***' }],
      version: 4,
    });
  });

  test.each(['name', 'type', 'url', 'retries', 'timeout', 'contentMode', 'specVersion', 'headers', 'status'])(
    'refuses null for %s',
    async (field) => {
      const { id } = await createTrigger(door, { name: `null-${field}`, type: 't' });
      const { data } = await ask(door, UPDATE, { input: { id, [field]: null } });
      expect(data.updateTrigger).toEqual({
        trigger: null,
        userErrors: [{ field: ['input', field], code: 'REQUIRED', message: expect.stringContaining(field) }],
      });
    },
  );

  test('refuses another version, an unknown id, an id that is none, and PAUSED', async () => {
    const { id } = await createTrigger(door, { name: 'guarded', type: 't' });
    const codes = async (input: Record<string, unknown>) => {
      const { data, errors } = await ask(door, UPDATE, { input: { id, ...input } });
      expect(errors).toBeUndefined();
      return data.updateTrigger.userErrors.map(({ field, code }: Loose) => [field[1], code]);
    };
    expect(await codes({ expectedVersion: 9 })).toEqual([['expectedVersion', 'VERSION_CONFLICT']]);
    expect(await codes({ id: crypto.randomUUID() })).toEqual([['id', 'NOT_FOUND']]);
    expect(await codes({ id: 'x' })).toEqual([['id', 'NOT_FOUND']]);
    expect(await codes({ id: 'a\u0000b' })).toEqual([['id', 'NOT_FOUND']]);
    expect(await codes({ status: 'PAUSED' })).toEqual([['status', 'INVALID']]);
    expect(await codes({ url: 'http://169.254.169.254/' })).toEqual([['url', 'URL_ADDRESS_FORBIDDEN']]);
  });
});

describe('pause, resume, delete', () => {
  test('hold invocations and let them go', async () => {
    const { id } = await createTrigger(door, { name: 'held', type: 'held.type' });
    const paused = await ask(
      door,
      `mutation ($id: ID!) { pauseTrigger(input: { id: $id }) { trigger { status statusReason } userErrors { code } } }`,
      { id },
    );
    expect(paused.data.pauseTrigger).toEqual({
      trigger: { status: 'PAUSED', statusReason: 'MANUAL' },
      userErrors: [],
    });
    const event = await queueEvent(door, { type: 'held.type' });
    const status = async () =>
      (
        await ask(
          door,
          '{ invocations(filter: { eventType: ["held.type"] }) { nodes { status nextAttemptAt } } }',
        )
      ).data.invocations.nodes;
    expect(await status()).toEqual([{ status: 'HELD', nextAttemptAt: null }]);
    const resume = `mutation ($id: ID!) {
      resumeTrigger(input: { id: $id }) {
        trigger { status statusReason invocations { nodes { id status } } }
        releasedCount
        userErrors { field code }
      }
    }`;
    expect((await ask(door, resume, { id })).data.resumeTrigger).toEqual({
      trigger: {
        status: 'ACTIVE',
        statusReason: null,
        invocations: { nodes: [{ id: event.invocations[0], status: 'QUEUED' }] },
      },
      releasedCount: 1,
      userErrors: [],
    });
    expect((await ask(door, resume, { id })).data.resumeTrigger).toEqual({
      trigger: null,
      releasedCount: 0,
      userErrors: [{ field: ['input', 'id'], code: 'WRONG_STATE' }],
    });
  });

  test('mutations of one operation see one another', async () => {
    const { id } = await createTrigger(door, { name: 'twice', type: 'twice.type' });
    await queueEvent(door, { type: 'twice.type' });
    const { data } = await ask(
      door,
      `mutation ($id: ID!) {
        a: pauseTrigger(input: { id: $id }) { trigger { invocations { nodes { status } } } }
        b: resumeTrigger(input: { id: $id }) { trigger { invocations { nodes { status } } } }
      }`,
      { id },
    );
    expect(data.a.trigger.invocations.nodes).toEqual([{ status: 'HELD' }]);
    expect(data.b.trigger.invocations.nodes).toEqual([{ status: 'QUEUED' }]);
  });

  test('deletion cancels what is unfinished and hides the trigger', async () => {
    const { id } = await createTrigger(door, { name: 'deleted', type: 'deleted.type' });
    const event = await queueEvent(door, { type: 'deleted.type' });
    const remove = `mutation ($input: DeleteTriggerInput!) {
      deleteTrigger(input: $input) { deletedTriggerId cancelledCount userErrors { field code } }
    }`;
    const conflict = await ask(door, remove, { input: { id, expectedVersion: 5 } });
    expect(conflict.data.deleteTrigger).toEqual({
      deletedTriggerId: null,
      cancelledCount: 0,
      userErrors: [{ field: ['input', 'expectedVersion'], code: 'VERSION_CONFLICT' }],
    });
    const done = await ask(door, remove, { input: { id } });
    expect(done.data.deleteTrigger).toEqual({ deletedTriggerId: id, cancelledCount: 1, userErrors: [] });
    const after = await ask(
      door,
      `query ($id: ID!, $event: ID!) {
        trigger(id: $id) { id }
        triggerByName(name: "deleted") { id }
        triggers(filter: { search: "deleted" }) { nodes { id } }
        event(id: $event) { status invocations { nodes { status trigger { id } triggerName } } }
      }`,
      { id, event: event.id },
    );
    expect(after.data).toEqual({
      trigger: null,
      triggerByName: null,
      triggers: { nodes: [] },
      event: {
        status: 'CANCELLED',
        invocations: { nodes: [{ status: 'CANCELLED', trigger: null, triggerName: 'deleted' }] },
      },
    });
    const again = await ask(door, remove, { input: { id } });
    expect(again.data.deleteTrigger.userErrors).toEqual([{ field: ['input', 'id'], code: 'NOT_FOUND' }]);
  });

  test('deletion with FINISH leaves invocations to be delivered', async () => {
    const { id } = await createTrigger(door, { name: 'finishing', type: 'finish.type' });
    const event = await queueEvent(door, { type: 'finish.type' });
    const { data } = await ask(
      door,
      `mutation ($id: ID!) { deleteTrigger(input: { id: $id, pending: FINISH }) { cancelledCount } }`,
      { id },
    );
    expect(data.deleteTrigger.cancelledCount).toBe(0);
    const after = await ask(door, 'query ($id: ID!) { event(id: $id) { status } }', { id: event.id });
    expect(after.data.event.status).toBe('IN_PROGRESS');
  });
});
