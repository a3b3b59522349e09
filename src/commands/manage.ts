/** `retry`, `cancel`, `reschedule`: what people do to single events and invocations. */
import type { InvocationStatus } from '../domain/invocation.ts';
import type { Command } from './command.ts';
import { ApiError, CONNECTION_OPTIONS, type Connection, connect, mutate } from './connection.ts';
import { findEvent } from './event.ts';
import type { ExplainedEvent } from './explain.ts';
import { isGiven, secondsOf, timestampOf } from './options.ts';
import { createOutput, OUTPUT_OPTIONS, paint, plain } from './output.ts';
import { pages } from './pages.ts';
import { fromNow } from './time.ts';
import { INVOCATION_STYLE } from './words.ts';

const COMMON_OPTIONS = { ...CONNECTION_OPTIONS, ...OUTPUT_OPTIONS };

interface Invocation {
  readonly id: string;
  readonly triggerName: string;
  readonly status: InvocationStatus;
}

export const retryCommand: Command = {
  options: {
    'reset-retries': {
      type: 'boolean',
      value: '',
      meaning: "all of the trigger's retries follow again; else one attempt is made",
    },
    ...COMMON_OPTIONS,
  },
  words: { usage: '<id>', least: 1, most: 1 },
  notes: [
    'The id is that of an invocation (the `webhook-id` header), or of an event: then all that have failed or wait for their time.',
    'The receiver gets the same `webhook-id` again. A planned retry is brought forward rather than doubled.',
  ],
  async run(call) {
    const output = createOutput(call);
    const connection = await connect(call);
    const id = String(call.words[0]).toLowerCase();
    const event = await findEvent(connection, id);
    const asked = id === event.id ? await toRetry(connection, id) : [id];
    if (asked.length === 0) {
      const held = event.invocations.nodes.filter(({ status }) => status === 'HELD');
      throw new ApiError(
        held.length === 0
          ? `Nothing of this event has failed or waits for an attempt: it is ${event.status}.`
          : `It is held: \`triggers resume ${held[0]?.triggerName}\` lets it go.`,
      );
    }
    let refused = 0;
    for (const one of asked) {
      const input = { id: one, resetRetries: isGiven(call.options, 'reset-retries') };
      try {
        const retried = await changeInvocation(connection, 'retryInvocation', input);
        await output.show(retried, () => describe(retried));
      } catch (error) {
        // The others may be retried nevertheless.
        if (!(error instanceof ApiError) || asked.length === 1) throw error;
        refused++;
        call.notice(`${one}: ${error.message}`);
      }
    }
    return refused === 0 ? 0 : 1;
  },
};

/** Ids of the event's invocations that have failed, or wait for their time. */
async function toRetry(connection: Connection, eventId: string): Promise<readonly string[]> {
  const query = `query ($eventId: ID!, $first: Int, $after: String) {
    invocations(
      filter: { eventId: $eventId, status: [FAILED, RETRYING, SCHEDULED] }, first: $first, after: $after
    ) { nodes { id } pageInfo { hasNextPage endCursor } }
  }`;
  const ids: string[] = [];
  const all = pages<{ readonly id: string }>(connection, query, { eventId }, Number.POSITIVE_INFINITY);
  for await (const nodes of all) ids.push(...nodes.map((node) => node.id));
  return ids;
}

export const cancelCommand: Command = {
  options: COMMON_OPTIONS,
  words: { usage: '<id>', least: 1, most: 1 },
  notes: [
    'The id is that of an event, whose unfinished invocations are all cancelled, or of one invocation.',
    'An attempt that is in flight ends first. What is cancelled cannot be retried.',
  ],
  async run(call) {
    const output = createOutput(call);
    const connection = await connect(call);
    const id = String(call.words[0]).toLowerCase();
    const event = await findEvent(connection, id);
    if (id !== event.id) {
      const cancelled = await changeInvocation(connection, 'cancelInvocation', { id });
      await output.show(cancelled, () => describe(cancelled));
      return 0;
    }
    const { cancelledCount } = await mutate<{ readonly cancelledCount: number }>(
      connection,
      'cancelEvent',
      'cancelledCount',
      { id },
    );
    await output.show({ id, cancelledCount }, () => {
      const what = `${paint('bold', plain(event.type))}  ${paint('dim', id)}`;
      if (cancelledCount === 0) return `${what}  was cancelled already`;
      return `${what}  cancelled: ${cancelledCount} invocation${cancelledCount === 1 ? '' : 's'}`;
    });
    return 0;
  },
};

export const rescheduleCommand: Command = {
  options: {
    delay: {
      type: 'string',
      value: '<duration>',
      meaning: 'due so much later than now: seconds, or 10m, 2h, 7d',
    },
    timestamp: {
      type: 'string',
      value: '<time>',
      meaning: 'due then (and --delay later): epoch milliseconds or RFC 3339',
    },
    ...COMMON_OPTIONS,
  },
  words: { usage: '<id>', least: 1, most: 1 },
  notes: [
    'The id is that of an event, or of one of its invocations: they move together.',
    'Only before its first attempt. With neither option it is due now.',
  ],
  async run(call) {
    const output = createOutput(call);
    const timestamp = timestampOf(call.options, 'timestamp');
    const delay = secondsOf(call.options, 'delay') ?? 0;
    const connection = await connect(call);
    const { id } = await findEvent(connection, String(call.words[0]));
    const { event } = await mutate<{
      readonly event: Pick<ExplainedEvent, 'id' | 'type' | 'status' | 'dueAt'> | null;
    }>(connection, 'rescheduleEvent', 'event { id type status dueAt }', { id, timestamp, delay });
    if (event === null) throw new ApiError('Herald answered without an event.');
    await output.show(
      event,
      () =>
        `${paint('bold', plain(event.type))}  due ${fromNow(event.dueAt, Date.now())}  ${paint('dim', event.id)}`,
    );
    return 0;
  },
};

async function changeInvocation(
  connection: Connection,
  mutation: 'retryInvocation' | 'cancelInvocation',
  input: object,
): Promise<Invocation> {
  const { invocation } = await mutate<{ readonly invocation: Invocation | null }>(
    connection,
    mutation,
    'invocation { id triggerName status }',
    input,
  );
  if (invocation === null) throw new ApiError('Herald answered without an invocation.');
  return invocation;
}

function describe({ id, triggerName, status }: Invocation): string {
  return `→ ${paint('bold', plain(triggerName))}  ${paint(INVOCATION_STYLE[status], status)}  ${paint('dim', id)}`;
}
