/** Queues events: checks them, then lets concurrent callers share one statement and one commit. */
import { fail, type Problem, problem, type Result, succeed } from '../domain/errors.ts';
import { checkEvent, type NewEvent } from '../domain/event.ts';
import { createBatcher } from '../store/batch.ts';
import { type Database, inTransaction, limitWaitForLocks } from '../store/database.ts';
import { repeatingConflicts, translateDatabaseError } from '../store/database-errors.ts';
import { isKeyInUse, KEY_WAIT_MS, type QueuedEvent, queueEvents, queueKeyedEvents } from '../store/events.ts';

export interface Queue {
  /** Resolves after COMMIT. A problem's field is below the event, e.g. `['type']`. */
  queueEvent(event: NewEvent): Promise<Result<QueuedEvent>>;
  /** All or none, in one transaction. A problem's field starts with the event's index, e.g. `['3', 'type']`. */
  queueEvents(events: readonly NewEvent[]): Promise<Result<readonly QueuedEvent[]>>;
}

/** Events a statement takes: beyond a few hundred the gain is gone and the wait for the first one grows. */
const MAX_BATCH = 500;
/** Characters of data a statement takes, so that large events do not add up to a statement that is too large. */
const MAX_BATCH_CHARACTERS = 4 * 1024 * 1024;
/** A statement has a price of its own, about that of so many events; more batches than that are plenty. */
const ENOUGH = 16;
/** Callers that may wait for the database: about a second's worth; more are told to come back. */
const MAX_WAITING = 20_000;

export function createQueue(db: Database): Queue {
  const flush = (events: readonly NewEvent[]) => repeatingConflicts(() => queueEvents(db, events));
  const limits = {
    maxSize: MAX_BATCH,
    gatherMs: 3,
    enough: ENOUGH,
    maxWaiting: MAX_WAITING,
    weigh: (event: NewEvent) => event.data.length,
    maxWeight: MAX_BATCH_CHARACTERS,
  };
  const plain = createBatcher({ flush, concurrency: 2, ...limits });
  // An idempotency key waits for whoever is taking the same key, maybe in a user's long transaction: events without
  // one must not wait along.
  const flushKeyed = (events: readonly NewEvent[]) => queueKeyedEvents(db, events);
  const keyed = createBatcher({ flush: flushKeyed, concurrency: 4, ...limits });
  // Batches share a statement and a commit too: more than two transactions at once only wait for one another.
  const together = createBatcher({
    flush: (batches: readonly (readonly NewEvent[])[]) => queueBatches(db, batches),
    ...limits,
    concurrency: 2,
    weigh: weighBatch,
    maxWeight: 1,
  });
  const keyedTogether = createBatcher({
    flush: async ([batch = []]: readonly (readonly NewEvent[])[]) => [await queueTogether(db, batch)],
    ...limits,
    concurrency: 4,
    maxSize: 1,
    weigh: () => 1,
  });

  return {
    async queueEvent(event) {
      const problems = checkEvent(event, new Date());
      if (problems.length > 0) return fail(...problems);
      try {
        const queued = await (event.idempotencyKey === null ? plain : keyed).add(notBeforeEpoch(event));
        const refusal = refusalOf(queued, event);
        return refusal === null ? succeed(queued) : fail(refusal);
      } catch (error) {
        if (isKeyInUse(error)) return fail(inProgress('idempotencyKey'));
        throw translateDatabaseError(error);
      }
    },
    async queueEvents(events) {
      const now = new Date();
      const problems = events.flatMap((event, index) => below(index, checkEvent(event, now)));
      if (problems.length > 0) return fail(...problems);
      const hasKeys = events.some(({ idempotencyKey }) => idempotencyKey !== null);
      try {
        return await (hasKeys ? keyedTogether : together).add(events.map(notBeforeEpoch));
      } catch (error) {
        // Which of them it is, nobody says.
        if (isKeyInUse(error)) return fail(inProgress([]));
        throw translateDatabaseError(error);
      }
    },
  };
}

/** The part of a statement that a batch takes: of its events, or of its characters, whichever is more. */
function weighBatch(events: readonly NewEvent[]): number {
  const characters = events.reduce((sum, { data }) => sum + data.length, 0);
  return Math.max(events.length / MAX_BATCH, characters / MAX_BATCH_CHARACTERS);
}

/** Any past time is due at once, and years before 1 are written in a way that Postgres does not read. */
function notBeforeEpoch(event: NewEvent): NewEvent {
  return event.timestamp !== null && event.timestamp.getTime() < 0
    ? { ...event, timestamp: new Date(0) }
    : event;
}

/** Carries the refusals out of the transaction, so that it rolls back. */
class Refused extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('some events were refused');
    this.problems = problems;
  }
}

/** Queues several batches in one transaction; where one of them is refused, each in its own. */
async function queueBatches(
  db: Database,
  batches: readonly (readonly NewEvent[])[],
): Promise<readonly Result<readonly QueuedEvent[]>[]> {
  if (batches.length > 1) {
    const queued = await queueTogether(db, batches.flat());
    if (queued.ok) {
      let begin = 0;
      return batches.map(({ length }) => {
        begin += length;
        return succeed(queued.value.slice(begin - length, begin));
      });
    }
  }
  const results: Result<readonly QueuedEvent[]>[] = [];
  for (const batch of batches) results.push(await queueTogether(db, batch));
  return results;
}

async function queueTogether(
  db: Database,
  events: readonly NewEvent[],
): Promise<Result<readonly QueuedEvent[]>> {
  try {
    return succeed(
      await inTransaction(db, async (tx) => {
        if (events.some(({ idempotencyKey }) => idempotencyKey !== null)) {
          await limitWaitForLocks(tx, KEY_WAIT_MS);
        }
        const answers = await queueEvents(tx, events);
        const refusals = answers.flatMap((answer, index) => {
          const refusal = refusalOf(answer, events[index]);
          return refusal === null ? [] : below(index, [refusal]);
        });
        if (refusals.length > 0) throw new Refused(refusals);
        return answers;
      }),
    );
  } catch (error) {
    if (error instanceof Refused) return fail(...error.problems);
    throw error;
  }
}

function refusalOf(queued: QueuedEvent, event: NewEvent | undefined): Problem | null {
  switch (queued.outcome) {
    case 'UNKNOWN_PROJECT':
      return problem('project', 'NOT_FOUND', `no project ${JSON.stringify(event?.project)}`);
    case 'KEY_REUSED':
      return problem(
        'idempotencyKey',
        'IDEMPOTENCY_KEY_REUSED',
        'this idempotency key was used for another event within the last 24 hours',
      );
    default:
      return null;
  }
}

function inProgress(field: string | readonly string[]): Problem {
  const message = 'a request with the same idempotency key is still running; repeat this one later';
  return problem(field, 'IDEMPOTENCY_IN_PROGRESS', message);
}

function below(index: number, problems: readonly Problem[]): readonly Problem[] {
  return problems.map((one) => ({ ...one, field: [String(index), ...one.field] }));
}
