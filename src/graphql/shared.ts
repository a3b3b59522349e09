/** Small types that several others use. */
import type { Header } from '../domain/attempt.ts';
import { builder } from './builder.ts';
import './scalars.ts';

export const OrderDirection = builder.enumType('OrderDirection', {
  description: 'Direction of a sort order.',
  values: {
    ASC: { description: 'Smallest or oldest first.' },
    DESC: { description: 'Largest or newest first.' },
  },
});

export const DateTimeRange = builder.inputType('DateTimeRange', {
  description: 'A half-open time interval `[from, to)`. Either side may be open.',
  fields: (t) => ({
    from: t.field({ type: 'DateTime', description: 'Inclusive lower bound.' }),
    to: t.field({ type: 'DateTime', description: 'Exclusive upper bound.' }),
  }),
});

export const IntRange = builder.inputType('IntRange', {
  description: 'An inclusive integer interval. Either side may be open.',
  fields: (t) => ({
    min: t.int({ description: 'Inclusive lower bound.' }),
    max: t.int({ description: 'Inclusive upper bound.' }),
  }),
});

export const HttpHeader = builder.objectRef<{ readonly name: string; readonly value: string }>('HttpHeader');
HttpHeader.implement({
  description: 'An HTTP header field as sent or received.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Field name, lower case.' }),
    value: t.exposeString('value', { description: 'Field value. Secret values read as `***`.' }),
  }),
});

/** Headers as stored, as `HttpHeader`s. */
export function headerList(headers: readonly Header[] | null) {
  return (headers ?? []).map(([name, value]) => ({ name, value }));
}

export const HttpHeaderInput = builder.inputType('HttpHeaderInput', {
  description: 'An HTTP header field to send.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description: 'Field name; must be an RFC 9110 token and not one of the reserved names.',
    }),
    value: t.string({
      required: true,
      description: 'Field value, at most 4096 visible ASCII characters, spaces and tabs.',
    }),
    secret: t.boolean({ defaultValue: false, description: 'Store encrypted and never show again.' }),
  }),
});

export const CONTENT_MODE = builder.enumType('ContentMode', {
  description: 'How a CloudEvent is mapped to the HTTP request.',
  values: {
    JSON: {
      description: 'The JSON event format with `Content-Type: application/json` (compatible default).',
    },
    STRUCTURED: {
      description:
        'Structured mode: the JSON event format with `Content-Type: application/cloudevents+json`.',
    },
    BINARY: { description: 'Binary mode: attributes as `ce-` headers, `data` as the body.' },
  },
});

export const SPEC_VERSION = builder.enumType('SpecVersion', {
  description: 'The CloudEvents specification version a trigger sends.',
  values: {
    V1_0_RC1: { value: '1.0-rc1', description: '`1.0-rc1` (compatible default).' },
    V1_0: { value: '1.0', description: '`1.0`.' },
  } as const,
});
