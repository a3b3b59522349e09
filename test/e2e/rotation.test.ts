/** Signing keys: replaced with an overlap, of both schemes, and gone by themselves. */
import { createPublicKey, verify } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp, type TestApp } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import { type Delivery, type Receiver, startReceiver } from '../support/receiver.ts';

let app: TestApp;
let receiver: Receiver;
beforeAll(async () => {
  app = await startTestApp();
  receiver = await startReceiver();
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

interface Rotated {
  readonly trigger: {
    readonly version: number;
    readonly signingKeys: readonly {
      readonly id: string;
      readonly algorithm: string;
      readonly publicKey: string | null;
      readonly expiresAt: string | null;
    }[];
  } | null;
  readonly signingSecret: string | null;
  readonly userErrors: readonly { readonly field: readonly string[]; readonly code: string }[];
}

async function rotate(input: Readonly<Record<string, unknown>>): Promise<Rotated> {
  const answer = await app.graphql<{ rotateTriggerSecret: Rotated }>(
    `mutation ($input: RotateTriggerSecretInput!) { rotateTriggerSecret(input: $input) {
      trigger { version signingKeys { id algorithm publicKey expiresAt } } signingSecret
      userErrors { field code message } } }`,
    { input },
  );
  return answer.rotateTriggerSecret;
}

/** What the receiver gets for an event of this type. */
async function delivered(type: string): Promise<Delivery> {
  const before = receiver.deliveries.length;
  await queueEvent(app, { type, data: { at: before } });
  const delivery = (await receiver.received(before + 1))[before];
  if (delivery === undefined) throw new Error('unreachable');
  return delivery;
}

const signatures = ({ headers }: Delivery): readonly string[] =>
  String(headers['webhook-signature']).split(' ');

function verifies(secret: string, { body, headers }: Delivery): boolean {
  try {
    new Webhook(secret).verify(body, headers as Record<string, string>);
    return true;
  } catch {
    return false;
  }
}

/** Checks the `v1a` signatures the way a receiver does that knows only `whpk_…`. */
function verifiesWith(publicKey: string, delivery: Delivery): boolean {
  const x = Buffer.from(publicKey.replace(/^whpk_/, ''), 'base64').toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const { 'webhook-id': id, 'webhook-timestamp': at } = delivery.headers;
  const content = Buffer.from(`${String(id)}.${String(at)}.${delivery.text}`);
  return signatures(delivery)
    .filter((one) => one.startsWith('v1a,'))
    .some((one) => verify(null, content, key, Buffer.from(one.slice(4), 'base64')));
}

test('both keys sign in the overlap, the new one first; the old one expires by itself', async () => {
  const type = crypto.randomUUID();
  const { id, secret: old } = await createTrigger(app, { type, url: receiver.url });
  const before = await delivered(type);
  expect(signatures(before)).toHaveLength(1);

  const { trigger, signingSecret: current, userErrors } = await rotate({ id, gracePeriodHours: 2 });
  expect(userErrors).toEqual([]);
  expect(trigger?.version).toBe(2);
  expect(trigger?.signingKeys.map(({ expiresAt }) => expiresAt === null)).toEqual([true, false]);
  const hours = (Date.parse(trigger?.signingKeys[1]?.expiresAt ?? '') - Date.now()) / 3_600_000;
  expect(Math.round(hours * 10) / 10).toBe(2);
  expect(current).toMatch(/^whsec_/);

  const overlap = await delivered(type);
  expect(signatures(overlap).map((one) => one.slice(0, 3))).toEqual(['v1,', 'v1,']);
  expect([verifies(old, overlap), verifies(String(current), overlap)]).toEqual([true, true]);
  const [id1 = '', at = ''] = [overlap.headers['webhook-id'], overlap.headers['webhook-timestamp']].map(
    String,
  );
  const first = new Webhook(String(current)).sign(id1, new Date(Number(at) * 1000), overlap.text);
  expect(signatures(overlap)[0]).toBe(first);

  // The hours have passed: of the clock's alone, not of anything that is told to a process.
  await using sql = openSql(app.database);
  await sql`update herald.signing_keys set expires_at = now() - interval '1 second' where expires_at is not null`;
  await sql`update herald.triggers set version = version + 1 where id = ${id}`;
  const after = await delivered(type);
  expect([verifies(old, after), verifies(String(current), after)]).toEqual([false, true]);
  const { trigger: shown } = await app.graphql<{ trigger: { signingKeys: unknown[] } }>(
    'query ($id: ID!) { trigger(id: $id) { signingKeys { id } } }',
    { id },
  );
  expect(shown.signingKeys).toHaveLength(1);
  await rotate({ id });
  const [kept] = await sql`select count(*)::int as count from herald.signing_keys where trigger_id = ${id}`;
  expect(kept?.count).toBe(2);
});

test('a key that expires while deliveries hold it in memory signs no more', async () => {
  const type = crypto.randomUUID();
  const { id, secret: old } = await createTrigger(app, { type, url: receiver.url });
  await rotate({ id, gracePeriodHours: 1 });
  await using sql = openSql(app.database);
  await sql`update herald.signing_keys set expires_at = now() + interval '1500 ms' where trigger_id = ${id} and expires_at is not null`;
  let delivery = await delivered(type);
  expect(verifies(old, delivery)).toBe(true);
  const until = Date.now() + 20_000;
  while (verifies(old, delivery) && Date.now() < until) delivery = await delivered(type);
  expect(signatures(delivery)).toHaveLength(1);
});

test('Ed25519: from the start, into, and back', async () => {
  const type = crypto.randomUUID();
  const { id, secret } = await createTrigger(app, { type, url: receiver.url, signatureAlgorithm: 'ED25519' });
  expect(Buffer.from(secret.replace(/^whsk_/, ''), 'base64')).toHaveLength(64);
  const { trigger } = await app.graphql<{ trigger: NonNullable<Rotated['trigger']> }>(
    'query ($id: ID!) { trigger(id: $id) { version signingKeys { algorithm publicKey } } }',
    { id },
  );
  const [key] = trigger.signingKeys;
  expect(key).toMatchObject({
    algorithm: 'ED25519',
    publicKey: expect.stringMatching(/^whpk_[\w+/]{43}=$/) as string,
  });
  const first = await delivered(type);
  expect(signatures(first).map((one) => one.split(',')[0])).toEqual(['v1a']);
  expect(verifiesWith(String(key?.publicKey), first)).toBe(true);

  const hmac = await rotate({
    id,
    signatureAlgorithm: 'HMAC_SHA256',
    signingSecret: `whsec_${btoa('k'.repeat(24))}`,
  });
  expect(hmac).toMatchObject({ signingSecret: `whsec_${btoa('k'.repeat(24))}`, userErrors: [] });
  const both = await delivered(type);
  expect(signatures(both).map((one) => one.split(',')[0])).toEqual(['v1', 'v1a']);
  expect([verifies(String(hmac.signingSecret), both), verifiesWith(String(key?.publicKey), both)]).toEqual([
    true,
    true,
  ]);

  const back = await rotate({ id, signatureAlgorithm: 'ED25519', gracePeriodHours: 0 });
  expect(back.trigger?.signingKeys).toHaveLength(1);
  const alone = await delivered(type);
  expect(signatures(alone)).toHaveLength(1);
  expect(verifiesWith(String(back.trigger?.signingKeys[0]?.publicKey), alone)).toBe(true);
  const kept = await rotate({ id });
  expect(kept.trigger?.signingKeys.map(({ algorithm }) => algorithm)).toEqual(['ED25519', 'ED25519']);
});

test('what cannot be rotated is said, and nothing changes', async () => {
  const { id } = await createTrigger(app, { type: crypto.randomUUID(), url: receiver.url });
  const refusals: [Record<string, unknown>, string, string][] = [
    [{ gracePeriodHours: -1 }, 'gracePeriodHours', 'INVALID'],
    [{ gracePeriodHours: 721 }, 'gracePeriodHours', 'INVALID'],
    [{ signingSecret: 'geheim' }, 'signingSecret', 'INVALID'],
    [
      { signatureAlgorithm: 'ED25519', signingSecret: `whsec_${btoa('k'.repeat(24))}` },
      'signingSecret',
      'INVALID',
    ],
    [{ id: crypto.randomUUID() }, 'id', 'NOT_FOUND'],
    [{ id: 'x' }, 'id', 'NOT_FOUND'],
  ];
  for (const [input, field, code] of refusals) {
    const { trigger, signingSecret, userErrors } = await rotate({ id, ...input });
    expect([input, trigger, signingSecret]).toEqual([input, null, null]);
    expect(userErrors).toMatchObject([{ field: ['input', field], code }]);
  }
  const { trigger } = await rotate({ id });
  expect(trigger).toMatchObject({ version: 2, signingKeys: [{}, {}] });
});

test('keys that sign at once are bounded; an emergency rotation ends them all', async () => {
  const { id } = await createTrigger(app, { type: crypto.randomUUID(), url: receiver.url });
  for (let i = 0; i < 4; i++) expect((await rotate({ id })).userErrors).toEqual([]);
  expect((await rotate({ id })).userErrors).toMatchObject([{ code: 'WRONG_STATE' }]);
  expect((await rotate({ id, gracePeriodHours: 0 })).trigger?.signingKeys).toHaveLength(1);
});

test('rotations at once come one after the other', async () => {
  const { id } = await createTrigger(app, { type: crypto.randomUUID(), url: receiver.url });
  const rotated = await Promise.all(Array.from({ length: 4 }, () => rotate({ id })));
  expect(rotated.map(({ userErrors }) => userErrors)).toEqual([[], [], [], []]);
  const last = rotated.reduce((a, b) => ((a.trigger?.version ?? 0) > (b.trigger?.version ?? 0) ? a : b));
  expect(last.trigger?.version).toBe(5);
  expect(last.trigger?.signingKeys.map(({ expiresAt }) => expiresAt === null)).toEqual([
    true,
    false,
    false,
    false,
    false,
  ]);
});
