import { errors } from 'undici';
import type { AttemptErrorCode } from '../domain/attempt.ts';

/** Why an attempt has no response, where we already know the class of failure. */
export class AttemptFailure extends Error {
  readonly failure: AttemptErrorCode;

  constructor(failure: AttemptErrorCode, message: string) {
    super(message);
    this.name = 'AttemptFailure';
    this.failure = failure;
  }
}

/** What a status line comes to: null means delivered. */
export function classifyStatus(status: number): { code: AttemptErrorCode; message: string } | null {
  if (status >= 200 && status < 300) return null;
  const message = `expected a 2xx status, got ${status}`;
  if (status >= 300 && status < 400)
    return { code: 'REDIRECT', message: `${message}; redirects are not followed` };
  if (status === 410) return { code: 'GONE', message };
  if (status === 429) return { code: 'RATE_LIMITED', message };
  return { code: 'HTTP_STATUS', message };
}

/** What anything thrown by Node's sockets, TLS or undici comes to. Unknown errors are NETWORK. */
export function classifyError(error: unknown): { code: AttemptErrorCode; message: string } {
  const first = firstOf(error);
  const message = messageOf(first);
  if (first instanceof AttemptFailure) return { code: first.failure, message };
  const code = codeOf(first);
  const known = CODES[code];
  if (known !== undefined) return { code: known, message };
  if (first instanceof errors.HTTPParserError) return { code: 'PROTOCOL', message }; // its code is undefined
  if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_')) return { code: 'TLS', message };
  if (code === 'UND_ERR_SOCKET') return socketClosed(message);
  return { code: 'NETWORK', message };
}

/** Whether no connection could be made because this process or machine has run out of something. */
export function isShortage(error: unknown): boolean {
  return SHORTAGES.has(codeOf(firstOf(error)));
}

const SHORTAGES: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

/** An error during the TLS handshake: a reset stays a reset, everything else is about certificates and protocols. */
export function classifyHandshake(error: unknown): AttemptFailure {
  const { code, message } = classifyError(error);
  return code === 'CONNECTION_RESET' || code === 'TIMEOUT'
    ? new AttemptFailure(code, `${message} (during the TLS handshake)`)
    : new AttemptFailure(
        'TLS',
        /wrong version number|packet length too long/i.test(message)
          ? NO_TLS
          : message.replace(NODES_ADVICE, OUR_ADVICE),
      );
}

/** An error of the name lookup: only "there is no such name" is told apart. */
export function classifyLookup(error: unknown, hostname: string): AttemptFailure {
  const code = codeOf(error);
  return NO_SUCH_NAME.has(code)
    ? new AttemptFailure('DNS_NOT_FOUND', `no address for ${hostname} (${code})`)
    : new AttemptFailure('DNS_FAILURE', `looking up ${hostname} failed (${code || messageOf(error)})`);
}

const NO_SUCH_NAME: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA', 'EAI_NONAME', 'EAI_NODATA']);

const CODES: Readonly<Record<string, AttemptErrorCode>> = {
  ECONNREFUSED: 'CONNECTION_REFUSED',
  ECONNRESET: 'CONNECTION_RESET',
  ECONNABORTED: 'CONNECTION_RESET',
  EPIPE: 'CONNECTION_RESET',
  ETIMEDOUT: 'TIMEOUT', // the kernel gave up before our deadline did
  EPROTO: 'TLS',
  ERR_ASSERTION: 'PROTOCOL', // undici asserts what a receiver can break
  UND_ERR_HEADERS_OVERFLOW: 'PROTOCOL',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'PROTOCOL',
  UND_ERR_INVALID_ARG: 'INVALID_REQUEST',
  UND_ERR_NOT_SUPPORTED: 'INVALID_REQUEST',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'INVALID_REQUEST',
};

/** undici has one code for a peer that hangs up and for one that answers 100 or 101; only the message differs. */
function socketClosed(message: string): { code: AttemptErrorCode; message: string } {
  if (message === 'bad upgrade')
    return { code: 'PROTOCOL', message: 'the receiver switched protocols unasked' };
  if (message === 'bad response') return { code: 'PROTOCOL', message: 'unexpected interim response' };
  return { code: 'CONNECTION_RESET', message: 'the receiver closed the connection without an answer' };
}

/** Several addresses were tried: the first one's error speaks for all. */
function firstOf(error: unknown): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

/** Kept of an error's message, in characters: a hostile certificate can name thousands of hosts in its error. */
const MAX_MESSAGE_CHARS = 500;

function messageOf(error: unknown): string {
  const text =
    error instanceof Error && error.message !== '' ? error.message : codeOf(error) || 'unknown error';
  return text
    .slice(0, MAX_MESSAGE_CHARS)
    .replace(/\p{Cc}/gu, ' ')
    .toWellFormed();
}

/** What Node adds to some of its messages is about a Node of one's own. */
const NODES_ADVICE = /; if the root CA is installed locally.*$/;
const OUR_ADVICE = '; EGRESS_CA_FILE names further authorities';
/** What OpenSSL calls a wrong version number is an answer in clear text. */
const NO_TLS = 'the receiver does not speak TLS on this port; is it an http: URL?';
