/** `tail`: deliveries as they happen. */
import type { AttemptErrorCode } from '../domain/attempt.ts';
import { type FailureReason, INVOCATION_STATUSES, type InvocationStatus } from '../domain/invocation.ts';
import { type Command, NO_WORDS } from './command.ts';
import { CONNECTION_OPTIONS, type Connection, connect } from './connection.ts';
import { describeLink, follow } from './follow.ts';
import { choicesOf, isGiven, textOf, textsOf } from './options.ts';
import { createOutput, OUTPUT_OPTIONS, paint, plain, shortened } from './output.ts';
import { clockTime, duration, fromNow } from './time.ts';
import { triggerId } from './trigger-lookup.ts';
import { ERROR, FAILURE, INVOCATION_STYLE } from './words.ts';

interface Update {
  readonly cursor: string | null;
  readonly kind: 'SNAPSHOT' | 'CREATED' | 'CHANGED' | 'RESYNC';
  readonly at: string;
  readonly previousStatus: InvocationStatus | null;
  readonly status: InvocationStatus | null;
  readonly invocation: {
    readonly triggerName: string;
    readonly attemptCount: number;
    readonly maxAttempts: number;
    readonly nextAttemptAt: string | null;
    readonly failureReason: FailureReason | null;
    readonly event: { readonly id: string; readonly type: string };
  } | null;
  readonly attempt: {
    readonly number: number;
    readonly errorCode: AttemptErrorCode | null;
    readonly errorMessage: string | null;
    readonly durationMs: number | null;
    readonly response: { readonly statusCode: number } | null;
  } | null;
}

/** Characters of an error's message. */
const SHOWN_ERROR = 100;

export const tailCommand: Command = {
  options: {
    type: {
      type: 'string',
      multiple: true,
      value: '<type>',
      meaning: 'only this event type; may be repeated',
    },
    trigger: {
      type: 'string',
      multiple: true,
      value: '<name or id>',
      meaning: 'only this trigger; may be repeated',
    },
    project: { type: 'string', short: 'p', value: '<name>', meaning: 'only this project' },
    status: {
      type: 'string',
      multiple: true,
      value: '<status>',
      meaning: `only changes to these: ${INVOCATION_STATUSES.join(', ').toLowerCase()}`,
    },
    snapshot: { type: 'boolean', value: '', meaning: 'show first what is unfinished now, 100 at most' },
    after: {
      type: 'string',
      value: '<cursor>',
      meaning: 'go on behind this cursor of an earlier line of JSON',
    },
    ...CONNECTION_OPTIONS,
    ...OUTPUT_OPTIONS,
  },
  words: NO_WORDS,
  notes: [
    'After a break it connects again and goes on behind the last update it saw: lines may come twice, none is left out.',
    'Where that is not possible, a line of the kind RESYNC says so.',
  ],
  async run(call) {
    const { options } = call;
    const project = textOf(options, 'project');
    const types = textsOf(options, 'type');
    const triggers = textsOf(options, 'trigger');
    const status = choicesOf(options, 'status', INVOCATION_STATUSES);
    const output = createOutput(call);
    const connection = await connect(call);
    const ids = await Promise.all(triggers.map((trigger) => triggerId(connection, trigger, project)));
    const hasCursors = await knowsCursors(connection);
    if (!hasCursors) output.remark('This Herald knows no cursors: what happens during a break is left out.');
    const [parameter, argument, cursor] = hasCursors
      ? ['$after: String', 'after: $after', 'cursor']
      : ['', '', ''];
    const updates = follow<Update>(connection, {
      query: `subscription ($filter: InvocationFilter, $snapshot: Boolean, ${parameter}) {
        invocationUpdated(filter: $filter, snapshot: $snapshot, ${argument}) {
          ${cursor} kind at previousStatus status
          invocation {
            id triggerName attemptCount maxAttempts nextAttemptAt failureReason event { id project type }
          }
          attempt { id number status errorCode errorMessage startedAt durationMs response { statusCode } }
        }
      }`,
      variables: {
        filter: {
          project,
          status,
          eventType: types.length === 0 ? null : types,
          triggerId: ids.length === 0 ? null : ids,
        },
        snapshot: isGiven(options, 'snapshot'),
      },
      after: textOf(options, 'after'),
      signal: call.stopSignal(),
      onLink: (link) => {
        if (link !== 'CONNECTED' || output.format === 'TEXT') output.remark(describeLink(link));
      },
    });
    for await (const update of updates) await output.show(update, () => describe(update));
    return 0;
  },
};

/** Older ones do not. */
async function knowsCursors(connection: Connection): Promise<boolean> {
  const { type } = await connection.ask<{ type: { fields: readonly { name: string }[] } | null }>(
    '{ type: __type(name: "InvocationUpdate") { fields { name } } }',
  );
  return type?.fields.some(({ name }) => name === 'cursor') ?? false;
}

function describe({ at, kind, status, invocation, attempt }: Update): string {
  const start = paint('dim', clockTime(at));
  if (status === null) {
    return `${start}  ${paint('yellow', 'Updates were missed here: `events` shows how things stand.')}`;
  }
  const place =
    invocation === null
      ? ''
      : `${plain(invocation.event.type)} → ${paint('bold', plain(invocation.triggerName))}  `;
  const parts = [
    describeAttempt(attempt),
    invocation === null ? '' : describeNext(status, invocation),
    kind === 'SNAPSHOT' ? paint('dim', 'since before') : '',
    invocation === null ? 'no longer there' : paint('dim', invocation.event.id),
  ];
  const rest = parts.filter((part) => part !== '').join('  ');
  return `${start}  ${paint(INVOCATION_STYLE[status], status.padEnd(9))}  ${place}${rest}`;
}

/** `200 in 12 ms`, `503 in 8 ms`, `nothing listens at that address (…)` */
function describeAttempt(attempt: Update['attempt']): string {
  if (attempt === null) return '';
  const { response, errorCode, errorMessage, durationMs } = attempt;
  const took = durationMs === null ? '' : ` in ${duration(durationMs)}`;
  if (response !== null) return `${response.statusCode}${took}`;
  if (errorCode === null) return '';
  const detail = errorMessage === null ? '' : ` (${shortened(errorMessage, SHOWN_ERROR)})`;
  return `${ERROR[errorCode]}${detail}${took}`;
}

function describeNext(status: InvocationStatus, invocation: NonNullable<Update['invocation']>): string {
  const { attemptCount, maxAttempts, nextAttemptAt, failureReason } = invocation;
  const next = nextAttemptAt === null ? '' : fromNow(nextAttemptAt, Date.now());
  switch (status) {
    case 'RETRYING':
      return `attempt ${attemptCount} of ${maxAttempts}, again ${next}`;
    case 'SCHEDULED':
      return `due ${next}`;
    case 'HELD':
      return 'the trigger is paused';
    case 'FAILED':
      return `given up after ${attemptCount} of ${maxAttempts}${failureReason === null ? '' : `: ${FAILURE[failureReason]}`}`;
    case 'SUCCEEDED':
      return attemptCount > 1 ? `at attempt ${attemptCount} of ${maxAttempts}` : '';
    default:
      return '';
  }
}
