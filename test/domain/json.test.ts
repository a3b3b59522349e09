import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { depthOf, elementTexts, memberTexts, parseKeepingDigits, stringify } from '../../src/domain/json.ts';

describe('memberTexts', () => {
  test('returns the exact text of every member', () => {
    const text =
      ' { "a" : 12345678901234567890 , "b":{"z":1,"a":[1, 2],"a":-0} ,"\\u0063": "\\u0000}\\"," , "d":1e400}';
    expect(Object.fromEntries(memberTexts(text))).toEqual({
      a: '12345678901234567890',
      b: '{"z":1,"a":[1, 2],"a":-0}',
      c: '"\\u0000}\\","',
      d: '1e400',
    });
  });

  test('has the last of repeated members, as JSON.parse', () => {
    expect(memberTexts('{"a":1,"a":2}').get('a')).toBe('2');
    expect(memberTexts('{}').size).toBe(0);
  });

  test('law: each text parses to what JSON.parse finds there', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.constantFrom(0, 1, '\t '),
        (object, space) => {
          const text = JSON.stringify(object, null, space);
          const members = memberTexts(text);
          const parsed = JSON.parse(text) as Record<string, unknown>;
          expect([...members.keys()].sort()).toEqual(Object.keys(parsed).sort());
          for (const [key, value] of members) expect(JSON.parse(value)).toEqual(parsed[key]);
        },
      ),
    );
  });
});

test('elementTexts: law: the elements, verbatim', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.constantFrom(0, 2), (array, space) => {
      const elements = elementTexts(JSON.stringify(array, null, space));
      expect(elements.map((text) => JSON.parse(text) as unknown)).toEqual(JSON.parse(JSON.stringify(array)));
    }),
  );
});

describe('parseKeepingDigits', () => {
  test.each([
    '12345678901234567890',
    '1.50',
    '1e400',
    '-0',
    '0.1',
    '1E5',
    '[1.0,{"a":10000000000000000000001}]',
  ])('%s comes out as it went in', (text) => {
    expect(stringify(parseKeepingDigits(text))).toBe(text);
  });

  test('law: every number comes out as it went in, wherever it stands', () => {
    const digits = fc.stringMatching(/^\d{0,18}$/);
    const number = fc
      .tuple(
        fc.constantFrom('', '-'),
        fc.oneof(fc.constant('0'), fc.stringMatching(/^[1-9]\d{0,18}$/)),
        fc.oneof(
          fc.constant(''),
          fc.stringMatching(/^\.(?:0{0,8})\d{1,9}$/),
          digits.map((text) => `.${text}0`),
        ),
        fc.oneof(fc.constant(''), fc.stringMatching(/^[eE][+-]?\d{1,3}$/)),
      )
      .map((parts) => parts.join(''));
    const around = fc.constantFrom(
      (text: string) => text,
      (text: string) => ` ${text}\n`,
      (text: string) => `[${text},"a",${text}]`,
      (text: string) => `{"a":${text}}`,
      (text: string) => `{"a":{"b":[\t[${text}\r\n]]},"c":"1e5"}`,
    );
    const spaceless = (text: string) => text.replaceAll(/\s/g, '');
    fc.assert(
      fc.property(number, around, (text, wrap) => {
        expect(stringify(parseKeepingDigits(wrap(text)))).toBe(spaceless(wrap(text)));
      }),
      { numRuns: 5000 },
    );
  });

  test('leaves numbers that a double holds as plain numbers', () => {
    expect(parseKeepingDigits('{"a":1.5}')).toEqual({ a: 1.5 });
  });
});

test('depthOf counts levels and is not fooled by strings', () => {
  expect(depthOf('1')).toBe(0);
  expect(depthOf('[{"a":"[[[\\"[["}]')).toBe(2);
  expect(depthOf('['.repeat(100_000) + ']'.repeat(100_000))).toBe(100_000);
});
