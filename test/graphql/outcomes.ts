import { randomUUID } from 'node:crypto';
/** What the worker would have recorded, for tests without one. */
import type { AttemptErrorCode } from '../../src/domain/attempt.ts';
import type { Executor } from '../../src/store/database.ts';
import { type Settlement, settle } from '../../src/store/settlements.ts';

export interface Played {
  readonly invocationId: string;
  /** 1 for the first attempt. */
  readonly number: number;
  readonly statusCode: number;
  readonly decision: Settlement['decision'];
  readonly responseBody?: Buffer;
  readonly bodySize?: number;
}

/** Records attempts as if they had been made, in one batch. */
export async function play(db: Executor, ...attempts: readonly Played[]): Promise<void> {
  const settled = await settle(db, attempts.map(toSettlement));
  if (settled.some((one) => one === 'OVERTAKEN')) throw new Error(`overtaken: ${JSON.stringify(settled)}`);
}

export const SUCCEED = { kind: 'SUCCEED' } as const;
export const RETRY = { kind: 'RETRY', by: 'US', delaySeconds: 60 } as const;
export const GIVE_UP = { kind: 'GIVE_UP', reason: 'RETRIES_EXHAUSTED' } as const;

function toSettlement(played: Played): Settlement {
  const {
    invocationId,
    number,
    statusCode,
    decision,
    responseBody = Buffer.from('ok'),
    bodySize = 2,
  } = played;
  const errorCode: AttemptErrorCode | null = statusCode < 300 ? null : 'HTTP_STATUS';
  return {
    invocationId,
    attemptsBefore: number - 1,
    decision,
    attempt: {
      id: randomUUID(),
      cause: number === 1 ? 'INITIAL' : 'RETRY',
      url: 'http://127.0.0.1:9/hook',
      headers: [
        ['content-type', 'application/json'],
        ['x-secret', '***'],
      ],
      bodySize,
      contentMode: 'JSON',
      specVersion: '1.0-rc1',
      outcome: {
        errorCode,
        errorMessage: errorCode === null ? null : `the receiver answered ${statusCode}`,
        response: {
          statusCode,
          headers: [['server', 'test']],
          body: responseBody,
          bodyTruncated: false,
          remoteAddress: '127.0.0.1',
        },
        timings: { dnsMs: null, connectMs: 1.25, tlsMs: null, firstByteMs: 10.5, totalMs: 12 },
      },
    },
  };
}
