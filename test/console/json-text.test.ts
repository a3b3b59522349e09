/** JSON as text: shown indented, never changed. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { indentJson, jsonProblem, tokenize } from '../../src/console/ui/json-text.ts';

describe('indentJson', () => {
  test('is what JSON.stringify makes of it, for any JSON', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(indentJson(text)).toBe(JSON.stringify(JSON.parse(text), null, 2));
      }),
    );
  });

  test('keeps digits, repeated keys and escapes that parsing would lose', () => {
    const text = '{"n":12345678901234567890.10,"e":1e400,"a":1,"a":2,"s":"\\u0000\\/"}';
    expect(indentJson(text)?.replace(/\s/g, '')).toBe(text);
  });

  test('is nothing for what is no JSON', () => {
    expect(indentJson('{"a":}')).toBeNull();
  });
});

test('a problem is said with its line and column', () => {
  expect(jsonProblem('{"a": 1}')).toBeNull();
  expect(jsonProblem('{\n  "a": x\n}')).toMatchObject({ line: 2, column: 8 });
  expect(jsonProblem('{"a": 1')).toMatchObject({ line: 1, column: 8 });
});

test('tokens put together are the text again', () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      expect(
        tokenize(text)
          .map((token) => token.text)
          .join(''),
      ).toBe(text);
    }),
  );
});
