/** A whole run at debug level, and then a search of everything it left behind for what nobody may read. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createTestDatabase, openSql } from '../support/database.ts';
import { spawnHerald } from '../support/process.ts';
import { ok, startReceiver, status } from '../support/receiver.ts';
import { until } from '../support/until.ts';

/** What is looked for, by what it is. Data may be in the tables, where they belong, and nowhere else. */
const random = (prefix: string) => `${prefix}${randomBytes(24).toString('hex')}`;
const KEY = randomBytes(32);
const HMAC = randomBytes(32);
const SECRET = {
  adminToken: random('admin-'),
  encryptionKey: KEY.toString('base64'),
  signingSecret: HMAC.toString('base64'),
  signingSecretHex: HMAC.toString('hex'),
  header: random('header-'),
  otherHeader: random('other-header-'),
  wrongToken: random('wrong-token-'),
  proxyPassword: random('proxy-'),
};
const DATA = { data: random('data-'), badData: random('bad-data-'), query: random('query-') };

test('no secret is in logs, tables, answers or process titles, and no event data in logs', async () => {
  const database = await createTestDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), 'herald-secrets-'));
  await using receiver = await startReceiver();
  await using herald = spawnHerald({
    DATABASE_URL: database.url,
    DATA_DIR: dataDir,
    ADMIN_TOKEN: SECRET.adminToken,
    ENCRYPTION_KEY: SECRET.encryptionKey,
    LOG_LEVEL: 'debug',
  });
  try {
    await until(() => /is ready after/.test(herald.output()), 'the banner', 30_000);
    const url = /at (http:\/\/\S+)/.exec(herald.output())?.[1] ?? '';
    const banner = herald.output();
    const answers: string[] = [];
    const call = async (path: string, body: string, token = SECRET.adminToken): Promise<string> => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const response = await fetch(url + path, { method: 'POST', headers, body });
      const text = await response.text();
      answers.push(text);
      return text;
    };
    const graphql = (query: string, variables: unknown = {}) =>
      call('/graphql', JSON.stringify({ query, variables }));
    const fire = async (type: string, extra: Record<string, unknown> = {}) => {
      const input = { type, data: { [DATA.data]: DATA.data }, ...extra };
      const text = await graphql(
        'mutation ($input: QueueEventInput!) { queueEvent(input: $input) { event { id } userErrors { message } } }',
        { input },
      );
      return JSON.parse(text).data?.queueEvent?.event?.id as string;
    };
    const create = (name: string, type: string, to: string, more: Record<string, unknown> = {}) =>
      graphql(
        `mutation ($input: CreateTriggerInput!) { createTrigger(input: $input) {
          trigger { id headers { name value } signingKeys { id algorithm publicKey } } userErrors { message } } }`,
        {
          input: {
            ...{ name, type, url: to, retries: 0, signingSecret: `whsec_${SECRET.signingSecret}` },
            headers: [{ name: 'x-api-key', value: SECRET.header, secret: true }],
            ...more,
          },
        },
      );

    // Receivers that agree, fail, send back what they were sent, and are not there.
    receiver.answer = (delivery, res) => {
      const path = delivery.path.split('?')[0];
      if (path === '/500') return status(500, `key ${SECRET.header}`)(delivery, res);
      if (path !== '/echo') return ok(delivery, res);
      const echo = { 'x-echo': String(delivery.headers['x-api-key']) };
      status(200, JSON.stringify(delivery.headers), echo)(delivery, res);
    };
    const base = receiver.url.replace(/\/hook$/, '');
    for (const path of ['/ok', '/500', '/echo']) {
      const created = JSON.parse(
        await create(`to${path.replace('/', '-')}`, 'all', `${base}${path}?key=${DATA.query}`),
      );
      expect(created.data.createTrigger.userErrors).toEqual([]);
    }
    await create('to-nobody', 'all', `http://127.0.0.1:9/?key=${DATA.query}`);
    await create('to-tls', 'all', `${base.replace('http:', 'https:')}/?key=${DATA.query}`);
    await create('to-metadata', 'all', `http://169.254.169.254/?key=${DATA.query}`);
    await create('to-ok', 'all', base); // taken
    await create('bad', 'all', `http://u:${SECRET.proxyPassword}@127.0.0.1/`);
    await create('bad', 'all', base, {
      headers: [{ name: 'host', value: SECRET.otherHeader, secret: true }],
    });
    await create('bad', 'all', base, {
      headers: [{ name: 'x', value: `${SECRET.otherHeader}\n`, secret: true }],
    });
    await create('bad', 'all', base, { signingSecret: `whsec_${SECRET.signingSecret}!` });
    await create('bad', 'all', base, { description: `\0${SECRET.otherHeader}` });
    await create('t\0', 'all', base);

    const ids = [
      await fire('all'),
      await fire('all', { idempotencyKey: 'k' }),
      await fire('all', { idempotencyKey: 'k' }),
    ];
    await fire('all', { idempotencyKey: 'k', data: DATA.badData });
    await fire('all', { type: `a\0${DATA.badData}` });
    await fire('all', { project: DATA.badData });
    await graphql(
      `mutation { queueEvent(input: {type: "all", data: {${DATA.data}: ENUM}}) { event { id } } }`,
    );
    await graphql(`mutation { ${DATA.data}`);
    await call('/queue', `{"type":"all","data":"${DATA.data}","delay":-1}`);
    await call('/queue', `{"type":"all","data":"${DATA.badData}`);
    await call('/queue', `{"type":"${DATA.badData}\\u0000","data":1}`);
    await call('/queue', '{"type":"all"}', SECRET.wrongToken);
    await call('/graphql', '{"query":"{ __typename }"}', SECRET.wrongToken);
    // The database says no in the middle, with our parameters in its hands.
    await using sql = openSql(database);
    await sql`alter table herald.events add constraint no_more check (type <> 'refused')`;
    await fire('refused');
    await sql`alter table herald.signing_keys add constraint no_more check (algorithm <> 'HMAC_SHA256') not valid`;
    await create('refused', 'refused', base);
    await sql`alter table herald.signing_keys drop constraint no_more`;

    const trigger = JSON.parse(await graphql('{ triggerByName(name: "to-ok") { id } }')).data?.triggerByName
      ?.id as string;
    const rotate =
      'mutation ($input: RotateTriggerSecretInput!) { rotateTriggerSecret(input: $input) { userErrors { message } } }';
    await graphql(rotate, { input: { id: trigger, signingSecret: `whsec_${SECRET.signingSecret}` } });
    await graphql(rotate, { input: { id: trigger, signatureAlgorithm: 'ED25519' } });

    const ended = 'query ($id: ID!) { event(id: $id) { status finishedAt } }';
    for (const id of new Set(ids)) {
      await until(
        async () => JSON.parse(await graphql(ended, { id })).data.event.finishedAt !== null,
        'the event to end',
      );
    }
    const read = await graphql(`{
      triggers { nodes { name headers { name value } signingKeys { id algorithm publicKey expiresAt } } }
      invocations { nodes { id attempts { nodes { errorMessage
        request { headers { name value } } response { body headers { name value } } } } } } }`);
    expect(read).toContain('***');
    expect(read).toContain('x-echo');
    expect(trigger).toMatch(/^[\da-f-]{36}$/);

    const cmdlines = [herald.pid, ...childrenOf(herald.pid)].map((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8'),
    );
    herald.child.kill('SIGTERM');
    await herald.exited();
    const logs = herald.output();
    const tables = await dump(sql);

    expect(logs.split('\n').length).toBeGreaterThan(20);
    expect(logs).toContain('"attempt failed"');
    expect(tables).toContain(DATA.data);
    for (const [what, secret] of Object.entries(SECRET)) {
      expect.soft(logs.includes(secret), `${what} in the logs`).toBe(false);
      expect.soft(tables.includes(secret), `${what} in the tables`).toBe(false);
      expect.soft(tables.includes(Buffer.from(secret).toString('hex')), `${what} in a bytea`).toBe(false);
      expect.soft(answers.join('\n').includes(secret), `${what} in an answer`).toBe(false);
      expect.soft(cmdlines.join('\n').includes(secret), `${what} in a command line`).toBe(false);
    }
    for (const [what, data] of Object.entries(DATA)) {
      expect.soft(logs.includes(data), `${what} in the logs`).toBe(false);
    }
    expect(banner).toContain('as set in ADMIN_TOKEN');
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});

/** Every row of every table, of all schemas but Postgres' own, as text. */
async function dump(sql: ReturnType<typeof openSql>): Promise<string> {
  const tables = await sql`
    select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables
      where schemaname not in ('pg_catalog', 'information_schema')`;
  expect(tables.length).toBeGreaterThan(8);
  const rows = await Promise.all(
    tables.map(({ name }) => sql.unsafe(`select t::text as row from ${String(name)} t`)),
  );
  return rows
    .flat()
    .map(({ row }) => String(row))
    .join('\n');
}

function childrenOf(pid: number): readonly number[] {
  if (!readdirSync('/proc').includes(String(pid))) return [];
  try {
    return execFileSync('ps', ['--ppid', String(pid), '-o', 'pid='], { encoding: 'utf8' })
      .trim()
      .split(/\s+/)
      .filter(Boolean)
      .map(Number);
  } catch {
    return []; // it has none
  }
}
