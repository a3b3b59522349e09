import { type Header, MAX_RESPONSE_HEADERS } from '../domain/attempt.ts';

/** As undici wants them, names and values in turn; with `accept-encoding: identity` where none is given. */
export function flattenHeaders(headers: readonly Header[]): string[] {
  const flat: string[] = [];
  let encodingGiven = false;
  for (const [name, value] of headers) {
    if (name === 'accept-encoding') encodingGiven = true;
    flat.push(name, value);
  }
  // A compressed body would have to be unpacked to be read, and may be a bomb.
  if (!encodingGiven) flat.push('accept-encoding', 'identity');
  return flat;
}

/** What undici calls headers: it has lower-cased the names, decoded the values as latin1, and joined equal names. */
export type ReceivedHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** The first header fields of a response. */
export function readHeaders(received: ReceivedHeaders): Header[] {
  const headers: Header[] = [];
  for (const name in received) {
    const value = received[name];
    if (typeof value === 'string') headers.push([name, value]);
    else if (value !== undefined) for (const one of value) headers.push([name, one]);
    if (headers.length >= MAX_RESPONSE_HEADERS) return headers.slice(0, MAX_RESPONSE_HEADERS);
  }
  return headers;
}
