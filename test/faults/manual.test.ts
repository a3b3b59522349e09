/**
 * People cancel, reschedule, retry, pause and resume while workers fetch, deliver and record the same invocations (F28):
 * each change has one winner, and what the database says is what the receiver saw.
 */
import { expect, test } from 'vitest';
import { createTrigger, startTestApp } from '../support/app.ts';
import { attemptsAddUp, drained } from '../support/checker.ts';
import { openSql } from '../support/database.ts';
import { createRandom, SEED } from '../support/random.ts';
import { ok, startReceiver } from '../support/receiver.ts';

const EVENTS = 240;
/** Events that are due in an hour, for changes that find nobody at work. */
const COLD = 60;
const HOUR_MS = 3_600_000;
/** Over so many ms they fall due, one after the other, while people change them. */
const SPAN_MS = 2500;
/** So long after its due time an event is likely to be in a worker's hands. */
const HOT_MS = 60;
/** An attempt that was just beginning when it was cancelled arrives within this many ms. */
const BEGINNING_MS = 1000;
/** Clocks are read by the database and by the test, and an attempt's beginning is its end less what it took. */
const ROUNDING_MS = 5;

const KINDS = ['cancelEvent', 'cancelInvocation', 'retryInvocation', 'rescheduleEvent'];
const WHAT = [...KINDS, 'rescheduleEvent', 'rescheduleEvent', 'PAUSE'];

interface Answer {
  readonly userErrors: readonly { readonly code: string; readonly message: string }[];
}

test(`cancelled, moved, retried and paused at every moment: one winner each (FAULT_SEED=${SEED})`, async () => {
  const random = createRandom();
  await using receiver = await startReceiver();
  receiver.answer = (delivery, res) => {
    const failing = random.next() < 0.4;
    const answer = () => (failing ? void res.writeHead(500).end() : ok(delivery, res));
    setTimeout(answer, random.between(0, 60));
  };
  await using app = await startTestApp({ env: { CONCURRENCY: '40' } });
  await using sql = openSql(app.database);
  const type = 'manual';
  const { id: triggerId } = await createTrigger(app, {
    type,
    url: receiver.url,
    retries: 2,
    retrySchedule: [0, 1],
  });
  const change = async (mutation: string, input: Readonly<Record<string, unknown>>): Promise<Answer> => {
    const inputType = `${mutation[0]?.toUpperCase()}${mutation.slice(1)}Input`;
    const answer = await app.graphql<Record<string, Answer>>(
      `mutation ($input: ${inputType}!) { ${mutation}(input: $input) { userErrors { code message } } }`,
      { input },
    );
    return answer[mutation] as Answer;
  };

  const begin = Date.now() + 200;
  const due = [
    ...Array.from({ length: EVENTS }, (_, n) => begin + Math.round((n * SPAN_MS) / EVENTS)),
    ...Array.from({ length: COLD }, () => begin + HOUR_MS),
  ];
  const batch = due.map((at) => ({ type, timestamp: new Date(at).toISOString() }));
  const queued = await sql<{ id: string }[]>`
    select event_id as id from herald.queue_events(${JSON.stringify(batch)}::text::json) order by position`;
  const events = queued.map(({ id }, index) => ({ id, dueMs: due[index] ?? 0 }));
  const cold = events.slice(EVENTS);
  /** One that is just being fetched or attempted, one that waits, or one of all. */
  const pick = () => {
    const now = Date.now();
    const hot = events.filter(({ dueMs }) => dueMs < now && dueMs > now - HOT_MS);
    const chance = random.next();
    if (chance < 0.2 || (hot.length === 0 && chance < 0.7)) return random.pick(cold);
    return random.pick(hot.length === 0 || chance > 0.9 ? events : hot);
  };
  const invocations = new Map(
    (await sql<{ id: string; event: string }[]>`select id, event_id as event from herald.invocations`).map(
      ({ id, event }) => [event, id],
    ),
  );
  /** When the cancelling of an invocation had been answered, by `performance.now()`. */
  const cancelledAt = new Map<string, number>();
  const retried = new Set<string>();
  const done: Record<string, number> = {};
  let paused = false;

  async function changeSomething(): Promise<void> {
    const { id: event } = pick();
    const invocation = invocations.get(event) ?? '';
    const what = random.pick(WHAT);
    if (what === 'PAUSE') {
      paused = !paused;
      await change(paused ? 'pauseTrigger' : 'resumeTrigger', { id: triggerId });
      return;
    }
    const id = what.endsWith('Event') ? event : invocation;
    const delay = random.between(0, 1.5);
    const more =
      what === 'rescheduleEvent'
        ? { delay }
        : what === 'retryInvocation'
          ? { resetRetries: random.next() < 0.5 }
          : {};
    // Before the answer: its attempt may begin before we hear of it.
    if (what === 'retryInvocation') retried.add(invocation);
    const { userErrors } = await change(what, { id, ...more });
    const outcome = userErrors[0]?.code ?? 'DONE';
    expect(['DONE', 'WRONG_STATE'], JSON.stringify(userErrors)).toContain(outcome);
    done[`${what} ${outcome}`] = (done[`${what} ${outcome}`] ?? 0) + 1;
    if (what.startsWith('cancel') && outcome === 'DONE' && !cancelledAt.has(invocation)) {
      cancelledAt.set(invocation, performance.now());
    }
  }

  const people = Array.from({ length: 8 }, async () => {
    while (Date.now() < begin + SPAN_MS || KINDS.some((kind) => done[`${kind} DONE`] === undefined)) {
      await changeSomething();
    }
  });
  await Promise.all(people);
  // Who paused or resumed last is not known; where it is active already, nothing happens.
  await change('resumeTrigger', { id: triggerId });
  for (const { id } of cold) await change('rescheduleEvent', { id });
  // A job that was replaced while it was being written off is cleared away by the net, every half a minute.
  await drained(sql, 45_000);

  const rows = await sql<
    {
      id: string;
      status: string;
      allowed: number;
      attempts: number;
      succeeded: number;
      due: number;
      first: number | null;
    }[]
  >`
    select
        i.id, i.status, i.max_attempts as allowed, count(a.*)::int as attempts, count(*) filter (where a.status = 'SUCCEEDED')::int as succeeded,
        extract(epoch from e.due_at)::float8 * 1000 as due, extract(epoch from min(a.started_at))::float8 * 1000 as first
      from herald.invocations i
      join herald.events e on e.id = i.event_id
      left join herald.attempts a on a.invocation_id = i.id
      group by i.id, e.id`;
  expect(rows).toHaveLength(EVENTS + COLD);
  const requests = Map.groupBy(receiver.deliveries, ({ headers }) => String(headers['webhook-id']));
  for (const { id, status, attempts, allowed, succeeded, due, first } of rows) {
    const arrived = requests.get(id) ?? [];
    expect(arrived.length, `requests of ${id}, ${status}`).toBe(attempts);
    expect(status === 'CANCELLED', `${id} was cancelled`).toBe(cancelledAt.has(id));
    if (status === 'SUCCEEDED') expect(succeeded, `successes of ${id}`).toBe(1);
    if (status === 'FAILED') {
      expect(succeeded, `successes of ${id}`).toBe(0);
      expect(attempts, `attempts of ${id}, which failed`).toBe(allowed);
    }
    const last = arrived.at(-1)?.at ?? 0;
    const cancelled = cancelledAt.get(id) ?? Number.POSITIVE_INFINITY;
    expect(last, `last request of ${id}, which was cancelled`).toBeLessThan(cancelled + BEGINNING_MS);
    if (first !== null && !retried.has(id)) {
      expect(first, `first attempt of ${id}, which was due`).toBeGreaterThan(due - ROUNDING_MS);
    }
  }
  await attemptsAddUp(sql);
  const [counts] = await sql<{ pending: number; dead: number; failed: number }[]>`
    select coalesce(sum(c.pending + c.held + c.running + c.retrying), 0)::int as pending,
        coalesce(sum(c.dead_letters), 0)::int as dead,
        (select count(*)::int from herald.invocations where status = 'FAILED') as failed
      from (
        select pending, held, running, retrying, dead_letters from herald.trigger_counts
        union all
        select pending, held, running, retrying, dead_letters from herald.tallies
      ) c`;
  expect(counts, 'counts of the trigger').toEqual({
    pending: 0,
    dead: counts?.failed,
    failed: counts?.failed,
  });
}, 90_000);
