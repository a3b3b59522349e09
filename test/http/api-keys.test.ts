import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MAX_API_KEYS } from '../../src/domain/api-key.ts';
import { createTrigger, queueEvent, startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { until } from '../support/until.ts';
import { ask, createKey, type Loose, REVOKE, statusOf, subscribe, TRANSPORTS } from './callers.ts';

let app: TestApp;
/** A second process on the same database. */
let other: TestApp;
let sql: ReturnType<typeof openSql>;
beforeAll(async () => {
  const env = { ROLES: 'api', LOGIN_FAILURES_PER_MINUTE: '0' };
  app = await startTestApp({ env });
  other = await startTestApp({ database: app.database, env });
  sql = openSql(app.database);
});
afterAll(async () => {
  await sql.end();
  await other[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
});

const KEYS = '{ apiKeys { id name prefix scopes projects createdAt expiresAt lastUsedAt revokedAt } }';

describe('an API key', () => {
  test('is shown once, recognisable, and stored as its SHA-256 alone', async () => {
    const { id, secret } = await createKey(app, { name: 'shop', scopes: ['EVENTS_WRITE', 'EVENTS_WRITE'] });
    expect(secret).toMatch(/^herald_key_[\w-]{43}$/);
    const { apiKeys } = await app.graphql<Loose>(KEYS);
    const key = apiKeys.find((one: Loose) => one.id === id);
    expect(key).toMatchObject({ name: 'shop', scopes: ['EVENTS_WRITE'], projects: null, revokedAt: null });
    expect(secret.startsWith(key.prefix)).toBe(true);
    expect(key.prefix).toHaveLength('herald_key_'.length + 6);
    const dump = await sql`select k::text as row from herald.api_keys k`;
    expect(JSON.stringify(dump)).not.toContain(secret.slice(key.prefix.length));
  });

  test('opens the door, and names its holder', async () => {
    const { secret } = await createKey(app, { name: 'me', scopes: ['EVENTS_READ'], projects: ['a', 'b'] });
    const { body } = await ask(app.url, secret, '{ viewer { name scopes projects } }');
    expect(body.data.viewer).toEqual({ name: 'me', scopes: ['EVENTS_READ'], projects: ['a', 'b'] });
  });

  test.each<[string, (secret: string) => string]>([
    ['one character off', (secret) => secret.slice(0, -1) + (secret.endsWith('A') ? 'B' : 'A')],
    ['cut short', (secret) => secret.slice(0, -1)],
    ['with something behind it', (secret) => `${secret}A`],
    ['without its prefix', (secret) => secret.replace('herald_key_', '')],
    ['in capitals', (secret) => secret.toUpperCase()],
    ['as its own hash', () => 'a'.repeat(64)],
    ['empty behind the prefix', () => 'herald_key_'],
    ['with U+0000', (secret) => `${secret}%00`],
  ])('%s does not', async (_what, change) => {
    const { secret } = await createKey(app);
    expect(await statusOf(app.url, change(secret))).toBe(401);
  });

  test('works until it expires, no longer', async () => {
    const expiresAt = new Date(Date.now() + 1200);
    const { secret } = await createKey(app, { expiresAt: expiresAt.toISOString() });
    expect(await statusOf(app.url, secret)).toBe(200);
    const watching = subscribe('SSE', app.url, secret, 'subscription { invocationUpdated { kind } }');
    await until(async () => (await statusOf(app.url, secret)) === 401, 'the end', 4000);
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt.getTime());
    await until(() => watching.over(), 'the end of the subscription', 4000);
  });

  test('notes when it was last used, once a minute, not with every request', async () => {
    const { id, secret } = await createKey(app);
    const lastUsed = async () => {
      const [row] = await sql`select last_used_at, xmin::text from herald.api_keys where id = ${id}`;
      return row?.last_used_at === null ? null : row;
    };
    await statusOf(app.url, secret);
    const first = await until(lastUsed, 'the use to be noted');
    for (const url of [app.url, other.url, app.url, other.url]) await statusOf(url, secret);
    await createKey(app); // whatever was written in passing has been written by now
    expect(await lastUsed()).toEqual(first);
  });

  test.each<[Record<string, unknown>, string[], string]>([
    [{ name: ' ' }, ['input', 'name'], 'REQUIRED'],
    [{ name: 'x'.repeat(101) }, ['input', 'name'], 'TOO_LARGE'],
    [{ name: 'a\0b' }, ['input', 'name'], 'INVALID'],
    [{ scopes: [] }, ['input', 'scopes'], 'REQUIRED'],
    [{ projects: [] }, ['input', 'projects'], 'REQUIRED'],
    [{ projects: ['ok', 'not ok'] }, ['input', 'projects', '1'], 'INVALID'],
    [{ projects: Array.from({ length: 101 }, (_, n) => `p${n}`) }, ['input', 'projects'], 'TOO_LARGE'],
    [{ expiresAt: '2020-01-01T00:00:00Z' }, ['input', 'expiresAt'], 'INVALID'],
  ])('with %j is refused', async (input, field, code) => {
    const { createApiKey } = await app.graphql<Loose>(
      'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret userErrors { field code } } }',
      { input: { name: 'n', scopes: ['ADMIN'], ...input } },
    );
    expect(createApiKey).toEqual({ secret: null, userErrors: [{ field, code }] });
  });
});

test('beyond the most that may work, none is made', async () => {
  await sql`
    insert into herald.api_keys (id, name, prefix, digest, scopes)
    select herald.uuid_v7(), 'crowd', 'x', encode(sha256(n::text::bytea), 'hex'), '{ADMIN}'
      from generate_series(1, ${MAX_API_KEYS}::int) n`;
  const { createApiKey } = await app.graphql<Loose>(
    `mutation { createApiKey(input: {name: "n", scopes: [ADMIN]}) { secret userErrors { field code } } }`,
  );
  expect(createApiKey).toEqual({ secret: null, userErrors: [{ field: null, code: 'LIMIT_EXCEEDED' }] });
  await sql`update herald.api_keys set revoked_at = now() where name = 'crowd'`;
  await createKey(app);
  await sql`delete from herald.api_keys where name = 'crowd'`;
});

describe('a revoked key', () => {
  test('stops working at once, in every process', async () => {
    const { id, secret } = await createKey(app);
    expect([await statusOf(app.url, secret), await statusOf(other.url, secret)]).toEqual([200, 200]);
    const { revokeApiKey } = await app.graphql<Loose>(REVOKE, { id });
    expect(revokeApiKey).toEqual({ apiKey: { revokedAt: expect.any(String) }, userErrors: [] });
    await until(async () => (await statusOf(other.url, secret)) === 401, 'the other process to know', 1500);
    await until(async () => (await statusOf(app.url, secret)) === 401, 'this process to know', 1500);
    // Again: the same answer.
    expect((await app.graphql<Loose>(REVOKE, { id })).revokeApiKey).toEqual(revokeApiKey);
  });

  test('stops working within about a second even where no notification arrives', async () => {
    const { id, secret } = await createKey(app);
    expect(await statusOf(other.url, secret)).toBe(200);
    // As if the listener were lost: the row changes, nobody is told.
    await sql`update herald.api_keys set revoked_at = now() where id = ${id}`;
    await until(async () => (await statusOf(other.url, secret)) === 401, 'the key to stop', 2000);
  });

  test.each(TRANSPORTS)(
    'loses its subscriptions over %s, with or without a notification',
    async (transport) => {
      for (const notified of [true, false]) {
        const type = `revoked.${transport}.${notified}`;
        await createTrigger(app, { type, url: 'http://127.0.0.1:9/' });
        await queueEvent(app, { type, delay: 3600 });
        const { id, secret } = await createKey(app);
        const query = `subscription { invocationUpdated(filter: {eventType: ["${type}"]}) { kind } }`;
        const watching = subscribe(transport, other.url, secret, query);
        const unharmed = subscribe(transport, other.url, TOKEN, query);
        await until(() => watching.items.length === 1 && unharmed.items.length === 1, 'both snapshots');
        if (notified) await app.graphql(REVOKE, { id });
        else await sql`update herald.api_keys set revoked_at = now() where id = ${id}`;
        await until(() => watching.over(), 'the end of the subscription', 3000);
        const said = JSON.stringify([watching.items.at(-1), watching.over()]);
        expect(said).toMatch(/UNAUTHENTICATED|4403/);
        // What happens afterwards reaches the others only.
        await queueEvent(app, { type, delay: 3600 });
        await until(() => unharmed.items.length === 2, 'the others to go on');
        expect(watching.items.filter(({ data }) => data?.invocationUpdated?.kind === 'CREATED')).toEqual([]);
        unharmed.stop();
      }
    },
  );

  test('is 503, not let in, while nobody can tell', async () => {
    await using lone = await startTestApp({ env: { ROLES: 'api' } });
    const { secret } = await createKey(lone);
    expect(await statusOf(lone.url, secret)).toBe(200);
    await using admin = openSql(lone.database);
    await admin`alter table herald.api_keys rename to elsewhere`;
    await until(async () => (await statusOf(lone.url, secret)) !== 200, 'the answer to be too old', 3000);
    expect(await statusOf(lone.url, secret)).not.toBe(200);
    await admin`alter table herald.elsewhere rename to api_keys`;
    await until(async () => (await statusOf(lone.url, secret)) === 200, 'it to work again', 3000);
  });
});

describe('an ADMIN key that is bound to projects', () => {
  test('makes, sees and revokes keys for those only', async () => {
    const outside = await createKey(app, { projects: ['theirs'] });
    const everywhere = await createKey(app);
    const { secret } = await createKey(app, { projects: ['mine', 'also-mine'] });
    const CREATE =
      'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id } userErrors { field code } } }';
    const create = async (projects: unknown) => {
      const input = { name: 'child', scopes: ['ADMIN'], projects };
      return (await ask(app.url, secret, CREATE, { input })).body.data.createApiKey;
    };
    const refused = { apiKey: null, userErrors: [{ field: ['input', 'projects'], code: 'INVALID' }] };
    expect(await create(null)).toEqual(refused);
    expect(await create(['theirs'])).toEqual(refused);
    expect(await create(['mine', 'theirs'])).toEqual(refused);
    const child = await create(['mine']);
    expect(child.userErrors).toEqual([]);

    const { apiKeys } = (await ask(app.url, secret, '{ apiKeys { id } }')).body.data;
    const ids = apiKeys.map((key: Loose) => key.id);
    expect(ids).toContain(child.apiKey.id);
    expect(ids).not.toContain(outside.id);
    expect(ids).not.toContain(everywhere.id);

    for (const id of [outside.id, everywhere.id, '0190aaaa-0000-7000-8000-000000000000', 'nonsense']) {
      const { revokeApiKey } = (await ask(app.url, secret, REVOKE, { id })).body.data;
      expect(revokeApiKey).toEqual({ apiKey: null, userErrors: [{ code: 'NOT_FOUND' }] });
    }
    expect(await statusOf(app.url, outside.secret)).toBe(200);
    const own = (await ask(app.url, secret, REVOKE, { id: child.apiKey.id })).body.data.revokeApiKey;
    expect(own.userErrors).toEqual([]);
  });
});
