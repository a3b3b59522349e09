/** `isSynchronous`: the caller waits for the receiver's own answer. */
import type { ServerResponse } from 'node:http';
import type { AttemptRow } from '../store/attempts.ts';
import { findAttempts } from '../store/attempts.ts';
import type { ChangeFeed } from '../store/changes.ts';
import type { Database } from '../store/database.ts';
import { findInvocationsOfEvent } from '../store/invocations.ts';
import type { Selection } from '../store/subscription.ts';

export type Answer =
  /** `result` is the parsed body of the first success: any JSON value, else its text; null when there is none. */
  | { readonly kind: 'ANSWERED'; readonly result: unknown }
  | { readonly kind: 'UNANSWERED'; readonly detail: string }
  /** Changes were missed; the feed looks again by itself. */
  | { readonly kind: 'MISSED' };

/** Waits for the first success of the event's invocations; gives up early when the caller hangs up. */
export type AwaitAnswer = (
  eventId: string,
  res: ServerResponse,
) => Promise<Exclude<Answer, { kind: 'MISSED' }>>;

/** How long a synchronous caller waits, in ms (wire.md section 2). */
const SYNCHRONOUS_TIMEOUT_MS = 10_000;

export function createAwaitAnswer(db: Database, feed: ChangeFeed): AwaitAnswer {
  return async (eventId, res) => {
    const look = async (): Promise<Selection<Answer>> => {
      const answer = await readAnswer(db, eventId);
      return answer === null ? { items: [] } : { items: [answer], done: true };
    };
    const answers = feed.watch<Answer>({
      start: look,
      select: (changes) =>
        changes.some(({ event }) => event === eventId) ? look() : Promise.resolve({ items: [] }),
      missed: () => ({ kind: 'MISSED' }),
    });
    const stop = () => void answers.return?.();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      stop();
    }, SYNCHRONOUS_TIMEOUT_MS);
    res.once('close', stop);
    try {
      for (let next = await answers.next(); next.done !== true; next = await answers.next()) {
        if (next.value.kind !== 'MISSED') return next.value;
      }
      const detail = late
        ? `no receiver answered 2xx within ${SYNCHRONOUS_TIMEOUT_MS / 1000} s; the event is queued and goes on`
        : 'Herald is shutting down; the event is queued and goes on';
      return { kind: 'UNANSWERED', detail };
    } finally {
      clearTimeout(timer);
      res.off('close', stop);
      stop();
    }
  };
}

/** Null while there is hope. */
async function readAnswer(db: Database, eventId: string): Promise<Answer | null> {
  const invocations = await findInvocationsOfEvent(db, eventId);
  const succeeded = invocations
    .filter(({ status }) => status === 'SUCCEEDED')
    .sort((a, b) => (a.finishedAt?.getTime() ?? 0) - (b.finishedAt?.getTime() ?? 0))[0];
  if (succeeded !== undefined) {
    const [attempt] = await findAttempts(db, [
      { invocationId: succeeded.id, number: succeeded.attemptCount },
    ]);
    return { kind: 'ANSWERED', result: resultOf(attempt) };
  }
  if (invocations.length === 0) return { kind: 'ANSWERED', result: null };
  if (invocations.every(({ finishedAt }) => finishedAt !== null)) {
    return { kind: 'UNANSWERED', detail: 'every delivery of the event failed; see its attempts for why' };
  }
  return null;
}

function resultOf(attempt: AttemptRow | undefined): unknown {
  const text = attempt?.responseBody?.toString() ?? '';
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
