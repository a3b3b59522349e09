import { expect, test } from 'vitest';
import { givingAway, maskSecrets } from '../../src/actions/mask-secrets.ts';

const answering = (body: string, header = '') => ({
  ...{ errorCode: null, errorMessage: null },
  response: {
    ...{ statusCode: 200, bodyTruncated: false, remoteAddress: null },
    headers: [['x-echo', header]] as const,
    body: Buffer.from(body),
  },
  timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null, totalMs: 1 },
});
const masked = (value: string, body: string, header?: string) => {
  const { response } = maskSecrets(answering(body, header), givingAway([value]));
  return [response?.body.toString(), response?.headers[0]?.[1]];
};
const base64 = (text: string) => Buffer.from(text).toString('base64');

test.each([
  ['as it was sent', 'Bearer s3cr3t-token'],
  ['without its scheme', 's3cr3t-token'],
  ['in a URL', 'Bearer%20s3cr3t-token'],
  ['as base64', base64('s3cr3t-token').replace(/=+$/, '')],
])('a token that comes back %s is masked', (_, echo) => {
  expect(masked('Bearer s3cr3t-token', `got "${echo}" \xff`, echo)).toEqual(['got "***" \xff', '***']);
});

test('a secret is found in JSON, and in either base64', () => {
  const value = 'a"quoted\\/secret?>';
  expect(masked(value, JSON.stringify({ value }))[0]).toBe('{"value":"***"}');
  expect(masked(value, JSON.stringify({ value }).replaceAll('/', '\\/'))[0]).toBe('{"value":"***"}');
  expect(masked(value, Buffer.from(value).toString('base64url'))[0]).toBe('***');
  expect(masked('a b/c secret', 'a%20b%2fc%20secret')[0]).toBe('***');
});

test('of several secrets the longer one is replaced first', () => {
  const { response } = maskSecrets(
    answering('abcdef-rest-of-it'),
    givingAway(['abcdef', 'abcdef-rest-of-it']),
  );
  expect(response?.body.toString()).toBe('***');
});

test('of Basic credentials the password too', () => {
  const value = `Basic ${base64('user:pässword 1')}`;
  expect(masked(value, 'user:pässword 1, pässword 1, p%C3%A4ssword%201')[0]).toBe('***, ***, ***');
});

test('a value without a scheme is one, and what is found by chance is left', () => {
  expect(masked('key-123456', 'key-123456 and key')[0]).toBe('*** and key');
  expect(givingAway(['abc'])).toEqual([]);
  expect(givingAway(['Bearer abc'])).not.toContain('abc');
});
