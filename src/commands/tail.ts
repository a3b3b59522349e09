/** `tail`: deliveries as they happen. */
import { INVOCATION_STATUSES, type InvocationStatus } from '../domain/invocation.ts';
import { type Command, NO_WORDS } from './command.ts';
import { CONNECTION_OPTIONS, connect } from './connection.ts';
import { followDeliveries, type Line, type Unmatched, type Update } from './deliveries.ts';
import { describeLink } from './follow.ts';
import { choicesOf, EVENT_OPTIONS, isGiven, textOf, textsOf } from './options.ts';
import { createOutput, OUTPUT_OPTIONS, paint, plain, shortened } from './output.ts';
import { clockTime, duration, fromNow } from './time.ts';
import { triggerId } from './trigger-lookup.ts';
import { ERROR, FAILURE, INVOCATION_STYLE } from './words.ts';

/** What `--status` may name: UNMATCHED are events that no trigger takes, so that they have no invocations. */
const STATUSES = [...INVOCATION_STATUSES, 'UNMATCHED'] as const;
const isOfInvocation = (status: (typeof STATUSES)[number]): status is InvocationStatus =>
  status !== 'UNMATCHED';

/** Characters of an error's message. */
const SHOWN_ERROR = 100;

export const tailCommand: Command = {
  options: {
    ...EVENT_OPTIONS,
    trigger: {
      type: 'string',
      multiple: true,
      value: '<name or id>',
      meaning: 'only this trigger; may be repeated',
    },
    status: {
      type: 'string',
      multiple: true,
      value: '<status>',
      meaning: `only changes to these: ${STATUSES.join(', ').toLowerCase()}`,
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
    'Events that no trigger takes are shown too: as UNMATCHED, in JSON as lines of that kind.',
  ],
  async run(call) {
    const { options } = call;
    const project = textOf(options, 'project');
    const types = textsOf(options, 'type');
    const triggers = textsOf(options, 'trigger');
    const status = choicesOf(options, 'status', STATUSES);
    const statuses = status?.filter(isOfInvocation) ?? null;
    const output = createOutput(call);
    const connection = await connect(call);
    const ids = await Promise.all(triggers.map((trigger) => triggerId(connection, trigger, project)));
    const filter = { project, eventType: types.length === 0 ? null : types };
    const isOfTriggers = ids.length > 0;
    const lines = followDeliveries(connection, {
      invocations:
        statuses?.length === 0 ? null : { ...filter, status: statuses, triggerId: isOfTriggers ? ids : null },
      unmatched: isOfTriggers || status?.includes('UNMATCHED') === false ? null : filter,
      after: textOf(options, 'after'),
      snapshot: isGiven(options, 'snapshot') ? 'SHOW' : 'LEAVE_OUT',
      signal: call.stopSignal(),
      onLink: (link) => {
        if (link !== 'CONNECTED' || output.format === 'TEXT') output.remark(describeLink(link));
      },
    });
    for await (const line of lines) await output.show(line, () => describe(line));
    return 0;
  },
};

function describe(line: Line): string {
  return `${paint('dim', clockTime(line.at))}  ${describeWhat(line)}`;
}

function describeWhat(line: Line): string {
  switch (line.kind) {
    case 'RESYNC':
      return paint('yellow', 'Updates were missed here: `events` shows how things stand.');
    case 'UNMATCHED':
      return describeUnmatched(line);
    default:
      return describeUpdate(line);
  }
}

function describeUnmatched({ event }: Unmatched): string {
  const what = event === null ? 'no longer there' : `${plain(event.type)} → no trigger takes it`;
  return `${paint('yellow', 'UNMATCHED')}  ${what}${event === null ? '' : `  ${paint('dim', event.id)}`}`;
}

function describeUpdate({ kind, status, invocation, attempt }: Update): string {
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
  return `${paint(INVOCATION_STYLE[status], status.padEnd(9))}  ${place}${rest}`;
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
