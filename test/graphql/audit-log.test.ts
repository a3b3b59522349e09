import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, createTrigger, type Loose } from './ask.ts';
import { type Door, openDoor } from './door.ts';

let door: Door;
beforeAll(async () => {
  const bound = { scopes: ['ADMIN'] as const, projects: ['shop'], watch: () => () => {} };
  door = await openDoor({
    callers: {
      ann: {
        id: 'jwt:ann',
        name: 'Ann',
        scopes: ['TRIGGERS_WRITE', 'TRIGGERS_READ'],
        projects: null,
        watch: () => () => {},
      },
      shop: { id: 'key:1', name: 'shop', ...bound },
    },
  });
});
afterAll(() => door.close());

const as = (token: string) => ({ authorization: `Bearer ${token}` });
const LOG = `query ($filter: AuditFilter, $first: Int, $after: String) {
  auditLog(filter: $filter, first: $first, after: $after) {
    nodes { action actor { id name } project subjectId subjectName changes at }
    totalCount { value } pageInfo { endCursor hasNextPage }
  } }`;

const log = async (filter: Loose = {}, token?: string) =>
  (await ask(door, LOG, { filter }, token === undefined ? {} : as(token))).data.auditLog.nodes;

test('every change of a trigger says who made it and what it touched, never a value', async () => {
  const { id } = await createTrigger(door, {
    name: 'audited',
    type: 'a',
    url: 'http://127.0.0.1:9/?secret=hunter2',
  });
  const change = (mutation: string) => ask(door, mutation, { id }, as('ann'));
  await change(
    'mutation ($id: ID!) { updateTrigger(input: {id: $id, retries: 7, url: "http://127.0.0.1:9/?secret=hunter3"}) { userErrors { code } } }',
  );
  await change('mutation ($id: ID!) { pauseTrigger(input: {id: $id}) { userErrors { code } } }');
  await change('mutation ($id: ID!) { pauseTrigger(input: {id: $id}) { userErrors { code } } }'); // changes nothing
  await change('mutation ($id: ID!) { resumeTrigger(input: {id: $id}) { userErrors { code } } }');
  await change(
    'mutation ($id: ID!) { updateTrigger(input: {id: $id, url: "ftp://x"}) { userErrors { code } } }',
  ); // refused
  await change('mutation ($id: ID!) { deleteTrigger(input: {id: $id}) { userErrors { code } } }');
  const entries = await log({ subjectId: id });
  const by = (who: string, action: string, changes: string[] = []) => ({
    action,
    actor: who === 'admin' ? { id: 'admin', name: 'admin' } : { id: 'jwt:ann', name: 'Ann' },
    project: 'default',
    subjectId: id,
    subjectName: 'audited',
    changes: expect.toSatisfy((given: string[]) => [...given].sort().join() === changes.sort().join()),
    at: expect.stringMatching(/Z$/),
  });
  expect(entries).toEqual([
    by('ann', 'TRIGGER_DELETED'),
    by('ann', 'TRIGGER_RESUMED'),
    by('ann', 'TRIGGER_PAUSED'),
    by('ann', 'TRIGGER_UPDATED', ['retries', 'url']),
    by('admin', 'TRIGGER_CREATED'),
  ]);
  const rows = await door.sql`select a::text from herald.audit_log a`;
  expect(JSON.stringify(rows)).not.toMatch(/hunter/);
});

test('a change that is not written down does not happen, nor the other way round', async () => {
  const { id } = await createTrigger(door, { name: 'together', type: 'a' });
  await door.sql`alter table herald.audit_log rename to elsewhere`;
  const { errors } = await ask(
    door,
    'mutation ($id: ID!) { pauseTrigger(input: {id: $id}) { userErrors { code } } createApiKey(input: {name: "k", scopes: [ADMIN]}) { secret } }',
    { id },
  );
  expect(errors?.length).toBeGreaterThan(0);
  await door.sql`alter table herald.elsewhere rename to audit_log`;
  const { data } = await ask(door, 'query ($id: ID!) { trigger(id: $id) { status } apiKeys { id } }', { id });
  expect(data).toEqual({ trigger: { status: 'ACTIVE' }, apiKeys: [] });
});

test('keys are in it; a key bound to a project sees that project alone; others need ADMIN', async () => {
  const { data } = await ask(
    door,
    'mutation { createApiKey(input: {name: "till", scopes: [EVENTS_WRITE], projects: ["shop"]}) { apiKey { id } secret } }',
  );
  const { apiKey, secret } = data.createApiKey;
  await ask(
    door,
    'mutation ($id: ID!) { revokeApiKey(input: {id: $id}) { userErrors { code } } }',
    { id: apiKey.id },
    as('shop'),
  );
  await createTrigger(door, { name: 'in-shop', type: 'a', project: 'shop' });
  const actions = (entries: Loose[]) => entries.map(({ action, subjectName }) => `${action} ${subjectName}`);
  expect(actions(await log({}, 'shop'))).toEqual([
    'TRIGGER_CREATED in-shop',
    'API_KEY_REVOKED till',
    'API_KEY_CREATED till',
  ]);
  expect(JSON.stringify(await log())).not.toContain(secret);
  expect(actions(await log({ action: ['API_KEY_REVOKED'], actorId: 'key:1' }))).toEqual([
    'API_KEY_REVOKED till',
  ]);
  const { errors } = await ask(door, LOG, {}, as('ann'));
  expect(errors?.[0]?.extensions).toEqual({ code: 'FORBIDDEN', scope: 'ADMIN' });
});

test('pages follow one another', async () => {
  const seen: string[] = [];
  for (let after: string | null = null, more = true; more; ) {
    const { data } = await ask(door, LOG, { first: 2, after });
    seen.push(...data.auditLog.nodes.map((node: Loose) => `${node.action} ${node.subjectId}`));
    ({ endCursor: after, hasNextPage: more } = data.auditLog.pageInfo);
  }
  expect(seen).toEqual((await log()).map((node: Loose) => `${node.action} ${node.subjectId}`));
});
