/** What goes in comes out: event data keep every digit and character, whichever way they come. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, bodyOf, post } from './ask.ts';
import { AUTHORIZED, type Door, openDoor } from './door.ts';

let door: Door;
beforeAll(async () => {
  door = await openDoor();
});
afterAll(() => door.close());

const QUEUE = `mutation ($data: JSON, $text: String) {
  queueEvent(input: { type: "data", data: $data, dataText: $text }) {
    event { id data dataText dataSize } userErrors { field code message }
  }
}`;

const stored = async (): Promise<string> => {
  const rows = await door.sql`select data from herald.events order by id desc limit 1`;
  return rows[0]?.data;
};

/** The text of `data` in an answer, not what JSON.parse makes of it. */
const dataIn = (body: string): string =>
  /"data":([\s\S]*),"dataText":/.exec(body.slice(body.indexOf('"event":')))?.[1] ?? '';

const TEXTS: readonly [string, string][] = [
  ['a big integer', '12345678901234567890'],
  ['trailing zeros', '1.50'],
  ['a number beyond doubles', '1e400'],
  ['a number below doubles', '-1E-999'],
  ['negative zero', '-0'],
  ['a long fraction', '0.1000000000000000055511151231257827'],
  ['numbers in depth', '{"a":[1.0,{"b":2.00}],"c":{"d":[3e0,[-0.0]]}}'],
  ['U+0000', '"a\\u0000b"'],
  ['key order', '{"z":1,"a":2,"10":3,"2":4}'.replace('"10":3,"2":4', '"x10":3,"x2":4')],
  ['__proto__', '{"__proto__":{"polluted":true},"constructor":1}'],
  ['characters beyond the BMP', '"😀 \u2028 ü"'],
  ['an empty object', '{}'],
  ['an empty array', '[]'],
  ['false', 'false'],
  ['an empty string', '""'],
];

describe('data in variables', () => {
  test.each([...TEXTS, ['a lone surrogate', '"\\ud800 and \\udc00"'] as [string, string]])(
    'keep %s',
    async (_what, text) => {
      const response = await post(door, bodyOf(QUEUE, `{"data":${text}}`));
      const body = await response.text();
      expect(JSON.parse(body).data.queueEvent.userErrors).toEqual([]);
      expect(await stored()).toBe(text);
      expect(dataIn(body)).toBe(text);
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    },
  );

  test('are read back with every digit by a query', async () => {
    const text = '{"n":98765432109876543210,"f":1.10}';
    const { data } = await ask(door, QUEUE, `{"data":${text}}`);
    const query = 'query ($id: ID!) { event(id: $id) { data dataText dataSize } }';
    const response = await post(door, bodyOf(query, { id: data.queueEvent.event.id }));
    expect(await response.text()).toBe(
      `{"data":{"event":{"data":${text},"dataText":${JSON.stringify(text)},"dataSize":${text.length}}}}`,
    );
  });

  test('nested in the variable of an input object', async () => {
    const query = 'mutation ($input: QueueEventInput!) { queueEvent(input: $input) { event { dataText } } }';
    const { data } = await ask(door, query, '{"input":{"type":"t","data":{"n":[1.50]},"delay":2.50}}');
    expect(data.queueEvent.event.dataText).toBe('{"n":[1.50]}');
  });

  test('in the variables of a GET, where a query may carry them', async () => {
    const query = 'query ($first: Int) { events(first: $first) { nodes { id } } }';
    const params = new URLSearchParams({ query, variables: '{"first":1.0}' });
    const response = await fetch(`${door.url}?${params}`, { headers: AUTHORIZED });
    const { data } = (await response.json()) as { data: { events: { nodes: unknown[] } } };
    expect(data.events.nodes).toHaveLength(1);
  });

  test('of null and of nothing are null', async () => {
    for (const variables of [{}, { data: null }]) {
      const { data } = await ask(door, QUEUE, variables);
      expect(data.queueEvent.event).toMatchObject({ data: null, dataText: 'null', dataSize: 4 });
    }
  });

  test('of 200 levels pass, of more are refused, however many', async () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
    const { data } = await ask(door, QUEUE, `{"data":${nested(200)}}`);
    expect(data.queueEvent.event.dataText).toBe(nested(200));
    const { data: refused } = await ask(door, QUEUE, `{"data":${nested(201)}}`);
    expect(refused.queueEvent.userErrors).toMatchObject([{ field: ['input', 'data'], code: 'TOO_LARGE' }]);
    for (const levels of [1000, 2000, 3000, 5000, 7000, 10_000, 100_000]) {
      const answer = await ask(door, QUEUE, `{"data":${nested(levels)}}`);
      const code = answer.errors?.[0]?.extensions.code ?? answer.data.queueEvent.userErrors[0].code;
      expect(['BAD_USER_INPUT', 'TOO_LARGE']).toContain(code);
    }
  });
});

describe('data in literals', () => {
  const literal = async (text: string, variables: Record<string, unknown> | string = {}, head = '') =>
    ask(
      door,
      `mutation ${head} { queueEvent(input: { type: "t", data: ${text} }) { event { dataText } userErrors { code } } }`,
      variables,
    );

  test.each<[string, string, string]>([
    ['a big integer', '12345678901234567890', '12345678901234567890'],
    ['trailing zeros', '1.50', '1.50'],
    ['a number beyond doubles', '1e400', '1e400'],
    ['negative zero', '-0', '-0'],
    ['U+0000', '"a\\u0000b"', '"a\\u0000b"'],
    ['block strings', '"""a\n  "b" """', JSON.stringify('a\n"b" ')],
    [
      'structure and key order',
      '{ z: [1, 2.0, { y: null }], __proto__: true, a: "é" }',
      '{"z":[1,2.0,{"y":null}],"__proto__":true,"a":"é"}',
    ],
  ])('keep %s', async (_what, text, expected) => {
    const { data, errors } = await literal(text);
    expect(errors).toBeUndefined();
    expect(data.queueEvent.event.dataText).toBe(expected);
  });

  test('hold variables', async () => {
    const head = '($json: JSON, $int: Int, $text: String, $absent: String)';
    const answer = await literal(
      '{ j: $json, list: [$int, $absent], t: $text, gone: $absent }',
      '{"json":{"n":1.50},"int":7,"text":"x"}',
      head,
    );
    expect(answer.errors).toBeUndefined();
    expect(answer.data.queueEvent.event.dataText).toBe('{"j":{"n":1.50},"list":[7,null],"t":"x"}');
  });

  test('refuse enum values', async () => {
    const answer = await literal('{ status: PAID }');
    expect(answer.errors?.[0]?.message).toContain('enum value PAID');
    expect(answer.errors?.[0]?.extensions.code).toMatch(/BAD_USER_INPUT|GRAPHQL_VALIDATION_FAILED/);
  });
});

describe('dataText', () => {
  test.each([
    ...TEXTS,
    ['white space, repeated keys, escapes', ' { "a" : 1 ,\n"a":2, "\\u0061":"\\/" } '] as [string, string],
  ])('keeps %s', async (_what, text) => {
    const { data } = await ask(door, QUEUE, { text });
    expect(data.queueEvent.userErrors).toEqual([]);
    expect(data.queueEvent.event.dataText).toBe(text);
    expect(await stored()).toBe(text);
  });

  test('writes a lone surrogate as its escape, which UTF-8 can hold', async () => {
    const { data } = await ask(door, QUEUE, `{"text":"\\"\\ud800 \\\\udc00 😀\\""}`);
    expect(data.queueEvent.event.dataText).toBe('"\\ud800 \\udc00 😀"');
    expect(data.queueEvent.event.data).toBe('\ud800 \udc00 😀');
  });
});
