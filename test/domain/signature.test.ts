/** Standard Webhooks signatures, checked against the reference verifier and Node's own. */
import { createPublicKey, randomBytes, verify } from 'node:crypto';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import {
  ed25519Key,
  formatPrivateKey,
  formatPublicKey,
  formatSecret,
  hmacKey,
  secretBytes,
  sign,
} from '../../src/domain/signature.ts';

/** RFC 8032 section 7.1, test 1: seed and public key. */
const PAIR = Buffer.from(
  '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60' +
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
  'hex',
);

test('the example of the specification’s reference implementations', () => {
  const secret = secretBytes('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
  const body = Buffer.from('{"test": 2432232314}');
  expect(sign([hmacKey(secret as Buffer)], 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, body)).toBe(
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  );
});

test('whatever is signed verifies, with every key that signed it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 24, maxLength: 64 }), fc.string(), (bytes, body) => {
      const now = Math.floor(Date.now() / 1000);
      const [old, current] = [randomBytes(32), Buffer.from(bytes)];
      const signature = sign([hmacKey(current), hmacKey(old)], 'id', now, Buffer.from(body));
      const headers = {
        'webhook-id': 'id',
        'webhook-timestamp': String(now),
        'webhook-signature': signature,
      };
      for (const key of [old, current]) {
        const verifier = new Webhook(formatSecret(key));
        expect(() => verifier.verify(JSON.stringify(body), headers)).toThrow();
        expect(verifier.sign('id', new Date(now * 1000), body)).toBe(
          signature.split(' ')[key === current ? 0 : 1],
        );
      }
    }),
    { numRuns: 50 },
  );
});

test('an Ed25519 key is written as whsk_ and whpk_, and its signature verifies with the latter', () => {
  expect(formatPrivateKey(PAIR)).toBe(`whsk_${PAIR.toString('base64')}`);
  const publicKey = formatPublicKey(PAIR);
  expect(publicKey).toBe('whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=');
  const body = Buffer.from('{"a":1}');
  const [scheme, signature = ''] = sign([ed25519Key(PAIR)], 'msg_1', 1700000000, body).split(',');
  expect(scheme).toBe('v1a');
  const x = Buffer.from(publicKey.slice(5), 'base64').toString('base64url');
  const verifier = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const content = Buffer.from('msg_1.1700000000.{"a":1}');
  expect(verify(null, content, verifier, Buffer.from(signature, 'base64'))).toBe(true);
  expect(
    verify(null, Buffer.from('msg_1.1700000001.{"a":1}'), verifier, Buffer.from(signature, 'base64')),
  ).toBe(false);
});

test.each([
  ['too short', `whsec_${Buffer.alloc(23).toString('base64')}`],
  ['too long', `whsec_${Buffer.alloc(65).toString('base64')}`],
  ['another prefix', `whsk_${Buffer.alloc(32).toString('base64')}`],
  ['no prefix', Buffer.alloc(32).toString('base64')],
  ['base64url', `whsec_${'-_'.repeat(16)}`],
  ['white space', `whsec_${Buffer.alloc(32).toString('base64')}\n`],
  ['left-over bits', 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB='],
  ['nothing', ''],
])('a secret that is %s is none', (_what, secret) => {
  expect(secretBytes(secret)).toBe(null);
});
