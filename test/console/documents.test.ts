/** Every operation the console sends is one the API takes. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse, validate } from 'graphql';
import { expect, test } from 'vitest';
import { schema } from '../../src/graphql/schema.ts';

const API = new URL('../../src/console/api/', import.meta.url).pathname;

const documents = (
  await Promise.all(
    readdirSync(API).map(async (file) => Object.entries((await import(join(API, file))) as object)),
  )
)
  .flat()
  .filter((entry): entry is [string, string] => typeof entry[1] === 'string' && /[({]/.test(entry[1]))
  .filter(([, text]) => /^\s*(?:query|mutation|subscription)\b/.test(text));

test('there are some', () => {
  expect(documents.length).toBeGreaterThan(20);
});

test.each(documents)('%s', (_name, text) => {
  expect(validate(schema, parse(text)).map(({ message }) => message)).toEqual([]);
});
