import { describe, expect, test } from 'vitest';
import { checkEvent, eventStatusOf, type NewEvent, parseRfc3339 } from '../../src/domain/event.ts';

const NOW = new Date('2026-11-23T10:00:00Z');
const good: NewEvent = {
  type: 'order.paid',
  data: '{}',
  delay: 0,
  timestamp: null,
  project: 'default',
  source: null,
  idempotencyKey: null,
  traceparent: null,
  tracestate: null,
  origin: 'REST',
};
const codes = (change: Partial<NewEvent>) =>
  checkEvent({ ...good, ...change }, NOW).map(({ field, code }) => `${field.join('.')} ${code}`);

describe('checkEvent', () => {
  test('a good event has no problems', () => {
    expect(
      codes({ type: 'ü'.repeat(255), delay: 0.5, timestamp: new Date(0), idempotencyKey: 'a'.repeat(255) }),
    ).toEqual([]);
  });

  test.each<[Partial<NewEvent>, string]>([
    [{ type: '' }, 'type REQUIRED'],
    [{ type: 'x'.repeat(256) }, 'type TOO_LARGE'],
    [{ type: 'a\nb' }, 'type INVALID'],
    [{ type: 'a\0' }, 'type INVALID'],
    [{ type: '\ud800' }, 'type INVALID'],
    [{ delay: -1 }, 'delay INVALID'],
    [{ delay: Number.NaN }, 'delay INVALID'],
    [{ delay: 1e12 }, 'delay INVALID'],
    [{ timestamp: new Date('2099-01-01') }, 'timestamp INVALID'],
    [{ data: `"${'x'.repeat(300_000)}"` }, 'data TOO_LARGE'],
    [{ data: '['.repeat(201) + ']'.repeat(201) }, 'data TOO_LARGE'],
    [{ source: '' }, 'source INVALID'],
    [{ source: 'not a uri' }, 'source INVALID'],
    [{ idempotencyKey: 'späce' }, 'idempotencyKey INVALID'],
    [{ traceparent: 'nonsense' }, 'traceparent INVALID'],
  ])('%j is refused', (change, expected) => {
    expect(codes(change)).toEqual([expected]);
  });
});

describe('parseRfc3339', () => {
  test.each([
    ['2026-11-23T10:00:00Z', '2026-11-23T10:00:00.000Z'],
    ['2026-11-23t11:00:00.123456+01:00', '2026-11-23T10:00:00.123Z'],
    ['2026-11-23 10:00:00.5z', '2026-11-23T10:00:00.500Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
  ])('%s', (text, iso) => expect(parseRfc3339(text)?.toISOString()).toBe(iso));

  test.each([
    '2026-11-23',
    '2026-11-23T10:00:00',
    '2026-02-30T10:00:00Z',
    '2026-13-01T10:00:00Z',
    '2026-11-23T25:00:00Z',
    'now',
    '1764000000',
  ])('not: %s', (text) => expect(parseRfc3339(text)).toBeNull());
});

test('eventStatusOf: the aggregate of the invocations', () => {
  const none = { total: 0, pending: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0 };
  const later = new Date(NOW.getTime() + 1);
  const status = (counts: Partial<typeof none>, due = NOW) => eventStatusOf({ ...none, ...counts }, due, NOW);
  expect(status({})).toBe('UNMATCHED');
  expect(status({ total: 2, pending: 2 }, later)).toBe('SCHEDULED');
  expect(status({ total: 2, pending: 2 })).toBe('IN_PROGRESS');
  expect(status({ total: 2, pending: 1, failed: 1 })).toBe('IN_PROGRESS');
  expect(status({ total: 2, succeeded: 1, failed: 1 })).toBe('FAILED');
  expect(status({ total: 2, succeeded: 1, cancelled: 1 })).toBe('SUCCEEDED');
  expect(status({ total: 1, cancelled: 1 })).toBe('CANCELLED');
});
