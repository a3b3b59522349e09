import { expect, test } from 'vitest';
import type { EgressPolicy } from '../../src/domain/address.ts';
import { judgeUrl } from '../../src/webhook/egress.ts';
import { LOOPBACK_HOSTS } from './loopback-hosts.ts';
import { httpReceiver, PRIVATE, PUBLIC, testSender, webhook } from './receivers.ts';

function codeOf(url: string, policy: EgressPolicy): string {
  const verdict = judgeUrl(url, policy);
  return verdict.ok ? 'ok' : verdict.code;
}

test.each([
  ['https://receiver.example/hook?a=b', 'ok'],
  ['http://receiver.example:8080/', 'ok'],
  ['https://8.8.8.8/', 'ok'],
  ['https://[2606:4700:4700::1111]/', 'ok'],
  ['https://localhost.example/', 'ok'],
  ['ftp://receiver.example/', 'URL_SCHEME_NOT_ALLOWED'],
  ['file:///etc/passwd', 'URL_SCHEME_NOT_ALLOWED'],
  ['javascript:alert(1)', 'URL_SCHEME_NOT_ALLOWED'],
  ['receiver.example/hook', 'INVALID'],
  ['//receiver.example/hook', 'INVALID'],
  ['', 'INVALID'],
  ['https://', 'INVALID'],
  ['https://user@receiver.example/', 'INVALID'],
  ['https://user:secret@receiver.example/', 'INVALID'],
  ['https://receiver.example:0/', 'INVALID'],
  ['https://receiver.example:65536/', 'INVALID'],
  ['https://receiver.example/#token', 'INVALID'],
  ['https://receiver.example/a\tb', 'INVALID'],
  ['https://receiver.example/a\nb', 'INVALID'],
  ['https://receiver.example/?\0', 'INVALID'],
  ['https://receiver.example/\u0085', 'INVALID'],
  ['https://receiver.example/\ud800', 'INVALID'],
  ['https://169.254.169.254/latest/meta-data/', 'URL_ADDRESS_FORBIDDEN'],
  ['https://10.0.0.1/', 'URL_ADDRESS_FORBIDDEN'],
  ['https://[fd00:ec2::254]/', 'URL_ADDRESS_FORBIDDEN'],
  ['https://0/', 'URL_ADDRESS_FORBIDDEN'],
])('in public mode %j is %s', (url, expected) => {
  expect(codeOf(url, PUBLIC)).toBe(expected);
});

test.each(LOOPBACK_HOSTS)('http://%s is loopback: forbidden in public mode, allowed in private', (host) => {
  expect(codeOf(`http://${host}/`, PUBLIC)).toBe('URL_ADDRESS_FORBIDDEN');
  expect(codeOf(`http://${host}/`, PRIVATE)).toBe('ok');
});

test('the message names the setting and the address, not the query', () => {
  expect(judgeUrl('http://0x7f.1/hook?key=hunter2', PUBLIC)).toEqual({
    ok: false,
    code: 'URL_ADDRESS_FORBIDDEN',
    message:
      'expected a public address, got 127.0.0.1: EGRESS is public, EGRESS=private or EGRESS_ALLOW_CIDRS would allow it',
  });
  expect(judgeUrl('http://169.254.169.254/', PRIVATE)).toMatchObject({
    message:
      'expected a public, private or loopback address, got 169.254.169.254: EGRESS is private, EGRESS_ALLOW_CIDRS would allow it',
  });
});

test.each(LOOPBACK_HOSTS)('an attempt to http://%s in public mode connects to nothing', async (host) => {
  await using canary = await httpReceiver((_request, response) => response.end());
  await using sender = testSender({ policy: PUBLIC });
  const outcome = await sender.send(webhook(`http://${host}:${canary.port}/`));
  expect(outcome).toMatchObject({ errorCode: 'BLOCKED_ADDRESS', response: null });
  expect(outcome.errorMessage).toContain('EGRESS');
  expect(canary.connections).toBe(0);
});

test('a name with one forbidden answer among good ones is rejected', async () => {
  await using canary = await httpReceiver((_request, response) => response.end());
  await using sender = testSender({
    policy: PUBLIC,
    lookup: (_host, _options, answer) =>
      answer(null, [
        { address: '8.8.8.8', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ]),
  });
  const outcome = await sender.send(webhook(`http://receiver.example:${canary.port}/`));
  expect(outcome.errorCode).toBe('BLOCKED_ADDRESS');
  expect(outcome.errorMessage).toContain('127.0.0.1 (receiver.example)');
  expect(canary.connections).toBe(0);
});

test('each new connection is judged anew: a name that flips to a forbidden address is rejected', async () => {
  await using receiver = await httpReceiver((_request, response) =>
    response.setHeader('connection', 'close').end(),
  );
  const answers = ['127.0.0.1', '127.0.0.2', '::ffff:127.0.0.2'];
  await using sender = testSender({
    policy: { mode: 'public', allowCidrs: ['127.0.0.1'] },
    lookup: (_host, _options, answer) => answer(null, [{ address: answers.shift() ?? '', family: 4 }]),
  });
  const codes: (string | null)[] = [];
  for (let i = 0; i < 3; i++) {
    codes.push((await sender.send(webhook(`http://receiver.example:${receiver.port}/`))).errorCode);
  }
  expect(codes).toEqual([null, 'BLOCKED_ADDRESS', 'BLOCKED_ADDRESS']);
  expect(receiver.connections).toBe(1);
});

test('allowCidrs opens one address in public mode', async () => {
  await using receiver = await httpReceiver((_request, response) => response.end());
  await using sender = testSender({ policy: { mode: 'public', allowCidrs: ['127.0.0.1/32'] } });
  expect(await sender.send(webhook(receiver.url))).toMatchObject({ errorCode: null });
});

test('proxy variables are ignored', async () => {
  await using proxy = await httpReceiver((_request, response) => response.end());
  await using receiver = await httpReceiver((_request, response) => response.end());
  const before = process.env.HTTP_PROXY;
  process.env.HTTP_PROXY = `http://127.0.0.1:${proxy.port}`;
  try {
    await using sender = testSender();
    expect(await sender.send(webhook(receiver.url))).toMatchObject({ errorCode: null });
  } finally {
    if (before === undefined) delete process.env.HTTP_PROXY;
    else process.env.HTTP_PROXY = before;
  }
  expect(proxy.connections).toBe(0);
});
