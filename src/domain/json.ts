/**
 * JSON as text. Event data travel as the exact characters that came in, because `JSON.parse` loses digits,
 * duplicate keys and white space, and jsonb refuses `\u0000` and lone surrogates (reliability: facts).
 */

/** Deepest nesting of event data, in levels: receivers with recursive parsers must survive what we send. */
export const MAX_DATA_DEPTH = 200;

/** A JSON value as its source text. */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A number whose source text says more than the double it parses to, e.g. `12345678901234567890` or `1.50`. */
export class SourcedNumber extends Number {
  readonly source: string;

  constructor(value: number, source: string) {
    super(value);
    this.source = source;
  }

  toJSON(): unknown {
    return rawJson(this.source);
  }
}

/** Parses JSON and keeps every number's digits: those a double would change become SourcedNumber. */
export function parseKeepingDigits(text: string): unknown {
  return MAY_CHANGE.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text);
}

/**
 * Whether a JSON text may have a number that JavaScript writes otherwise than it stands there. Where it has none a
 * reviver, which makes parsing six times as slow, would change nothing. Up to 15 digits a double holds
 * (IEEE 754's DBL_DIG), and writes without exponent from 0.000001 on. What looks like it inside a string may match too.
 */
const MAY_CHANGE =
  /(?:^|[\s:,[])(?:-0(?![.\d])|-?(?:\d{16}|[\d.]{17}|\d+\.?\d*[eE]|\d+\.\d*0(?=[\s,}\]]|$)|0\.0{6}))/;

/** The reviver of `parseKeepingDigits`, for parsers that take one. */
export function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  return typeof value !== 'number' || source === undefined || String(value) === source
    ? value
    : new SourcedNumber(value, source);
}

/** The text of a parsed value; SourcedNumbers come out as they came in. */
export function stringify(value: unknown): string {
  return JSON.stringify(value);
}

/** Levels of nesting of a valid JSON text: 0 for a scalar. Iterative, so depth cannot overflow the stack. */
export function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) at = endOfString(text, at) - 1;
    else if (char === OPEN_BRACE || char === OPEN_BRACKET) deepest = Math.max(deepest, ++depth);
    else if (char === CLOSE_BRACE || char === CLOSE_BRACKET) depth--;
  }
  return deepest;
}

/**
 * The source text of each member of a JSON object, by name; of a repeated name the last one, as `JSON.parse`
 * has it. `text` must already have passed `JSON.parse` and be an object.
 */
export function memberTexts(text: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  let at = text.indexOf('{') + 1;
  for (;;) {
    const keyAt = text.indexOf('"', at);
    // Between members stand only white space and commas, so a brace first means the end.
    const endAt = text.indexOf('}', at);
    if (keyAt === -1 || (endAt !== -1 && endAt < keyAt)) return members;
    const keyEnd = endOfString(text, keyAt);
    const valueAt = skipSpace(text, text.indexOf(':', keyEnd) + 1);
    const valueEnd = endOfValue(text, valueAt);
    members.set(JSON.parse(text.slice(keyAt, keyEnd)) as string, text.slice(valueAt, valueEnd));
    at = valueEnd;
  }
}

/** The source text of each element of a JSON array that has already passed `JSON.parse`. */
export function elementTexts(text: string): readonly string[] {
  const elements: string[] = [];
  let at = skipSpace(text, text.indexOf('[') + 1);
  while (text.charCodeAt(at) !== CLOSE_BRACKET) {
    const end = endOfValue(text, at);
    elements.push(text.slice(at, end));
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return elements;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const SPACES = new Set([0x20, 0x09, 0x0a, 0x0d]);

// Not in TypeScript's library yet; in V8 since 11.4 (Node 21), TC39 proposal-json-parse-with-source.
const { rawJSON: rawJson } = JSON as unknown as { rawJSON(text: string): unknown };

function endOfString(text: string, openedAt: number): number {
  let at = openedAt + 1;
  while (text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at + 1;
}

function endOfValue(text: string, startedAt: number): number {
  let depth = 0;
  for (let at = startedAt; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) {
      at = endOfString(text, at) - 1;
    } else if (char === OPEN_BRACE || char === OPEN_BRACKET) {
      depth++;
    } else if (char === CLOSE_BRACE || char === CLOSE_BRACKET) {
      if (depth === 0) return trimmedEnd(text, at);
      depth--;
    } else if (char === COMMA && depth === 0) {
      return trimmedEnd(text, at);
    }
  }
  return text.length;
}

function trimmedEnd(text: string, at: number): number {
  let end = at;
  while (SPACES.has(text.charCodeAt(end - 1))) end--;
  return end;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (SPACES.has(text.charCodeAt(at))) at++;
  return at;
}
