/** The scalars beside GraphQL's own. */
import { GraphQLError, Kind, type ValueNode } from 'graphql';
import { parseRfc3339, SMALLEST_EPOCH_MS } from '../domain/event.ts';
import { JsonText, stringify } from '../domain/json.ts';
import { builder } from './builder.ts';
import { jsonTextOf } from './json-literal.ts';

builder.scalarType('DateTime', {
  description: `An RFC 3339 date-time in UTC with millisecond precision, e.g. \`2026-11-23T07:31:00.123Z\`.
Inputs may carry any offset; outputs are always \`Z\`. Years 0001 to 9999.`,
  specifiedByURL: 'https://scalars.graphql.org/andimarek/date-time.html',
  serialize: (date) => date.toISOString(),
  parseValue: parseDateTime,
  parseLiteral: (node) => parseDateTime(literalOf(node)),
});

builder.scalarType('Timestamp', {
  description: `A point in time as an integer number of milliseconds since the Unix epoch (JSON number), or an RFC 3339
string. It is a scalar of its own because epoch milliseconds do not fit GraphQL's 32-bit Int. Numbers below
100000000000 are rejected with a hint: they are almost certainly seconds.`,
  serialize: (date) => date.getTime(),
  parseValue: parseTimestamp,
  parseLiteral: (node) => parseTimestamp(literalOf(node)),
});

builder.scalarType('JSON', {
  description: `Any JSON value (RFC 8259). Stored and delivered as the JSON text that was received, never re-ordered.
Numbers keep all their digits. Key order, duplicate keys and white space survive through the REST endpoints and
\`dataText\` only, because GraphQL variables are parsed by the transport. Strings may contain U+0000 and lone surrogates.`,
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc8259',
  serialize: (value) => value,
  parseValue: (value) => {
    try {
      return new JsonText(stringify(value));
    } catch {
      throw badInput('JSON cannot represent this value: it is nested too deeply');
    }
  },
  parseLiteral: (node, variables) => new JsonText(jsonTextOf(node, variables)),
});

builder.scalarType('URL', {
  description: 'An absolute http(s) URL in WHATWG serialisation, without credentials or fragment.',
  specifiedByURL: 'https://url.spec.whatwg.org/',
  serialize: (url) => url,
  parseValue: parseUrl,
  parseLiteral: (node) => parseUrl(literalOf(node)),
});

builder.scalarType('SafeInt', {
  description: 'An integer up to 2^53-1, serialised as a JSON number. Used for counts and byte sizes.',
  serialize: (value) => value,
  parseValue: parseSafeInt,
  parseLiteral: (node) => parseSafeInt(literalOf(node)),
});

function parseDateTime(value: unknown): Date {
  const date = typeof value === 'string' ? parseRfc3339(value) : null;
  if (date === null)
    throw badInput(`DateTime expects RFC 3339, e.g. "2026-11-23T07:31:00Z", got ${shown(value)}`);
  return date;
}

function parseTimestamp(value: unknown): Date {
  if (typeof value !== 'number') {
    const date = typeof value === 'string' ? parseRfc3339(value) : null;
    if (date !== null) return date;
    throw badInput(`Timestamp expects epoch milliseconds or RFC 3339, got ${shown(value)}`);
  }
  if (value < SMALLEST_EPOCH_MS) {
    throw badInput(`Timestamp expects epoch milliseconds, got ${value}, which looks like seconds`);
  }
  if (!Number.isInteger(value) || value > LAST_EPOCH_MS) {
    throw badInput(`Timestamp expects whole epoch milliseconds up to the year 9999, got ${value}`);
  }
  return new Date(value);
}

/** 9999-12-31T23:59:59.999Z, the last moment RFC 3339 can write. */
const LAST_EPOCH_MS = 253_402_300_799_999;

function parseUrl(value: unknown): string {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : null;
  if (url === null || !/^https?:$/.test(url.protocol))
    throw badInput(`URL expects an http(s) URL, got ${shown(value)}`);
  return url.href;
}

function parseSafeInt(value: unknown): number {
  if (Number.isSafeInteger(value)) return value as number;
  throw badInput(`SafeInt expects an integer up to 2^53-1, got ${shown(value)}`);
}

/** The value of a literal that may be a string or a number; anything else is left for the parser to refuse. */
function literalOf(node: ValueNode): unknown {
  if (node.kind === Kind.STRING) return node.value;
  if (node.kind === Kind.INT || node.kind === Kind.FLOAT) return Number(node.value);
  return undefined;
}

function shown(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number') return JSON.stringify(value).slice(0, 60);
  return value === undefined ? 'another literal' : typeof value;
}

function badInput(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT' } });
}
