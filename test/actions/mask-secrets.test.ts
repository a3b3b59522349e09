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
  const { response } = maskSecrets(answering(body, header), givingAway(value));
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

test('of Basic credentials the password too', () => {
  const value = `Basic ${base64('user:pass word')}`;
  expect(masked(value, 'user:pass word, pass word, pass%20word')[0]).toBe('***, ***, ***');
});

test('a value without a scheme is one, and what is found by chance is left', () => {
  expect(masked('key-123456', 'key-123456 and key')[0]).toBe('*** and key');
  expect(givingAway('abc')).toEqual([]);
  expect(givingAway('Bearer abc')).not.toContain('abc');
});
