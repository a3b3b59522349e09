/** `queue`: queues an event, and waits for its end where asked to. */
import type { EventStatus, InvocationCounts } from '../domain/event.ts';
import type { InvocationStatus } from '../domain/invocation.ts';
import type { Command, CommandCall, ExitCode } from './command.ts';
import { ApiError, CONNECTION_OPTIONS, type Connection, connect, mutate } from './connection.ts';
import { isGiven, secondsOf, textOf, timestampOf } from './options.ts';
import { createOutput, OUTPUT_OPTIONS, type Output, paint, plain } from './output.ts';
import { DATA_NOTE, DATA_WORD, readData } from './payload.ts';
import { clockTime, fromNow } from './time.ts';
import { EVENT_STYLE, INVOCATION_STYLE } from './words.ts';

interface QueuedEvent {
  readonly id: string;
  readonly type: string;
  readonly status: EventStatus;
  readonly dueAt: string;
  readonly invocationCounts: InvocationCounts;
}

interface Payload {
  readonly event: QueuedEvent | null;
  readonly duplicate: boolean;
}

interface Progress {
  readonly at: string;
  readonly event: { readonly id: string; readonly status: EventStatus };
  readonly counts: InvocationCounts;
  readonly invocation: {
    readonly triggerName: string;
    readonly status: InvocationStatus;
    readonly attemptCount: number;
    readonly maxAttempts: number;
    readonly nextAttemptAt: string | null;
  } | null;
  readonly done: boolean;
  /** Each connection starts with the present state, which is all that counts: nothing has to be made up for. */
  readonly cursor: null;
}

export const queueCommand: Command = {
  options: {
    delay: { type: 'string', value: '<duration>', meaning: 'due so much later: seconds, or 10m, 2h, 7d' },
    timestamp: {
      type: 'string',
      value: '<time>',
      meaning: 'due then (and --delay later): epoch milliseconds or RFC 3339',
    },
    project: { type: 'string', short: 'p', value: '<name>', meaning: 'project of the event [default]' },
    source: { type: 'string', value: '<uri>', meaning: "CloudEvents source [the server's own]" },
    'idempotency-key': {
      type: 'string',
      short: 'k',
      value: '<key>',
      meaning: 'the same key and payload queue one event only, within 24 hours',
    },
    wait: { type: 'boolean', short: 'w', value: '', meaning: 'follow the event to its end' },
    ...CONNECTION_OPTIONS,
    ...OUTPUT_OPTIONS,
  },
  words: { usage: `<type> ${DATA_WORD}`, least: 1, most: 2 },
  notes: [
    DATA_NOTE,
    'With --wait the exit code is 0 where every trigger was served, 1 where one failed, the event was cancelled, or nothing matched it.',
    'Example: npm run herald -- queue order.paid \'{"id": 42}\' --delay 10m --wait',
  ],
  async run(call) {
    const { options, words } = call;
    const input = {
      type: words[0],
      dataText: await readData(words[1], call),
      delay: secondsOf(options, 'delay') ?? 0,
      timestamp: timestampOf(options, 'timestamp'),
      source: textOf(options, 'source'),
      idempotencyKey: textOf(options, 'idempotency-key'),
      ...withProject(textOf(options, 'project')),
    };
    const output = createOutput(call);
    const connection = await connect(call);
    const { event, duplicate } = await mutate<Payload>(
      connection,
      'queueEvent',
      `event { id project type source status receivedAt dueAt idempotencyKey
        invocationCounts { total pending running succeeded failed cancelled } } duplicate`,
      input,
    );
    if (event === null) throw new ApiError('Herald answered without an event.');
    await output.show({ ...event, duplicate }, () => describe(event, duplicate));
    return isGiven(options, 'wait') ? wait(connection, event, output, call) : 0;
  },
};

const withProject = (project: string | null) => (project === null ? {} : { project });

function describe({ id, type, status, dueAt, invocationCounts }: QueuedEvent, duplicate: boolean): string {
  const count = invocationCounts.total;
  const to = count === 0 ? 'no trigger takes it' : `for ${count} trigger${count === 1 ? '' : 's'}`;
  const due = status === 'SCHEDULED' ? `, due ${fromNow(dueAt, Date.now())}` : '';
  const known = duplicate ? ' (queued before with this idempotency key)' : '';
  return `${paint('bold', plain(type))}  ${paint(EVENT_STYLE[status], status)}  ${to}${due}${known}  ${paint('dim', id)}`;
}

/** Follows the event; its end decides the exit code. */
async function wait(
  connection: Connection,
  { id }: QueuedEvent,
  output: Output,
  { stopSignal }: CommandCall,
): Promise<ExitCode> {
  // Loaded by those who wait.
  const { describeLink, follow } = await import('./follow.ts');
  const updates = follow<Progress>(connection, {
    query: `subscription ($id: ID!) { eventProgress(id: $id) {
      at event { id status } counts { total pending running succeeded failed cancelled } done
      invocation { id triggerName status attemptCount maxAttempts nextAttemptAt }
    } }`,
    variables: { id },
    after: null,
    signal: stopSignal(),
    onLink: (link) => {
      // The present state comes first, so that nothing is left out.
      if (link !== 'CONNECTED') output.remark(describeLink(link));
    },
  });
  for await (const update of updates) {
    await output.show(update, () => describeProgress(update));
    if (update.done) return update.event.status === 'SUCCEEDED' ? 0 : 1;
  }
  return 130;
}

function describeProgress({ at, event, counts, invocation, done }: Progress): string {
  const start = paint('dim', clockTime(at));
  const sum = `${counts.succeeded} of ${counts.total} delivered${counts.failed > 0 ? `, ${counts.failed} failed` : ''}`;
  const end = `${start}  ${paint(EVENT_STYLE[event.status], event.status)}  ${sum}`;
  if (invocation === null) return end;
  const { triggerName, status, attemptCount, maxAttempts, nextAttemptAt } = invocation;
  const next =
    status === 'RETRYING' && nextAttemptAt !== null ? `, next ${fromNow(nextAttemptAt, Date.now())}` : '';
  const attempt = attemptCount > 0 ? `  attempt ${attemptCount} of ${maxAttempts}${next}` : '';
  const line = `${start}  → ${plain(triggerName)}  ${paint(INVOCATION_STYLE[status], status)}${attempt}`;
  return done ? `${line}\n${end}` : line;
}
