/** JSON as text: indented without being parsed, so that every digit, key and repetition stays as it came. */

export interface Token {
  readonly kind: 'key' | 'string' | 'number' | 'word' | 'mark';
  readonly text: string;
}

const TOKEN = /"(?:[^"\\]|\\[\s\S])*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]/g;

/** Null where the text is not JSON. */
export function indentJson(text: string): string | null {
  if (jsonProblem(text) !== null) return null;
  const tokens = text.match(TOKEN) ?? [];
  let depth = 0;
  let out = '';
  const line = (): string => `\n${'  '.repeat(depth)}`;
  tokens.forEach((token, index) => {
    const next = tokens[index + 1];
    if (token === '{' || token === '[') {
      depth++;
      out += token;
      if (next !== '}' && next !== ']') out += line();
    } else if (token === '}' || token === ']') {
      depth--;
      const empty = tokens[index - 1] === '{' || tokens[index - 1] === '[';
      out += empty ? token : line() + token;
    } else if (token === ',') out += token + line();
    else out += token === ':' ? ': ' : token;
  });
  return out;
}

export interface JsonProblem {
  readonly message: string;
  readonly line: number;
  readonly column: number;
}

/** Null where the text is JSON. */
export function jsonProblem(text: string): JsonProblem | null {
  const reason = reasonOf(text);
  if (reason === null) return null;
  const before = text.slice(0, placeOf(text, reason)).split('\n');
  const message = reason
    .replace(/^JSON\.?\s?[Pp]arse(?: error)?: /, '')
    .replace(/ (?:in JSON )?at (?:position|line) [\s\S]*$| of the JSON data$/, '')
    .replace(/, (?:\.{3})?"[\s\S]*$/, '');
  return { message, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

function reasonOf(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Browsers that do not say where have their parser asked: as far as a beginning could still become JSON, it is right. */
function placeOf(text: string, reason: string): number {
  const said = /at position (\d+)/.exec(reason)?.[1];
  if (said !== undefined) return Number(said);
  let right = 0;
  let wrong = text.length;
  while (right < wrong) {
    const middle = Math.ceil((right + wrong) / 2);
    const then = reasonOf(text.slice(0, middle));
    if (then === null || /end of|EOF|[Uu]nterminated/.test(then)) right = middle;
    else wrong = middle - 1;
  }
  return right;
}

/** In pieces to colour; what stands between tokens is kept. */
export function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > at) tokens.push({ kind: 'mark', text: text.slice(at, match.index) });
    at = match.index + match[0].length;
    tokens.push({ kind: kindOf(match[0], text, at), text: match[0] });
  }
  if (at < text.length) tokens.push({ kind: 'mark', text: text.slice(at) });
  return tokens;
}

function kindOf(token: string, text: string, end: number): Token['kind'] {
  if (token.startsWith('"')) return /^\s*:/.test(text.slice(end, end + 20)) ? 'key' : 'string';
  if (/^[-\d]/.test(token)) return 'number';
  return /^[a-z]/.test(token) ? 'word' : 'mark';
}
