/** `retry`, `cancel`, `reschedule`: what people do to single events and invocations. */
import type { InvocationStatus } from '../domain/invocation.ts';
import type { Command } from './command.ts';
import { ApiError, CONNECTION_OPTIONS, type Connection, connect, throwUserErrors } from './connection.ts';
import { findEvent } from './event.ts';
import type { ExplainedEvent } from './explain.ts';
import { isGiven, secondsOf, timestampOf } from './options.ts';
import { createOutput, OUTPUT_OPTIONS, paint, plain } from './output.ts';
import { fromNow } from './time.ts';
import { INVOCATION_STYLE } from './words.ts';

const COMMON_OPTIONS = { ...CONNECTION_OPTIONS, ...OUTPUT_OPTIONS };

interface Invocation {
  readonly id: string;
  readonly triggerName: string;
  readonly status: InvocationStatus;
}

interface Page {
  readonly nodes: readonly { readonly id: string }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
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
      throw new ApiError(`Nothing of this event has failed or waits for an attempt: it is ${event.status}.`);
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
async function toRetry(connection: Connection, id: string): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let after: string | null = null; ; ) {
    const answer: { event: { invocations: Page } } = await connection.ask(
      `query ($id: ID!, $after: String) { event(id: $id) {
        invocations(filter: { status: [FAILED, RETRYING, SCHEDULED] }, first: 100, after: $after) {
          nodes { id } pageInfo { hasNextPage endCursor }
        }
      } }`,
      { id, after },
    );
    const { nodes, pageInfo } = answer.event.invocations;
    ids.push(...nodes.map((node) => node.id));
    if (!pageInfo.hasNextPage) return ids;
    after = pageInfo.endCursor;
  }
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
    const { cancelEvent } = await connection.ask<{
      cancelEvent: { cancelledCount: number; userErrors: Parameters<typeof throwUserErrors>[0] };
    }>(
      `mutation ($input: CancelEventInput!) {
        cancelEvent(input: $input) { cancelledCount userErrors { field message } }
      }`,
      { input: { id } },
    );
    throwUserErrors(cancelEvent.userErrors);
    const { cancelledCount } = cancelEvent;
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
    const { rescheduleEvent } = await connection.ask<{
      rescheduleEvent: {
        event: Pick<ExplainedEvent, 'id' | 'type' | 'status' | 'dueAt'> | null;
        userErrors: Parameters<typeof throwUserErrors>[0];
      };
    }>(
      `mutation ($input: RescheduleEventInput!) {
        rescheduleEvent(input: $input) { event { id type status dueAt } userErrors { field message } }
      }`,
      { input: { id: (await findEvent(connection, String(call.words[0]))).id, timestamp, delay } },
    );
    throwUserErrors(rescheduleEvent.userErrors);
    const { event } = rescheduleEvent;
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
  input: Readonly<Record<string, unknown>>,
): Promise<Invocation> {
  const inputType = mutation === 'retryInvocation' ? 'RetryInvocationInput' : 'CancelInvocationInput';
  const answer = await connection.ask<
    Readonly<
      Record<string, { invocation: Invocation | null; userErrors: Parameters<typeof throwUserErrors>[0] }>
    >
  >(
    `mutation ($input: ${inputType}!) {
      ${mutation}(input: $input) { invocation { id triggerName status } userErrors { field message } }
    }`,
    { input },
  );
  const payload = answer[mutation];
  throwUserErrors(payload?.userErrors ?? []);
  if (payload?.invocation == null) throw new ApiError('Herald answered without an invocation.');
  return payload.invocation;
}

function describe({ id, triggerName, status }: Invocation): string {
  return `→ ${paint('bold', plain(triggerName))}  ${paint(INVOCATION_STYLE[status], status)}  ${paint('dim', id)}`;
}
