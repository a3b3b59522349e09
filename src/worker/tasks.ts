/** The queue's tasks. There is one: deliver an invocation. */
import type { Job, TaskList } from 'graphile-worker';
import type { Deliver, JobResult } from '../actions/deliver-invocation.ts';
import type { Database } from '../store/database.ts';
import { describeError } from '../store/database-errors.ts';
import { postponeJobs } from '../store/postponements.ts';
import { markBegun } from '../store/rescue.ts';

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
  /** Ids of jobs at work, begun or not. */
  readonly atWork: Set<string>;
  /** Ids of jobs whose attempt may have gone out. */
  readonly begun: Set<string>;
  /** Called when the last one at work has ended. */
  emptied: () => void;
}

interface Payload {
  readonly invocation: string;
  /** How often in a row a process died with the job in its hands (store/rescue.ts). */
  readonly lost?: number;
  /** It was called from its trigger's line (store/waiting-lines.ts). */
  readonly turn?: true;
}

export function createTasks({ deliver, db, suspects }: TaskOptions, hands: Hands): TaskList {
  async function mayBegin(jobId: string): Promise<boolean> {
    if (!(await hands.lease.confirm())) return false;
    hands.begun.add(jobId);
    return true;
  }

  async function run(job: Job): Promise<JobResult> {
    // Before the trigger's share is asked for: our own wait, e.g. at the start, says nothing about the receiver.
    if (!(await hands.lease.confirm())) return 'RETRY';
    const { invocation: invocationId, lost = 0, turn } = job.payload as Payload;
    const attempt = (): Promise<JobResult> =>
      deliver({
        invocationId,
        attempts: job.attempts,
        maxAttempts: job.max_attempts,
        turn: turn === true ? { waitedMs: milliseconds(job.locked_at) - milliseconds(job.run_at) } : null,
        mayBegin: () => mayBegin(job.id),
      });
    if (lost < SUSPECT_AFTER_LOSSES) return attempt();
    const delayMs = suspects.delayMs();
    if (delayMs !== null) {
      await postponeJobs(db, [{ invocationId, delayMs, keepsTurn: true }]);
      return 'DONE';
    }
    return suspects.run(async () => {
      const mine = (await mayBegin(job.id)) && (await markBegun(db, job.locked_by ?? '', job.id));
      return mine ? attempt() : 'RETRY';
    });
  }

  return {
    async [DELIVER](_payload: unknown, { job }: { readonly job: Job }) {
      hands.atWork.add(job.id);
      try {
        if ((await run(job)) === 'RETRY') throw new RetryLater();
      } catch (error) {
        if (error instanceof RetryLater) throw error;
        // graphile-worker logs and stores the message, which must not hold a statement's parameters.
        throw new Error(describeError(error));
      } finally {
        hands.begun.delete(job.id);
        hands.atWork.delete(job.id);
        if (hands.atWork.size === 0) hands.emptied();
      }
    },
  };
}

/** The pool leaves times as the text they came in (`openWorkerPool`), whatever graphile-worker's types say. */
function milliseconds(time: Date | string | null): number {
  return Date.parse(String(time));
}
