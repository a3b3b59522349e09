import { createSecretKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { envelope } from '../../src/domain/envelope.ts';
import { secretBytes, sign } from '../../src/domain/signature.ts';

const event = {
  id: '019e0000-0000-7000-8000-000000000001',
  type: 'order "paid"',
  source: 'urn:shop',
  dueAt: new Date('2026-11-23T10:00:00.120Z'),
  data: '{"b":1.50,"a":12345678901234567890,"a":"\\u0000\\ud800"}',
};

test('JSON mode: the keys in their order, the data as they were received', () => {
  const { headers, body } = envelope(event, 'JSON', '1.0-rc1');
  expect(body.toString()).toBe(
    '{"specversion":"1.0-rc1","id":"019e0000-0000-7000-8000-000000000001","type":"order \\"paid\\"","source":"urn:shop",' +
      '"time":"2026-11-23T10:00:00.120Z","data":{"b":1.50,"a":12345678901234567890,"a":"\\u0000\\ud800"}}',
  );
  expect(headers).toEqual([['content-type', 'application/json']]);
});

test('STRUCTURED mode differs in its content type only', () => {
  const structured = envelope(event, 'STRUCTURED', '1.0');
  expect(structured.headers).toEqual([['content-type', 'application/cloudevents+json']]);
  expect(structured.body.toString()).toContain('"specversion":"1.0",');
});

test('BINARY mode: attributes percent-encoded as in the HTTP binding, the data alone as body', () => {
  const { headers, body } = envelope({ ...event, type: 'Euro € 😀' }, 'BINARY', '1.0');
  expect(Object.fromEntries(headers)).toMatchObject({
    'ce-type': 'Euro%20%E2%82%AC%20%F0%9F%98%80',
    'ce-specversion': '1.0',
    'ce-time': '2026-11-23T10:00:00.120Z',
  });
  expect(body.toString()).toBe(event.data);
});

test('signatures are those of the Standard Webhooks specification', () => {
  // The example of the specification's "Signature scheme" section.
  const key = secretBytes('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
  expect(key).not.toBeNull();
  const body = Buffer.from('{"test": 2432232314}');
  const signature = sign([createSecretKey(key as Buffer)], 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, body);
  expect(signature).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});

test.each([
  'whsec_',
  'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  'whsec_short',
  `whsec_${'A'.repeat(120)}`,
  'whsec_!!!!',
])('no secret: %s', (text) => expect(secretBytes(text)).toBeNull());
