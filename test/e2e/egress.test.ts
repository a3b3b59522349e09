/** Where webhooks may go, as an operator sets it and a caller meets it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp, type TestApp } from '../support/app.ts';
import { createTestDatabase } from '../support/database.ts';
import { startReceiver } from '../support/receiver.ts';
import { TEST_CERT } from '../support/tls.ts';
import { until } from '../support/until.ts';
import { LOOPBACK_HOSTS } from '../webhook/loopback-hosts.ts';
import { httpsReceiver } from '../webhook/receivers.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'herald-egress-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function file(name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

/** Error code and failure reason of the type's only invocation, once it has ended. */
async function endOf(app: TestApp, eventId: string): Promise<readonly unknown[]> {
  return until(async () => {
    const { event } = await app.graphql<{
      event: {
        invocations: {
          nodes: { status: string; failureReason: string; attempts: { nodes: { errorCode: string }[] } }[];
        };
      };
    }>(
      `query ($id: ID!) { event(id: $id) { invocations { nodes {
        status failureReason attempts { nodes { errorCode } } } } } }`,
      { id: eventId },
    );
    const [one] = event.invocations.nodes;
    const ended = one !== undefined && (one.status === 'FAILED' || one.status === 'SUCCEEDED');
    return ended && [one.status, one.failureReason, ...one.attempts.nodes.map(({ errorCode }) => errorCode)];
  }, 'the invocation to end');
}

const CREATE = `mutation ($url: String!) {
  createTrigger(input: { name: "x", type: "t", url: $url }) { trigger { id } userErrors { field code message } }
}`;

const BAD_URLS: readonly (readonly [url: string, code: string])[] = [
  ...LOOPBACK_HOSTS.map((host) => [`http://${host}/`, 'URL_ADDRESS_FORBIDDEN'] as const),
  ['http://10.1.2.3/', 'URL_ADDRESS_FORBIDDEN'],
  ['http://169.254.169.254/latest/meta-data/', 'URL_ADDRESS_FORBIDDEN'],
  ['http://[::ffff:169.254.169.254]/', 'URL_ADDRESS_FORBIDDEN'],
  ['http://[64:ff9b::a9fe:a9fe]/', 'URL_ADDRESS_FORBIDDEN'],
  ['http://0/', 'URL_ADDRESS_FORBIDDEN'],
  ['http://224.0.0.1/', 'URL_ADDRESS_FORBIDDEN'],
  ['http://255.255.255.255/', 'URL_ADDRESS_FORBIDDEN'],
  ['ftp://receiver.example/', 'URL_SCHEME_NOT_ALLOWED'],
  ['gopher://receiver.example/', 'URL_SCHEME_NOT_ALLOWED'],
  ['data:text/plain,x', 'URL_SCHEME_NOT_ALLOWED'],
  ['https://u:p@receiver.example/', 'INVALID'],
  ['https://receiver.example:0/', 'INVALID'],
  ['https://receiver.example:99999/', 'INVALID'],
  ['https://receiver.example/#x', 'INVALID'],
  ['https://exa mple/', 'INVALID'],
  ['https://[::1/', 'INVALID'],
  ['https://1.2.3.256/', 'INVALID'],
  ['https://a\u0000b.example/', 'INVALID'],
  [`https://receiver.example/${'x'.repeat(2048)}`, 'TOO_LARGE'],
  ['', 'INVALID'],
];

test('with EGRESS=public a forbidden URL is refused when a trigger is created or changed, by the setting’s name', async () => {
  await using app = await startTestApp({ env: { EGRESS: 'public' } });
  for (const [url, code] of BAD_URLS) {
    const { createTrigger: answer } = await app.graphql<{
      createTrigger: { trigger: unknown; userErrors: { field: string[]; code: string; message: string }[] };
    }>(CREATE, { url });
    expect([url, answer.trigger, answer.userErrors[0]?.code]).toEqual([url, null, code]);
    expect(answer.userErrors[0]?.field).toEqual(['input', 'url']);
    if (code === 'URL_ADDRESS_FORBIDDEN') expect(answer.userErrors[0]?.message).toMatch(/EGRESS is public/);
  }
  const trigger = await createTrigger(app, { type: 't', url: 'https://receiver.example/' });
  const { updateTrigger } = await app.graphql<{ updateTrigger: { userErrors: { code: string }[] } }>(
    `mutation ($id: ID!) { updateTrigger(input: { id: $id, url: "http://2130706433/" }) { userErrors { code } } }`,
    { id: trigger.id },
  );
  expect(updateTrigger.userErrors).toEqual([{ code: 'URL_ADDRESS_FORBIDDEN' }]);
});

test('a trigger made under another policy is judged again at each attempt', async () => {
  const database = await createTestDatabase();
  await using receiver = await startReceiver();
  {
    await using lax = await startTestApp({ database });
    await createTrigger(lax, { type: 'judged.again', url: receiver.url, retries: 1, retrySchedule: [0] });
  }
  await using strict = await startTestApp({ database, env: { EGRESS: 'public' } });
  const event = await queueEvent(strict, { type: 'judged.again' });
  expect(await endOf(strict, event.id)).toEqual(['FAILED', 'BLOCKED', 'BLOCKED_ADDRESS', 'BLOCKED_ADDRESS']);
  expect(receiver.deliveries).toEqual([]);
});

test('EGRESS_CA_FILE adds an authority, without it the receiver’s certificate is refused', async () => {
  await using receiver = await httpsReceiver((_request, response) => response.end());
  const database = await createTestDatabase();
  const ca = await file('ca.pem', `# ours\n${TEST_CERT}\n`);
  for (const [env, end] of [
    [{}, ['FAILED', 'RETRIES_EXHAUSTED', 'TLS']],
    [{ EGRESS_CA_FILE: ca }, ['SUCCEEDED', null, null]],
  ] as const) {
    await using app = await startTestApp({ database, env });
    const type = crypto.randomUUID();
    await createTrigger(app, { type, url: receiver.url, retries: 0 });
    expect(await endOf(app, (await queueEvent(app, { type })).id)).toEqual(end);
  }
});

test.each([
  ['no-such.pem', null, /EGRESS_CA_FILE=.*ENOENT/],
  ['empty.pem', 'nothing here', /EGRESS_CA_FILE=.*found none/],
  ['broken.pem', TEST_CERT.replace('MIIB', 'AAAA'), /EGRESS_CA_FILE=.*certificate 1 of 1 cannot be read/],
])('EGRESS_CA_FILE=%s stops the start with its reason', async (name, text, reason) => {
  const path = text === null ? join(directory, name) : await file(name, text);
  await expect(startTestApp({ env: { EGRESS_CA_FILE: path } })).rejects.toThrow(reason);
});
