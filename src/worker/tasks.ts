/** The queue's tasks. There is one: deliver an invocation. */
import type { Job, TaskList } from 'graphile-worker';
import type { Deliver, JobResult } from '../actions/deliver-invocation.ts';
import { type Database, describeError } from '../store/database.ts';
import { markBegun } from '../store/rescue.ts';
import { postponeJobs } from '../store/workers.ts';
import type { Lease } from './lease.ts';
import { SUSPECT_AFTER_LOSSES, type SuspectLane } from './suspects.ts';

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

export interface TaskOptions {
  readonly deliver: Deliver;
  readonly db: Database;
  readonly suspects: SuspectLane;
}

/** Which jobs of one queue are at work. */
export interface Hands {
  readonly lease: Lease;
  /** Ids of jobs whose attempt may have gone out. */
  readonly begun: Set<string>;
  /** Jobs at work, begun or not. */
  busy: number;
  /** Called when the last one at work has ended. */
  emptied: () => void;
}

interface Payload {
  readonly invocation: string;
  /** How often in a row a process died with the job in its hands (store/rescue.ts). */
  readonly lost?: number;
}

export function createTasks({ deliver, db, suspects }: TaskOptions, hands: Hands): TaskList {
  async function mayBegin(jobId: string): Promise<boolean> {
    if (!(await hands.lease.confirm())) return false;
    hands.begun.add(jobId);
    return true;
  }

  async function run(job: Job): Promise<JobResult> {
    const { invocation: invocationId, lost = 0 } = job.payload as Payload;
    const attempt = (): Promise<JobResult> =>
      deliver({
        invocationId,
        attempts: job.attempts,
        maxAttempts: job.max_attempts,
        mayBegin: () => mayBegin(job.id),
      });
    if (lost < SUSPECT_AFTER_LOSSES) return attempt();
    const delayMs = suspects.delayMs();
    if (delayMs !== null) {
      await postponeJobs(db, [{ invocationId, delayMs }]);
      return 'DONE';
    }
    return suspects.run(async () => {
      const mine = (await mayBegin(job.id)) && (await markBegun(db, job.locked_by ?? '', job.id));
      return mine ? attempt() : 'RETRY';
    });
  }

  return {
    async [DELIVER](_payload: unknown, { job }: { readonly job: Job }) {
      hands.busy++;
      try {
        if ((await run(job)) === 'RETRY') throw new RetryLater();
      } catch (error) {
        if (error instanceof RetryLater) throw error;
        // graphile-worker logs and stores the message, which must not hold a statement's parameters.
        throw new Error(describeError(error));
      } finally {
        hands.begun.delete(job.id);
        hands.busy--;
        if (hands.busy === 0) hands.emptied();
      }
    },
  };
}
