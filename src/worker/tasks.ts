/** The queue's tasks. There is one: deliver an invocation. */
import type { JobHelpers, TaskList } from 'graphile-worker';
import type { Deliver } from '../actions/deliver-invocation.ts';
import { describeError } from '../store/database.ts';

/** Name of the task in graphile-worker's tables; `herald.queue_events` and `settle` write it. */
export const DELIVER = 'deliver';

/** Tells graphile-worker to run the job again after its back-off. Not an error of ours: it has no stack. */
export class RetryLater extends Error {
  override readonly name = 'RetryLater';

  constructor() {
    super('the attempt failed and is retried; see herald.attempts for why');
    delete this.stack;
  }
}

export function createTasks(deliver: Deliver): TaskList {
  return {
    async [DELIVER](payload: unknown, { job }: JobHelpers) {
      const { invocation: invocationId, turn } = payload as {
        readonly invocation: string;
        readonly turn?: true;
      };
      const result = await deliver({
        invocationId,
        attempts: job.attempts,
        maxAttempts: job.max_attempts,
        turn: turn === true ? { waitedMs: Number(job.locked_at) - Number(job.run_at) } : null,
      }).catch((error: unknown) => {
        // graphile-worker logs and stores the message, which must not hold a statement's parameters.
        throw new Error(describeError(error));
      });
      if (result === 'RETRY') throw new RetryLater();
    },
  };
}
