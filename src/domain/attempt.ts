/** What one HTTP call came to. Values only: a failed webhook is an Outcome, an exception is our own fault. */

/** An HTTP header field, name in lower case. */
export type Header = readonly [name: string, value: string];

/** Header fields as lines, `name: value` each: how the attempt log keeps them. Neither part can hold a line break. */
export function formatHeaders(headers: readonly Header[]): string {
  let lines = '';
  for (const [name, value] of headers) lines += `${name}: ${value}\n`;
  return lines;
}

/** Reads what `formatHeaders` wrote. */
export function parseHeaders(lines: string): readonly Header[] {
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
}

/** The request of one attempt, ready to send: the Buffer that was signed is the Buffer that is sent. */
export interface WebhookRequest {
  readonly url: string;
  readonly headers: readonly Header[];
  readonly body: Buffer;
  /** Absolute deadline of the whole attempt, DNS lookup and response body included, in milliseconds. */
  readonly timeoutMs: number;
}

/** Classes of failure, as in the GraphQL enum `AttemptErrorCode`. */
export const ATTEMPT_ERROR_CODES = [
  'HTTP_STATUS',
  'REDIRECT',
  'GONE',
  'RATE_LIMITED',
  'TIMEOUT',
  'DNS_NOT_FOUND',
  'DNS_FAILURE',
  'CONNECTION_REFUSED',
  'CONNECTION_RESET',
  'NETWORK',
  'TLS',
  'BLOCKED_ADDRESS',
  'PROTOCOL',
  'WORKER_LOST',
  'INVALID_REQUEST',
] as const;
export type AttemptErrorCode = (typeof ATTEMPT_ERROR_CODES)[number];

/** Milliseconds from the attempt's start; null where the phase was not reached or a connection was reused. */
export interface Timings {
  readonly dnsMs: number | null;
  readonly connectMs: number | null;
  readonly tlsMs: number | null;
  readonly firstByteMs: number | null;
  readonly totalMs: number;
}

export interface ReceivedResponse {
  readonly statusCode: number;
  /** At most MAX_RESPONSE_HEADERS. */
  readonly headers: readonly Header[];
  /** The first MAX_RESPONSE_BODY_BYTES of the body. */
  readonly body: Buffer;
  /** Whether the body was longer than what is kept, or was not read to its end. */
  readonly bodyTruncated: boolean;
  readonly remoteAddress: string | null;
}

/** What came of one attempt. `errorCode` null means delivered: the receiver's status line said 2xx. */
export interface Outcome {
  readonly errorCode: AttemptErrorCode | null;
  /** English detail for a person; null when delivered. */
  readonly errorMessage: string | null;
  /** Null when no status line was received. */
  readonly response: ReceivedResponse | null;
  readonly timings: Timings;
  /** Nothing was sent, as this machine lacked the means, e.g. file descriptors: no fault of the receiver's. */
  readonly shortage?: true;
}

/** Kept of each response body, in bytes: enough to read an error page's reason, small enough to keep always. */
export const MAX_RESPONSE_BODY_BYTES = 16 * 1024;
/** Kept of each response's header fields. */
export const MAX_RESPONSE_HEADERS = 64;
