/** `retry-all | replay`: jobs over many rows, which run in the background. */
import { setTimeout as pause } from 'node:timers/promises';
import { EVENT_STATUSES } from '../domain/event.ts';
import { type Command, type CommandCall, type ExitCode, NO_WORDS } from './command.ts';
import { ApiError, CONNECTION_OPTIONS, type Connection, connect } from './connection.ts';
import { findEventId } from './event.ts';
import { change, look, show } from './operations.ts';
import {
  choicesOf,
  EVENT_OPTIONS,
  isGiven,
  SINCE_OPTION,
  sinceOf,
  textOf,
  textsOf,
  wholeOf,
} from './options.ts';
import { createOutput, OUTPUT_OPTIONS } from './output.ts';
import { triggerId } from './trigger-lookup.ts';
import { given } from './trigger-options.ts';

const COMMON_OPTIONS = { ...CONNECTION_OPTIONS, ...OUTPUT_OPTIONS };
const CHOICE_OPTIONS = {
  ...EVENT_OPTIONS,
  ...SINCE_OPTION,
  'per-minute': {
    type: 'string',
    value: '<number>',
    meaning: 'how many a minute, spread evenly [30000]',
  },
  wait: { type: 'boolean', short: 'w', value: '', meaning: 'follow it to its end' },
  ...COMMON_OPTIONS,
} as const;
const WAIT_NOTE =
  'It goes on when this command has ended. With --wait the exit code is 0 where it was completed.';

export const retryAllCommand: Command = {
  options: {
    trigger: {
      type: 'string',
      multiple: true,
      value: '<name or id>',
      meaning: 'only those of this trigger; may be repeated',
    },
    ...CHOICE_OPTIONS,
  },
  words: NO_WORDS,
  notes: [
    'Each gets one more attempt under the same `webhook-id`. Those whose trigger is paused or deleted are skipped.',
    'At least one condition is needed.',
    WAIT_NOTE,
    'Example: npm run herald -- retry-all --trigger billing --since 2h --wait',
  ],
  async run(call) {
    const { options } = call;
    const createdAt = sinceOf(options);
    const connection = await connect(call);
    const filter = given({
      project: textOf(options, 'project'),
      eventType: someOf(textsOf(options, 'type')),
      triggerId: await triggersOf(connection, call),
      createdAt,
    });
    return start(connection, call, 'retryInvocations', { filter });
  },
};

export const replayCommand: Command = {
  options: {
    status: {
      type: 'string',
      multiple: true,
      value: '<status>',
      meaning: `only events in these states: ${EVENT_STATUSES.join(', ').toLowerCase()}`,
    },
    trigger: {
      type: 'string',
      multiple: true,
      value: '<name or id>',
      meaning: 'only for this trigger; may be repeated [all that match now]',
    },
    ...CHOICE_OPTIONS,
  },
  words: { usage: '[<id> …]', least: 0, most: 100 },
  notes: [
    'The ids are those of events, or of their invocations; 100 at most.',
    'Copies are new events, due now, with `webhook-id`s of their own. What no trigger takes now is skipped.',
    'At least one event or condition is needed.',
    WAIT_NOTE,
    'Example: npm run herald -- replay --type order.paid --status unmatched --since 1d --trigger billing --wait',
  ],
  async run(call) {
    const { options, words } = call;
    const status = choicesOf(options, 'status', EVENT_STATUSES);
    const receivedAt = sinceOf(options);
    const connection = await connect(call);
    const filter = given({
      id: someOf(await Promise.all(words.map((word) => findEventId(connection, word)))),
      project: textOf(options, 'project'),
      type: someOf(textsOf(options, 'type')),
      status,
      receivedAt,
    });
    const triggerIds = await triggersOf(connection, call);
    return start(connection, call, 'replayEvents', { filter, ...given({ triggerIds }) });
  },
};

const someOf = (texts: readonly string[]): readonly string[] | null => (texts.length === 0 ? null : texts);

async function triggersOf(
  connection: Connection,
  { options }: CommandCall,
): Promise<readonly string[] | null> {
  const project = textOf(options, 'project');
  const names = textsOf(options, 'trigger');
  return someOf(await Promise.all(names.map((name) => triggerId(connection, name, project))));
}

async function start(
  connection: Connection,
  call: CommandCall,
  mutation: string,
  input: object,
): Promise<ExitCode> {
  const { options, stopSignal } = call;
  const output = createOutput(call);
  const maxPerMinute = wholeOf(options, 'per-minute');
  let operation = await change(connection, mutation, { ...input, ...given({ maxPerMinute }) });
  await show(output, operation);
  if (!isGiven(options, 'wait')) return 0;
  const signal = stopSignal();
  while (operation.status === 'RUNNING') {
    await pause(LOOK_MS, undefined, { signal });
    const next = await look(connection, operation.id).catch((error: unknown) => {
      // It goes on meanwhile.
      if (error instanceof ApiError && error.isPassing) return operation;
      throw error;
    });
    if (
      next.processed + next.skipped !== operation.processed + operation.skipped ||
      next.status !== 'RUNNING'
    ) {
      await show(output, next);
    }
    operation = next;
  }
  return operation.status === 'COMPLETED' ? 0 : 1;
}

/** Between two looks at how far it is, in ms. */
const LOOK_MS = 500;
