/**
 * One project never sees another's rows: every query, mutation, subscription and REST route is asked with a key that
 * may do everything, in another project. What it hears must be what it would hear if the victim did not exist.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { QUEUE_PATHS } from '../../src/http/queue.ts';
import { createTrigger, queueEvent, startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { ask, createKey, type Key, type Loose, subscribe } from './callers.ts';
import { type Operation, operationsOf, type Victim } from './operations.ts';

const PROJECT = 'victim-project';
const MARKS = {
  project: PROJECT,
  triggerName: 'victim-trigger',
  type: 'victim.type',
  idempotencyKey: 'victim-key',
};
/** What exists nowhere, of the same form. */
const NOBODY = {
  project: 'nobody-project',
  triggerName: 'nobody-trigger',
  type: 'nobody.type',
  idempotencyKey: 'nobody-key',
};

let app: TestApp;
let sql: ReturnType<typeof openSql>;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
let foreign: Key;
let victim: Victim;
let nobody: Victim;

beforeAll(async () => {
  app = await startTestApp({ env: { LOGIN_FAILURES_PER_MINUTE: '0' } });
  sql = openSql(app.database);
  receiver = await startReceiver();
  foreign = await createKey(app, { name: 'foreign', projects: ['mine'] });
  await createTrigger(app, { project: 'mine', name: 'mine-trigger', type: 'mine.type', url: receiver.url });
  // That a key is used is noted soon after, and once a minute: not between two answers that are to be the same.
  await ask(app.url, foreign.secret, '{ viewer { name } }');
  await until(async () => {
    const [row] = await sql`select last_used_at from herald.api_keys where id = ${foreign.id}`;
    return row?.last_used_at;
  }, 'the use of the key to be noted');
  victim = { ...MARKS, ids: await makeVictim() };
  // As many ids, none of which exists.
  nobody = {
    ...NOBODY,
    ids: victim.ids.map((_, n) => `0190ffff-ffff-7fff-8fff-${String(n).padStart(12, '0')}`),
  };
});
afterAll(async () => {
  await receiver[Symbol.asyncDispose]();
  await sql.end();
  await app[Symbol.asyncDispose]();
});

/** A trigger, a delivered event, a scheduled one, a key: ids of all, and of what they brought about. */
async function makeVictim(): Promise<readonly string[]> {
  const { project, triggerName: name, type, idempotencyKey } = MARKS;
  const trigger = await createTrigger(app, { project, name, type, url: receiver.url });
  const delivered = await queueEvent(app, { project, type, idempotencyKey, data: { secret: 'victim-data' } });
  await queueEvent(app, { project, type, delay: 3600 });
  const key = await createKey(app, { name: 'victim-api-key', projects: [project] });
  await until(async () => {
    const [row] = await sql`select count(*)::int as count from herald.attempts a
      join herald.invocations i on i.id = a.invocation_id where i.event_id = ${delivered.id}`;
    return row?.count === 1;
  }, 'the delivery to be recorded');
  await sql`
    insert into herald.bulk_operations (id, kind, filter, projects, status, finished_at)
    values (herald.uuid_v7(), 'CANCEL_EVENTS', '{}', ${[project]}, 'COMPLETED', now())`;
  const rows = await sql`
    select id::text from herald.events where project = ${project}
    union all select id::text from herald.bulk_operations where ${project} = any(projects)
    union all select i.id::text from herald.invocations i join herald.events e on e.id = i.event_id where e.project = ${project}
    union all select a.id::text from herald.attempts a join herald.invocations i on i.id = a.invocation_id
      join herald.events e on e.id = i.event_id where e.project = ${project}
    union all select id::text from herald.audit_log where project = ${project}
    union all select k.id::text from herald.signing_keys k join herald.triggers t on t.id = k.trigger_id where t.project = ${project}`;
  return [trigger.id, key.id, ...rows.map(({ id }) => id as string)];
}

/** Everything of the victim's that is stored, as text: nothing may change it. */
async function victimState(): Promise<string> {
  const rows = await sql`
    select t::text from herald.triggers t where project = ${PROJECT}
    union all select e::text from herald.events e where project = ${PROJECT}
    union all select i::text from herald.invocations i join herald.events e on e.id = i.event_id where e.project = ${PROJECT}
    union all select (k.id, k.revoked_at)::text from herald.api_keys k where ${PROJECT} = any(k.projects)
    order by 1`;
  return JSON.stringify(rows);
}

/** The answer with the names of `whose` taken out, so that two can be compared. */
function without(whose: Victim, answer: unknown): string {
  const names = [whose.project, whose.triggerName, whose.type, whose.idempotencyKey];
  let text = JSON.stringify(answer);
  for (const [index, name] of [...names, ...whose.ids].entries()) text = text.replaceAll(name, `<${index}>`);
  // Times and ids of what the call itself made, and the place in a log that goes on.
  return text
    .replace(/"changeCursor":"[^"]+"/g, '')
    .replace(/("__typename":"BulkOperation","id":)"[^"]+"/g, '$1"<id>"')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replace(/"requestId":"[^"]+"/g, '');
}

function leaks(text: string): readonly string[] {
  return ['victim-data', 'victim-api-key', ...victim.ids].filter((mark) => text.includes(mark));
}

async function answerTo({ query, variables }: Operation): Promise<Loose> {
  const { status, body } = await ask(app.url, foreign.secret, query, variables);
  return { status, body };
}

describe('over GraphQL', () => {
  test('the walk asks well-formed questions of every root field', async () => {
    const asked = operationsOf(victim);
    const { __schema } = await app.graphql<Loose>(
      '{ __schema { queryType { fields { name } } mutationType { fields { name } } subscriptionType { fields { name } } } }',
    );
    const fields = [__schema.queryType, __schema.mutationType, __schema.subscriptionType].flatMap((type) =>
      type.fields.map(({ name }: Loose) => name),
    );
    expect(new Set(asked.map(({ name }) => name))).toEqual(new Set(fields));
    for (const operation of asked.filter(({ kind }) => kind === 'query')) {
      const { body } = await ask(app.url, TOKEN, operation.query, operation.variables);
      const codes = (body.errors ?? []).map((error: Loose) => error.extensions.code);
      expect(codes, `${operation.query}\n${JSON.stringify(body.errors)}`).toEqual([]);
    }
  });

  test('asked by its owner, the same walk finds the victim: it can tell', async () => {
    const found = new Set<string>();
    for (const operation of operationsOf(victim).filter(({ kind }) => kind === 'query')) {
      const { body } = await ask(app.url, TOKEN, operation.query, operation.variables);
      if (leaks(JSON.stringify(body.data ?? null)).length > 0) found.add(operation.name);
    }
    for (const name of [
      'trigger',
      'triggerByName',
      'triggers',
      'event',
      'events',
      'invocation',
      'invocations',
      'apiKeys',
      'auditLog',
    ]) {
      expect(found, name).toContain(name);
    }
  });

  test('every query and mutation answers a stranger as if the victim did not exist', async () => {
    const before = await victimState();
    const theirs = operationsOf(victim).filter(({ kind }) => kind !== 'subscription');
    const nobodys = operationsOf(nobody).filter(({ kind }) => kind !== 'subscription');
    expect(nobodys.map(({ name }) => name)).toEqual(theirs.map(({ name }) => name));
    for (const [index, operation] of theirs.entries()) {
      const heard = await answerTo(operation);
      const twin = nobodys[index];
      const where = `${operation.query}\n${JSON.stringify(operation.variables)}`;
      const asked = JSON.stringify(operation.variables);
      const told = leaks(JSON.stringify(heard)).filter((mark) => !asked.includes(mark));
      expect(told, where).toEqual([]);
      // A question that is malformed would prove nothing.
      const codes = (heard.body.errors ?? []).map((error: Loose) => error.extensions.code);
      expect(codes, where).toEqual([]);
      // What the call names it may be told back; what it is told must not depend on whether it exists.
      const heardOfNobody = twin && (await answerTo(twin));
      expect(without(victim, heard), where).toBe(without(nobody, heardOfNobody));
    }
    expect(await victimState()).toBe(before);
  });

  test.each(['SSE', 'WebSocket'] as const)(
    'every subscription over %s says nothing of the victim',
    async (transport) => {
      const theirs = operationsOf(victim).filter(({ kind }) => kind === 'subscription');
      const watchings = theirs.map(({ query, variables }) =>
        subscribe(transport, app.url, foreign.secret, query, variables),
      );
      // And one that asks for everything it may have, to know when all have heard.
      const sentinel = subscribe(
        transport,
        app.url,
        foreign.secret,
        'subscription { invocationUpdated(snapshot: false) { kind invocation { event { project type } } } }',
      );
      await until(async () => {
        await queueEvent(app, { project: PROJECT, type: MARKS.type, data: 'victim-data' });
        await queueEvent(app, { project: 'mine', type: 'mine.type' });
        return sentinel.items.length > 0;
      }, 'the sentinel to hear of its own project');
      const heard = JSON.stringify([sentinel.items, ...watchings.map(({ items, over }) => [items, over()])]);
      expect(heard).toContain('mine.type');
      const asked = JSON.stringify(theirs.map(({ variables }) => variables));
      expect(leaks(heard).filter((mark) => !asked.includes(mark))).toEqual([]);
      expect(heard).not.toContain('victim-data');
      for (const { stop } of [...watchings, sentinel]) stop();
    },
  );
});

describe('over REST', () => {
  const post = async (path: string, project: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`${app.url}${path.replace('{project}', project)}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${foreign.secret}`, ...headers },
      body: JSON.stringify({ type: MARKS.type, events: [{ type: MARKS.type }] }),
    });
    return { status: response.status, body: (await response.text()).replaceAll(project, '<project>') };
  };

  test.each(QUEUE_PATHS)('%s is 403 for a stranger, whether the project exists or not', async (path) => {
    const before = await victimState();
    const [theirs, nobodys] = [await post(path, PROJECT), await post(path, 'nobody-project')];
    expect(theirs.status).toBe(403);
    expect(theirs).toEqual(nobodys);
    // The idempotency key of somebody else says nothing either.
    expect(await post(path, PROJECT, { 'idempotency-key': MARKS.idempotencyKey })).toEqual(theirs);
    expect(await victimState()).toBe(before);
    if (path.includes('{project}')) expect((await post(path, 'mine')).status).toBe(200);
  });
});
