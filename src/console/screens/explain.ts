/** What went wrong, in plain words, and what to do about it. */
import type { Attempt } from '../api/invocation.ts';
import { humane, milliseconds } from '../ui/words.ts';

interface Explanation {
  readonly what: string;
  readonly advice: string;
}

/** By error code. What depends on the answer itself is refined in `explain`. */
const EXPLANATIONS: Readonly<Record<string, Explanation>> = {
  HTTP_STATUS: {
    what: 'The receiver answered with an error.',
    advice: 'Look at its answer below and at the receiver’s own log for this webhook-id.',
  },
  REDIRECT: {
    what: 'The receiver answered with a redirect, and redirects are never followed.',
    advice: 'Change the trigger’s URL to the final address; see the location header of the answer.',
  },
  GONE: {
    what: 'The receiver answered 410 Gone: it wants no more webhooks here.',
    advice: 'The trigger was paused. Correct its URL and resume it, or delete it.',
  },
  RATE_LIMITED: {
    what: 'The receiver answered 429: it gets too many requests.',
    advice: 'Set a limit per minute in the trigger’s advanced settings. Its Retry-After is respected.',
  },
  TIMEOUT: {
    what: 'The receiver did not answer in time.',
    advice: 'Let the receiver answer at once and work afterwards, or raise the trigger’s timeout.',
  },
  DNS_NOT_FOUND: {
    what: 'The host name of the URL does not exist.',
    advice: 'Check the trigger’s URL for a mistake, and whether the name resolves from Herald’s machine.',
  },
  DNS_FAILURE: {
    what: 'The host name could not be looked up.',
    advice: 'Usually passing. If not, check the name servers of Herald’s machine.',
  },
  CONNECTION_REFUSED: {
    what: 'Nothing listens at that address and port.',
    advice: 'Is the receiver running? Does the URL name the right port?',
  },
  CONNECTION_RESET: {
    what: 'The connection was closed before an answer came.',
    advice: 'Often a receiver or proxy that restarts or crashes on the request. See the receiver’s log.',
  },
  NETWORK: {
    what: 'The network failed on the way.',
    advice: 'Check routes and firewalls between Herald and the receiver.',
  },
  TLS: {
    what: 'No secure connection: the TLS handshake or the certificate check failed.',
    advice: 'Check the receiver’s certificate: expired, for another name, or with its chain missing?',
  },
  BLOCKED_ADDRESS: {
    what: 'The egress policy forbids this address.',
    advice: 'If it is meant to be reachable, allow its network with EGRESS_ALLOW_CIDRS; see Settings.',
  },
  PROTOCOL: {
    what: 'The answer was not valid HTTP.',
    advice: 'Does the URL’s port speak HTTP, and https or http as the URL says?',
  },
  WORKER_LOST: {
    what: 'The worker stopped in the middle; whether the receiver got the request is unknown.',
    advice: 'It is attempted again by itself, with the same webhook-id for the receiver to tell.',
  },
  INVALID_REQUEST: {
    what: 'No request could be built from the event and the trigger.',
    advice: 'Check the trigger’s URL and headers.',
  },
};

export const ERROR_CODES: readonly (readonly [value: string, label: string])[] = Object.keys(
  EXPLANATIONS,
).map((code) => [code, humane(code)]);

type Failed = Pick<Attempt, 'errorCode' | 'errorMessage'> & {
  readonly response: { readonly statusCode: number } | null;
};

/** Null for an attempt that did not fail. */
export function explain({ errorCode, errorMessage, response }: Failed): Explanation | null {
  if (errorCode === null) return null;
  const known = EXPLANATIONS[errorCode];
  if (errorCode === 'HTTP_STATUS' && response !== null) return explainStatus(response.statusCode);
  return known ?? { what: errorMessage ?? humane(errorCode), advice: 'See the attempt below.' };
}

function explainStatus(status: number): Explanation {
  const what = `The receiver answered ${status}${STATUS_WORDS[status] === undefined ? '' : ` ${STATUS_WORDS[status]}`}.`;
  if (status === 401 || status === 403) {
    const advice =
      'It refuses the caller. Does it verify with the right signing secret, or expect a header with a credential?';
    return { what, advice };
  }
  if (status === 404 || status === 405) {
    return { what, advice: 'Nothing takes a POST at this path. Check the path in the trigger’s URL.' };
  }
  if (status >= 500) {
    return { what, advice: 'The fault is in the receiver: look in its log for this webhook-id.' };
  }
  return { what, advice: 'The receiver does not accept this request; its answer below may say why.' };
}

export const STATUS_WORDS: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  301: 'Moved Permanently',
  302: 'Found',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/** An attempt in a few words, for a row: `500 Internal Server Error`, `Timeout`, `200 OK in 12 ms`. */
export function inShort(attempt: Failed & { readonly durationMs: number | null }): string {
  const { errorCode, response, durationMs } = attempt;
  const status = response?.statusCode;
  const answer = status === undefined ? null : `${status} ${STATUS_WORDS[status] ?? ''}`.trim();
  if (errorCode === null)
    return `${answer ?? 'In flight'}${durationMs === null ? '' : ` in ${milliseconds(durationMs)}`}`;
  return answer ?? humane(errorCode);
}

const REASONS: Readonly<Record<string, string>> = {
  RETRIES_EXHAUSTED: 'All attempts were used up.',
  RECEIVER_GONE: 'The receiver answered 410 Gone, so it was given up at once.',
  BLOCKED: 'The egress policy forbids the address, so it was given up at once.',
  TRIGGER_REMOVED: 'The trigger was deleted or disabled.',
  INVALID_REQUEST: 'No request could be built from the event and the trigger.',
  WORKER_LOST: 'Every worker that tried it ended in the middle.',
};

export function explainReason(reason: string | null): string {
  return reason === null ? '' : (REASONS[reason] ?? humane(reason));
}

/** Why a trigger is not ACTIVE, in few words. */
const PAUSES: Readonly<Record<string, string>> = {
  MANUAL: 'by hand',
  RECEIVER_GONE: 'its receiver answered 410 Gone',
  CONSECUTIVE_FAILURES: 'every attempt failed for too long',
};

export function explainPause(reason: string): string {
  return PAUSES[reason] ?? humane(reason);
}
