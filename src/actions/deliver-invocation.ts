/**
 * Delivers one invocation: load → envelope and signature → POST → decide → record. Loads and records are shared by
 * whatever else is being delivered at the same moment; each delivery still waits for its own commit.
 */
import type { Outcome } from '../domain/attempt.ts';
import { AppError } from '../domain/errors.ts';
import { causeOf, FINAL_STATES } from '../domain/invocation.ts';
import { type Decision, decide } from '../domain/retry.ts';
import type { Log } from '../log.ts';
import { answering, createBatcher } from '../store/batch.ts';
import type { Database } from '../store/database.ts';
import { describeError } from '../store/database-errors.ts';
import { type Delivery, loadDeliveries } from '../store/invocations.ts';
import type { SecretBox } from '../store/secrets.ts';
import { type AttemptRequest, type Settled, type Settlement, settle } from '../store/settlements.ts';
import { markRunning, type Start } from '../store/starts.ts';
import type { Sender } from '../webhook/send.ts';
import { createAdmission, type Turn } from './admission.ts';
import { buildRequest, toAttempt } from './attempt-request.ts';
import { maskSecrets } from './mask-secrets.ts';
import { createMoves } from './move-invocations.ts';
import { createOffering } from './offering.ts';
import { pauseAsHerald } from './pause-trigger.ts';
import { createShortages } from './shortages.ts';
import { createTriggerCache, type DeliveryTrigger } from './trigger-cache.ts';

export interface DeliverDeps {
  readonly db: Database;
  readonly secrets: SecretBox;
  readonly sender: Sender;
  readonly log: Log;
  /** Most attempts in flight at once. */
  readonly concurrency: number;
  /** Called when an attempt has failed, and that is recorded. */
  readonly onFailure?: () => void;
}

/** A job of the queue, about one invocation. */
export interface DeliveryJob {
  readonly invocationId: string;
  /** How often the queue has locked the job, this time included, and how often it will. */
  readonly attempts: number;
  readonly maxAttempts: number;
  /** Asked right before the attempt goes out; false where the job may be with another process. */
  mayBegin(): Promise<boolean>;
  /** The turn it was given in its trigger's line; null where it did not stand there. */
  readonly turn: Turn | null;
}

/** What the queue has to do with the job: forget it, or run it again after its back-off. */
export type JobResult = 'DONE' | 'RETRY';

export type Deliver = (job: DeliveryJob) => Promise<JobResult>;

/** One statement takes this many; more gains nothing and makes the first one wait. */
const MAX_BATCH = 400;
/** Milliseconds a batch gathers while deliveries come in numbers: bigger batches, lower latency (architecture.md). */
const GATHER_MS = 4;
/** Attempts that end sooner are recorded once, when they have ended; slower ones are shown while they last. */
const SHOW_AFTER_MS = 400;

export function createDeliver(deps: DeliverDeps): Deliver {
  const { db, secrets, sender, log, concurrency, onFailure = () => {} } = deps;
  const triggers = createTriggerCache(db, secrets);
  const limits = { maxSize: MAX_BATCH, concurrency: 2, gatherMs: GATHER_MS, maxWaiting: 100_000 };
  const loads = createBatcher({ flush: (ids: readonly string[]) => loadDeliveries(db, ids), ...limits });
  const moves = createMoves(db);
  const shortages = createShortages(db, log);
  const admission = createAdmission(db, concurrency);
  const results = createOffering();
  const starts = createBatcher({
    flush: answering((batch: readonly Start[]) => markRunning(db, batch)),
    ...limits,
  });
  const records = createBatcher({
    flush: (batch: readonly Settlement[]) => results.offer(() => settle(db, batch)),
    ...limits,
  });

  /** Nothing goes out that could not be recorded, nor what may be with another process. */
  async function begin(job: DeliveryJob): Promise<boolean> {
    while (await job.mayBegin()) {
      if (!results.stuck()) return true;
      await results.nextTry();
    }
    return false;
  }

  async function send(delivery: Delivery, trigger: DeliveryTrigger) {
    const request = buildRequest(delivery, trigger);
    const cause = causeOf(delivery.attemptCount + 1, delivery.manualAttempt);
    const sent = toAttempt(cause, trigger, request);
    const outcome = await showing(delivery, sent, sender.send(request));
    return { sent, outcome: maskSecrets(outcome, trigger.secretValues) };
  }

  /** Shows the attempt as RUNNING once it has been in flight for more than a moment, and waits for its end. */
  async function showing(
    delivery: Delivery,
    attempt: AttemptRequest,
    sending: Promise<Outcome>,
  ): Promise<Outcome> {
    let shown: Promise<unknown> | null = null;
    const timer = setTimeout(() => {
      const { id: invocationId, attemptCount: attemptsBefore } = delivery;
      const start = { invocationId, attemptsBefore, elapsedMs: SHOW_AFTER_MS, attempt };
      shown = starts
        .add(start)
        .catch((error: unknown) =>
          log('debug', 'could not show an attempt', { error: describeError(error) }),
        );
    }, SHOW_AFTER_MS);
    const outcome = await sending;
    clearTimeout(timer);
    if (shown === null) return outcome;
    // The end is recorded after the beginning, or it would be taken for another process' attempt.
    await shown;
    // What was shown has to end, whosever fault it was.
    const { shortage: _, ...recorded } = outcome;
    return recorded;
  }

  /** What cannot be stored as it is (a bug of ours) must not make us call the receiver for ever. */
  function record(settlement: Settlement): Promise<Settled> {
    return records.add(settlement).catch((error: unknown) => {
      if (error instanceof AppError || settlement.attempt === null) throw error;
      log('error', 'attempt could not be recorded in full', {
        invocation: settlement.invocationId,
        error: describeError(error),
      });
      return records.add({
        ...settlement,
        attempt: { ...settlement.attempt, outcome: bare(settlement.attempt.outcome) },
      });
    });
  }

  return async function deliver(job) {
    const delivery = await loads.add(job.invocationId);
    if (delivery === null || FINAL_STATES.includes(delivery.state)) return 'DONE';
    const early = withoutAttempt(delivery);
    if (early !== null) return toResult(await record(early));

    const trigger = await triggers.get(delivery.triggerId, delivery.triggerVersion);
    const { id: invocationId, triggerId } = delivery;
    if (trigger.cancelled) {
      moves.start(triggerId);
      return 'DONE';
    }
    const candidate = { invocationId, triggerId, limited: trigger.limited, turn: job.turn };
    if ((await admission.enter(candidate)) === 'LATER') return 'DONE';
    const enteredAt = performance.now();
    const made = await begin(job)
      .then((mayBegin) => (mayBegin ? send(delivery, trigger) : null))
      .finally(() => admission.leave(candidate, performance.now() - enteredAt));
    if (made === null) return 'RETRY';
    const { sent, outcome } = made;
    if (outcome.shortage) {
      await shortages.postpone(invocationId, outcome.errorMessage);
      return 'DONE';
    }
    const attempt = delivery.attemptCount + 1;
    const decision = decide({
      outcome,
      attempt,
      maxAttempts: delivery.maxAttempts,
      attemptsBeforeReset: delivery.attemptsBeforeReset,
      retrySchedule: trigger.retrySchedule,
      jobAttempts: job.attempts,
      jobMaxAttempts: job.maxAttempts,
      now: new Date(),
      random: Math.random(),
    });
    const settled = await record({
      invocationId: delivery.id,
      attemptsBefore: delivery.attemptCount,
      decision,
      maxAttempts: delivery.maxAttempts,
      dueAtMs: delivery.dueAtMs,
      attempt: { ...sent, outcome },
    });
    logAttempt(log, delivery, trigger, outcome, decision, settled);
    if (outcome.errorCode !== null) onFailure();
    if (outcome.errorCode === 'GONE') {
      // It wants nothing any more.
      await pauseAsHerald(db, triggerId, { reason: 'RECEIVER_GONE' });
      moves.start(triggerId);
    }
    return toResult(settled);
  };
}

/** What to record where no attempt is to be made; null where one is. */
function withoutAttempt({ id, attemptCount, triggerStatus }: Delivery): Settlement | null {
  // A DISABLED trigger creates no invocations; those it has are delivered to their end.
  if (triggerStatus !== 'PAUSED') return null;
  return { invocationId: id, attemptsBefore: attemptCount, attempt: null, decision: { kind: 'HOLD' } };
}

/**
 * OVERTAKEN runs the job again: if another process holds it that changes nothing, and if it was our own first try at
 * recording that went through unseen, the next run finds what it left.
 */
function toResult(settled: Settled): JobResult {
  return settled === 'DONE' ? 'DONE' : 'RETRY';
}

function bare(outcome: Outcome): Outcome {
  const response = outcome.response && {
    ...outcome.response,
    headers: [],
    body: Buffer.alloc(0),
    remoteAddress: null,
  };
  return { ...outcome, errorMessage: outcome.errorCode && 'the details could not be stored', response };
}

/** One wide line per attempt. The URL's query is left out: it may hold a secret. */
function logAttempt(
  log: Log,
  delivery: Delivery,
  trigger: DeliveryTrigger,
  outcome: Outcome,
  decision: Decision,
  settled: Settled,
): void {
  log('info', outcome.errorCode === null ? 'delivered' : 'attempt failed', {
    event: delivery.eventId,
    invocation: delivery.id,
    trigger: delivery.triggerId,
    triggerName: trigger.name,
    project: delivery.project,
    type: delivery.type,
    attempt: delivery.attemptCount + 1,
    of: delivery.maxAttempts,
    status: outcome.response?.statusCode,
    errorCode: outcome.errorCode ?? undefined,
    error: outcome.errorMessage ?? undefined,
    durationMs: outcome.timings.totalMs,
    next: decision.kind,
    nextInSeconds: decision.kind === 'RETRY' ? Math.round(decision.delaySeconds * 10) / 10 : undefined,
    discarded: settled === 'OVERTAKEN' || undefined,
  });
}
