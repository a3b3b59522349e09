/** Where a text stops being JSON. V8's messages name no position where the text is short. */

/** Index of the first character that no JSON text can have there, the length where it ends early; null for JSON. */
export function jsonErrorAt(text: string): number | null {
  try {
    JSON.parse(text);
    return null;
  } catch {
    return firstError(text);
  }
}

/** What may stand next. */
type Expected = 'VALUE' | 'VALUE_OR_END' | 'KEY' | 'KEY_OR_END' | 'COLON' | 'COMMA_OR_END' | 'NOTHING';

const SCALAR =
  /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const SPACE = /[ \t\n\r]*/y;

/** Iterative: a text of 10,000 brackets must not exhaust the stack. */
function firstError(text: string): number {
  const open: ('[' | '{')[] = [];
  let expected: Expected = 'VALUE';
  let at = 0;
  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0] ?? null;
  };
  const afterValue = (): Expected => (open.length === 0 ? 'NOTHING' : 'COMMA_OR_END');

  for (;;) {
    at += match(SPACE)?.length ?? 0;
    const char = text.charAt(at);
    if (char === '') return at;
    const step = next(char);
    if (step === null) return at;
    at += step;
  }

  /** Length of the token at `at`; null where it may not stand there. */
  function next(char: string): number | null {
    const closes = (char === ']' && open.at(-1) === '[') || (char === '}' && open.at(-1) === '{');
    const mayClose = expected === 'COMMA_OR_END' || expected === 'VALUE_OR_END' || expected === 'KEY_OR_END';
    if (closes && mayClose) {
      open.pop();
      expected = afterValue();
      return 1;
    }
    if (char === ',' && expected === 'COMMA_OR_END') {
      expected = open.at(-1) === '{' ? 'KEY' : 'VALUE';
      return 1;
    }
    if (char === ':' && expected === 'COLON') {
      expected = 'VALUE';
      return 1;
    }
    const key = expected === 'KEY' || expected === 'KEY_OR_END';
    if (!key && expected !== 'VALUE' && expected !== 'VALUE_OR_END') return null;
    if (!key && (char === '[' || char === '{')) {
      open.push(char);
      expected = char === '[' ? 'VALUE_OR_END' : 'KEY_OR_END';
      return 1;
    }
    const token = match(SCALAR);
    if (token === null || (key && !token.startsWith('"'))) return null;
    expected = key ? 'COLON' : afterValue();
    return token.length;
  }
}
