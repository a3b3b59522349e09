import { expect, test } from 'vitest';
import { curlOf } from '../../src/domain/curl.ts';

test('a curl command quotes what a shell would read', () => {
  const request = {
    url: 'https://example.com/$(x)',
    headers: [
      { name: 'content-length', value: '7' },
      { name: 'x-name', value: "O'Neil `id`" },
    ],
    body: `{"a":"it's"}`,
  };
  expect(curlOf(request)).toBe(
    [
      "curl -i 'https://example.com/$(x)'",
      "-H 'x-name: O'\\''Neil `id`'",
      `--data-raw '{"a":"it'\\''s"}'`,
    ].join(' \\\n  '),
  );
});
