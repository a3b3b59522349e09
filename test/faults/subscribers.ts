/**
 * Subscribers that are cut off, reconnect, read slowly or lose their server, while events are queued, fail and are
 * retried (reliability: F15, F29). The checker compares what each of them was told with the log that the transactions
 * wrote, and with the tables: every change, in order, none made up; repetitions are allowed.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type postgres from 'postgres';
import { expect } from 'vitest';
import { createTrigger, type TestApp, TOKEN } from '../support/app.ts';
import { openSql } from '../support/database.ts';
import type { Random } from '../support/random.ts';
import { ok, startReceiver } from '../support/receiver.ts';
import { type Changes, countChanges, loggedChanges, toldChanges } from '../support/told.ts';
import { until } from '../support/until.ts';
import { followOverSse, followOverWebSocket, type Link, type Update } from './follow.ts';

/** A Herald that subscribers connect to. */
export interface Server {
  readonly url: string;
  /** Resolves when it is no more, in whatever way. */
  end(): Promise<void>;
}

export interface StormOptions {
  /** Queues and delivers; ends with the test. */
  readonly app: TestApp;
  /** How each of the others is started; the first time before anybody subscribes, again after each of its ends. */
  readonly start: readonly (() => Promise<Server>)[];
  /** Which of them ends, one after another while events are queued. */
  readonly ends: readonly number[];
  readonly events: number;
  /** Events queued a second, about. */
  readonly rate: number;
  /** Each subscriber asks for one of so many types. */
  readonly types: number;
  readonly subscribers: number;
  /** So many more ask for everything. */
  readonly ofEverything: number;
  readonly random: Random;
}

export interface StormReport {
  readonly reconnects: number;
  /** Updates that all subscribers got, repetitions included. */
  readonly updates: number;
  /** From the first event queued until the last of each kind of work was over. */
  readonly queuedMs: number;
  readonly drainedMs: number;
  readonly toldMs: number;
}

interface Subscriber {
  readonly type: string | null;
  readonly updates: Update[];
  cursor: string;
  reconnects: number;
}

/** Between two batches of events. */
const BATCH_MS = 25;
/** How long everything may take that is still to come after the last event. */
const REST_MS = 120_000;

export async function stormSubscribers(options: StormOptions): Promise<StormReport> {
  const { app, events, random } = options;
  const types = Array.from({ length: options.types }, (_, n) => `storm.${n}`);
  await using sql = openSql(app.database);
  await using receiver = await startReceiver();
  receiver.answer = (delivery, res) => {
    if (random.next() < 0.3) return void res.writeHead(503).end();
    setTimeout(() => ok(delivery, res), random.between(0, 40));
  };
  for (const type of types) {
    await createTrigger(app, { type, url: receiver.url, retrySchedule: [0], retries: 2 });
  }
  const servers = await Promise.all(options.start.map((start) => start()));
  await using _servers = {
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server.end()));
    },
  };
  const { changeCursor } = await app.graphql<{ changeCursor: string }>('{ changeCursor }');

  const stopping = new AbortController();
  const stopped = new Promise((resolve) => stopping.signal.addEventListener('abort', resolve));
  /** Nothing is cut off any more once everything has happened: what is left is to be read to its end. */
  let isCalm = false;
  const subscribers = Array.from(
    { length: options.subscribers + options.ofEverything },
    (_, n): Subscriber => {
      const type = n < options.subscribers ? random.pick(types) : null;
      return { type, updates: [], cursor: changeCursor, reconnects: -1 };
    },
  );
  const following = subscribers.map(async (subscriber, n) => {
    while (!stopping.signal.aborted) {
      subscriber.reconnects++;
      const { url } = random.pick([app, ...servers]);
      const link = followFrom(url, subscriber, n);
      const cutMs = n % 3 === 0 ? random.between(300, 1800) : random.between(3000, 8000);
      await Promise.race([link.ended, rest(cutMs, stopping.signal)]);
      if (isCalm) await Promise.race([link.ended, stopped]);
      link.cut();
      await link.ended;
      await rest(random.between(0, 100), stopping.signal);
    }
  });
  await using _following = {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.all(following);
    },
  };

  const startedAt = performance.now();
  let queued = 0;
  const queueing = (async () => {
    while (queued < events) {
      const due = ((performance.now() - startedAt) / 1000) * options.rate;
      const size = Math.min(events, Math.ceil(due)) - queued;
      const batch = Array.from({ length: Math.min(size, 100) }, () => ({ type: random.pick(types) }));
      if (size > 0) {
        const response = await app.post('/v1/api/default/eventing/admin-queue', { events: batch });
        expect(response.status).toBe(200);
        queued += batch.length;
      }
      await pause(BATCH_MS);
    }
  })();
  // A transaction that is begun early and commits late.
  const late = await sql.reserve();
  await late`begin`;
  await late`select herald.queue_event(${types[0] ?? ''}, '"late"')`;
  for (const [index, slot] of options.ends.entries()) {
    await until(
      () => queued > (events * (index + 1)) / (options.ends.length + 1),
      'some to be queued',
      120_000,
    );
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'herald listen' and datname = current_database()`;
    await servers[slot]?.end();
    const next = await options.start[slot]?.();
    if (next !== undefined) servers[slot] = next;
  }
  await late`commit`;
  late.release();
  await queueing;
  const queuedMs = performance.now() - startedAt;
  const isDrained = async () =>
    (await sql`select from herald.invocations where finished_at is null limit 1`).length === 0;
  await until(isDrained, 'the drain', REST_MS);
  const drainedMs = performance.now() - startedAt;
  isCalm = true;
  const logged = await loggedChanges(sql);
  expect(logged.size).toBe(events + 1);
  await checkSubscribers(sql, subscribers, logged);
  const toldMs = performance.now() - startedAt;
  await checkTables(sql, logged);
  const sum = (of: (subscriber: Subscriber) => number) =>
    subscribers.reduce((total, subscriber) => total + of(subscriber), 0);
  return {
    reconnects: sum(({ reconnects }) => reconnects),
    updates: sum(({ updates }) => updates.length),
    ...{ queuedMs, drainedMs, toldMs },
  };
}

function followFrom(url: string, subscriber: Subscriber, n: number): Link {
  const follow = n % 2 === 0 ? followOverWebSocket : followOverSse;
  return follow({
    ...{ url, token: TOKEN, type: subscriber.type, after: subscriber.cursor },
    slowMs: n % 10 === 1 ? 3 : 0,
    told: (update) => {
      subscriber.updates.push(update);
      if (update.cursor !== null) subscriber.cursor = update.cursor;
    },
  });
}

/** Less where the signal comes. */
const rest = (ms: number, signal: AbortSignal): Promise<void> =>
  pause(ms, undefined, { signal }).catch(() => {});

async function checkSubscribers(
  sql: postgres.Sql,
  subscribers: readonly Subscriber[],
  logged: Changes,
): Promise<void> {
  const rows =
    await sql`select i.id, e.type from herald.invocations i join herald.events e on e.id = i.event_id`;
  const types = new Map(rows.map(({ id, type }) => [String(id), String(type)]));
  const byType = Map.groupBy(logged, ([id]) => types.get(id));
  for (const [n, { type, updates, reconnects }] of subscribers.entries()) {
    const wanted = new Map(type === null ? logged : byType.get(type));
    const total = countChanges(wanted);
    const isTold = () => updates.length >= total && countChanges(toldChanges(updates)) >= total;
    await until(isTold, `subscriber ${n} to be told everything`, REST_MS).catch(() => {});
    expect(toldChanges(updates), `subscriber ${n} after ${reconnects} reconnects`).toEqual(wanted);
  }
}

/** The log is what the tables say. */
async function checkTables(sql: postgres.Sql, logged: Changes): Promise<void> {
  const rows = await sql`select id, status, attempt_count from herald.invocations`;
  for (const { id, status, attempt_count: attempts } of rows) {
    const changes = logged.get(String(id)) ?? [];
    expect(changes.at(-1)).toContain(` ${status} `);
    const numbers = new Set(changes.map((change) => change.split(' ')[2]).filter((one) => one !== '-'));
    expect(numbers.size).toBe(attempts);
  }
}
