/** What no honest client sends, and what every answer says to browsers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type ProblemDocument, problemText } from './problem.ts';

/** Characters of a request target: a query by GET with room to spare. */
const MAX_URL_LENGTH = 8192;
/** Header fields: beyond Node's own limit it would drop fields silently, the token among them. */
const MAX_HEADERS = 100;

/** Null where the request may be looked at. */
export function refusalOf(req: IncomingMessage): ProblemDocument | null {
  const url = req.url ?? '';
  if (url.length > MAX_URL_LENGTH) {
    const detail = `expected a URL of at most ${MAX_URL_LENGTH} characters, got ${url.length}`;
    return { status: 414, title: 'URI Too Long', code: 'TOO_LARGE', detail };
  }
  if (req.rawHeaders.length > 2 * MAX_HEADERS) {
    const detail = `expected at most ${MAX_HEADERS} header fields, got ${req.rawHeaders.length / 2}`;
    return { status: 431, title: 'Request Header Fields Too Large', code: 'TOO_LARGE', detail };
  }
  // Of two Hosts a proxy may believe the other one; an absolute target names a host of its own.
  const hosts = req.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host');
  if (hosts.length > 1 || !url.startsWith('/') || req.httpVersionMajor < 1) {
    const detail = 'expected HTTP/1, one Host header and a request target that starts with /';
    return { status: 400, title: 'Bad Request', code: 'INVALID', detail };
  }
  return null;
}

/** For every answer; the console and GraphiQL, which are pages, set their own policy. */
const ANSWER_HEADERS = Object.entries({
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
});

export function setAnswerHeaders(res: ServerResponse): void {
  for (const [name, value] of ANSWER_HEADERS) res.setHeader(name, value);
}

/** Answers what is not even HTTP, or came too slowly; the connection ends with it. */
export function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  const [status, title, code] = statusOf(error.code);
  const detail = `the request could not be read (${error.code ?? 'unknown'})`;
  const body = problemText({ status, title, code, detail });
  const headers = [
    `HTTP/1.1 ${status} ${title}`,
    'connection: close',
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    ...ANSWER_HEADERS.map(([name, value]) => `${name}: ${value}`),
  ];
  socket.end(`${headers.join('\r\n')}\r\n\r\n${body}`);
}

function statusOf(code: string | undefined): readonly [status: number, title: string, code: string] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return [431, 'Request Header Fields Too Large', 'TOO_LARGE'];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return [408, 'Request Timeout', 'TIMEOUT'];
    default:
      return [400, 'Bad Request', 'INVALID'];
  }
}
