/** Tries triggers out, apart from the queue: shows what would be sent, or sends it once and says what came of it. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import type { Outcome } from '../domain/attempt.ts';
import type { Actor } from '../domain/caller.ts';
import { fail, problem, type Result, succeed } from '../domain/errors.ts';
import { checkData, checkType } from '../domain/event.ts';
import { hmacKey } from '../domain/signature.ts';
import type { Log } from '../log.ts';
import type { Database } from '../store/database.ts';
import type { SecretBox } from '../store/secrets.ts';
import type { AttemptRequest } from '../store/settlements.ts';
import { findTriggers, type TriggerRow } from '../store/triggers.ts';
import type { Sender } from '../webhook/send.ts';
import { buildRequest, toAttempt } from './attempt-request.ts';
import { newUuid } from './ids.ts';
import { maskSecrets } from './mask-secrets.ts';
import { createTriggerCache, type DeliveryTrigger, type LiveKey } from './trigger-cache.ts';
import { audit, notFound } from './write-trigger.ts';
import { writing } from './writing.ts';

export interface TrialDeps {
  readonly db: Database;
  readonly secrets: SecretBox;
  readonly sender: Sender;
  /** CloudEvents `source` of the events that are tried. */
  readonly source: string;
  readonly log: Log;
}

/** The event to try a trigger with; null for what stands in for it. */
export interface Sample {
  readonly type: string | null;
  /** JSON text. */
  readonly data: string | null;
}

/** What is sent, or would be. */
export interface Trial {
  readonly request: AttemptRequest;
  readonly body: string;
}

/** An attempt that belongs to no invocation and is stored nowhere. */
export interface TestAttempt extends Trial {
  readonly outcome: Outcome;
  readonly startedAt: Date;
}

export interface Trials {
  /** Exactly what would be sent, but signed with keys made for it: who may look must not be able to sign. */
  preview(id: string, sample: Sample): Promise<Result<Trial>>;
  /**
   * Sends one request from this process, whatever the trigger's status and limits, and waits for its end: for the
   * trigger's timeout, MAX_TEST_MS at most, which `onWait` is told in ms. Nothing is queued, counted or retried; the
   * audit log says who did it. A trigger, a caller and the process have only so many tests.
   */
  test(id: string, sample: Sample, by: Tester): Promise<Result<TestAttempt>>;
}

export interface Tester {
  readonly actor: Actor;
  readonly onWait: (ms: number) => void;
}

/** Tests in flight at once in a process, and of one caller: each holds a connection to wherever the trigger points. */
export const MAX_TESTS = 20;
export const MAX_TESTS_OF_CALLER = 5;
/** Tests of a trigger within so many seconds: its own limits do not count. */
export const MAX_TESTS_OF_TRIGGER = 15;
const PACE_SECONDS = 60;
/** Longest that a test waits, in ms: less than the minute after which proxies hang up. */
export const MAX_TEST_MS = 50_000;
/** What is sent where nobody says what. */
const SAMPLE = '{"test":true,"message":"A test event from Herald"}';

export function createTrials({ db, secrets, sender, source, log }: TrialDeps): Trials {
  const triggers = createTriggerCache(db, secrets);
  /** Who is testing, once for each test. */
  const testing: string[] = [];
  const paces = new RateLimiterMemory({ points: MAX_TESTS_OF_TRIGGER, duration: PACE_SECONDS });

  function prepare(row: TriggerRow, trigger: DeliveryTrigger, sample: Sample) {
    const nowMs = Date.now();
    const message = {
      ...{ id: newUuid(nowMs), eventId: newUuid(nowMs), dueAtMs: nowMs },
      ...{ type: sample.type ?? row.type, data: sample.data ?? SAMPLE, source },
      ...{ traceparent: null, tracestate: null },
    };
    const request = buildRequest(message, trigger);
    const trial: Trial = {
      request: toAttempt('TEST', trigger, request),
      body: request.body.toString(),
    };
    return { request, trial };
  }

  async function test(id: string, sample: Sample, { actor, onWait }: Tester): Promise<Result<TestAttempt>> {
    const found = await writing(db, async (tx) => {
      const row = await findTrigger(tx, id);
      if (row === null) return fail(notFound(id));
      if (!(await keepsPace(row.id))) return fail(tooMany(`this trigger, within ${PACE_SECONDS} s`));
      await audit(tx, actor, 'TRIGGER_TESTED', row, namesOf(sample));
      return succeed(row);
    });
    if (!found.ok) return found;
    const row = found.value;
    const trigger = await triggers.get(row.id, row.version);
    const { request, trial } = prepare(row, trigger, sample);
    const startedAt = new Date();
    const timeoutMs = Math.min(request.timeoutMs, MAX_TEST_MS);
    onWait(timeoutMs);
    const sent = await sender.send({ ...request, timeoutMs });
    const outcome = maskSecrets(sent, trigger.secretValues);
    log('info', outcome.errorCode === null ? 'test delivered' : 'test failed', {
      ...{ trigger: row.id, triggerName: row.name, project: row.project, by: actor.id },
      status: outcome.response?.statusCode,
      errorCode: outcome.errorCode ?? undefined,
      durationMs: outcome.timings.totalMs,
    });
    return succeed({ ...trial, outcome, startedAt });
  }

  const keepsPace = (id: string): Promise<boolean> =>
    paces.consume(id).then(
      () => true,
      () => false,
    );

  return {
    async preview(id, sample) {
      const problems = checkSample(sample);
      if (problems.length > 0) return fail(...problems);
      const row = await findTrigger(db, id);
      if (row === null) return fail(notFound(id));
      const trigger = await triggers.get(row.id, row.version);
      const { trial } = prepare(row, { ...trigger, keys: trigger.keys.map(standIn) }, sample);
      return succeed(trial);
    },
    async test(id, sample, by) {
      const problems = checkSample(sample);
      if (problems.length > 0) return fail(...problems);
      const own = by.actor.id;
      if (testing.length >= MAX_TESTS) return fail(tooMany('this process at once'));
      if (testing.filter((who) => who === own).length >= MAX_TESTS_OF_CALLER) {
        return fail(tooMany('this token at once'));
      }
      testing.push(own);
      return test(id, sample, by).finally(() => testing.splice(testing.indexOf(own), 1));
    },
  };
}

const tooMany = (of: string) => problem([], 'LIMIT_EXCEEDED', `too many tests of ${of}; try again later`);

/** What is tested with, where it is not the sample, for the audit log. */
function namesOf({ type, data }: Sample): readonly string[] {
  return [...(type === null ? [] : ['type']), ...(data === null ? [] : ['data'])];
}

function checkSample({ type, data }: Sample) {
  return [...(type === null ? [] : checkType(type)), ...(data === null ? [] : checkData(data))];
}

async function findTrigger(db: Parameters<typeof findTriggers>[0], id: string): Promise<TriggerRow | null> {
  const [row] = await findTriggers(db, [id]);
  return row === undefined || row.deletedAt !== null ? null : row;
}

/** A key of the same kind, known to nobody. */
function standIn({ key, expiresAt }: LiveKey): LiveKey {
  const other = key.type === 'private' ? generateKeyPairSync('ed25519').privateKey : hmacKey(randomBytes(32));
  return { key: other, expiresAt };
}
