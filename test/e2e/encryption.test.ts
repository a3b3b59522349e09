/** The key that secrets are encrypted with: wrong, several, changed for another, dropped. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { reencryptDatabase } from '../../src/reencrypt.ts';
import { createTrigger, queueEvent, startTestApp, type TestApp } from '../support/app.ts';
import { createTestDatabase, openSql, type TestDatabase } from '../support/database.ts';
import { spawnHerald } from '../support/process.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

const newKey = () => randomBytes(32).toString('base64');
const LAUNCHER = fileURLToPath(new URL('../../src/launch.mjs', import.meta.url));

const startWith = (database: TestDatabase, keys: string): Promise<TestApp> =>
  startTestApp({ database, env: { ENCRYPTION_KEY: keys } });

const reencrypt = (database: TestDatabase, keys: string) =>
  reencryptDatabase(readConfig({ DATABASE_URL: database.url, ENCRYPTION_KEY: keys }), () => {});

interface Known {
  readonly type: string;
  readonly secret: string;
}

async function triggerWithSecrets(app: TestApp, receiver: Receiver): Promise<Known> {
  const type = crypto.randomUUID();
  const headers = [
    { name: 'Authorization', value: `Bearer ${type}`, secret: true },
    { name: 'x-open', value: 'v1.open', secret: false },
  ];
  return { type, secret: (await createTrigger(app, { type, url: receiver.url, headers })).secret };
}

/** An event arrives with the trigger's secret header, signed with its key. */
async function expectDelivery(app: TestApp, receiver: Receiver, { type, secret }: Known): Promise<void> {
  const before = receiver.deliveries.length;
  await queueEvent(app, { type });
  const delivery = (await receiver.received(before + 1))[before];
  expect(delivery?.headers).toMatchObject({ authorization: `Bearer ${type}`, 'x-open': 'v1.open' });
  new Webhook(secret).verify(delivery?.body ?? '', delivery?.headers as Record<string, string>);
}

test('another key stops the start; old keys read; after re-encryption they can be dropped', async () => {
  const database = await createTestDatabase();
  const [old, current] = [newKey(), newKey()];
  await using receiver = await startReceiver();
  let known: Known;
  {
    await using app = await startWith(database, old);
    known = await triggerWithSecrets(app, receiver);
    await expectDelivery(app, receiver, known);
  }
  await expect(startWith(database, current)).rejects.toThrow(
    /encrypted with another key: set ENCRYPTION_KEY/,
  );
  await expect(reencrypt(database, current)).rejects.toThrow(/encrypted with another key/);
  let added: Known;
  {
    await using app = await startWith(database, `${current},${old}`);
    await expectDelivery(app, receiver, known);
    added = await triggerWithSecrets(app, receiver);
  }
  // The proof is the old key's still, and one secret is the current one's: neither key alone will do.
  await expect(startWith(database, old)).rejects.toThrow(
    /Some secrets .* not given any more \(2 with key [\w-]{8}\): put that key behind/,
  );
  await expect(startWith(database, current)).rejects.toThrow(/encrypted with another key/);

  expect(await reencrypt(database, `${current}, ${old}`)).toEqual({ signingKeys: 1, headers: 1 });
  expect(await reencrypt(database, `${current},${old}`)).toEqual({ signingKeys: 0, headers: 0 });
  {
    await using app = await startWith(database, current);
    for (const one of [known, added]) await expectDelivery(app, receiver, one);
  }
  await expect(startWith(database, old)).rejects.toThrow(/encrypted with another key/);
});

test('re-encryption runs beside deliveries, and over more rows than one chunk', async () => {
  const database = await createTestDatabase();
  const [old, current] = [newKey(), newKey()];
  await using receiver = await startReceiver();
  await using app = await startWith(database, `${old},${current}`);
  const known = await Promise.all(Array.from({ length: 250 }, () => triggerWithSecrets(app, receiver)));
  const [counts] = await Promise.all([
    reencrypt(database, `${current},${old}`),
    (async () => {
      for (const one of known.slice(0, 20)) await expectDelivery(app, receiver, one);
    })(),
  ]);
  expect(counts).toEqual({ signingKeys: 250, headers: 250 });
  await expectDelivery(app, receiver, known[249] as Known);
  await using sql = openSql(database);
  const ids = await sql`
    select distinct split_part(secret, '.', 2) as id from herald.signing_keys
    union select distinct split_part(headers::json -> 0 ->> 'value', '.', 2) from herald.triggers`;
  expect(ids).toHaveLength(1);
});

test('a sealed secret opens nowhere but in its place, and not when it was touched', async () => {
  const database = await createTestDatabase();
  await using receiver = await startReceiver();
  await using app = await startWith(database, newKey());
  await triggerWithSecrets(app, receiver);
  const victim = await triggerWithSecrets(app, receiver);
  await using sql = openSql(database);
  // Someone with write access to the table swaps the keys of two triggers.
  await sql`
    update herald.signing_keys k set secret = o.secret from herald.signing_keys o
      where o.id <> k.id`;
  await queueEvent(app, { type: victim.type });
  await expect(receiver.received(1, 1_500)).rejects.toThrow();
});

test('the key of a data directory: private to its owner, exchanged by the command', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'herald-keys-'));
  const file = join(dataDir, 'encryption-key');
  const env = { DATA_DIR: dataDir };
  const run = promisify(execFile);
  const command = () =>
    run(process.execPath, [LAUNCHER, 'reencrypt'], {
      env: { PATH: process.env.PATH, LOG_LEVEL: 'silent', ...env },
    });
  /** The same without a process of its own. */
  const here = () => reencryptDatabase(readConfig(env), () => {});
  try {
    {
      await using herald = spawnHerald(env);
      const { url, token } = await herald.ready();
      const query =
        'mutation { createTrigger(input: {name: "a", type: "t", url: "http://127.0.0.1:9/"}) { signingSecret } }';
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const answer = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ query }),
      });
      expect(await answer.text()).toContain('whsec_');
      // The command would need the database that this process has.
      await expect(here()).rejects.toThrow(/in use by another Herald/);
      herald.child.kill('SIGTERM');
      expect(await herald.exited()).toEqual({ code: 0, signal: null });
    }
    for (const name of ['encryption-key', 'admin-token']) {
      expect((await stat(join(dataDir, name))).mode & 0o077).toBe(0);
    }
    const old = (await readFile(file, 'utf8')).trim();
    await writeFile(file, `${newKey()}\n`);
    await expect(here()).rejects.toThrow(/encrypted with another key/);
    const current = newKey();
    await writeFile(file, `${current},${old}\n`);
    expect((await command()).stdout).toContain('1 signing keys, 0 secret headers');
    await writeFile(file, current);
    expect(await here()).toEqual({ signingKeys: 0, headers: 0 });
    await writeFile(file, 'geheim');
    const refusal = String(await command().catch((error: unknown) => error));
    expect(refusal).toContain('should hold the base64 of 32 bytes');
    expect(refusal).not.toContain('geheim');
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}, 120_000);
