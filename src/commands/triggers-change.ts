/** `triggers create | update | pause | resume | delete | rotate-secret`. */
import { PENDING_POLICIES, TRIGGER_STATUSES } from '../domain/trigger.ts';
import { type Command, type CommandCall, type ExitCode, UsageError } from './command.ts';
import { ApiError, CONNECTION_OPTIONS, connect, mutate } from './connection.ts';
import { choiceOf, isGiven, requiredText, textOf, wholeOf } from './options.ts';
import { createOutput, OUTPUT_OPTIONS, type Output, paint } from './output.ts';
import { triggerId } from './trigger-lookup.ts';
import { given, KEY_OPTIONS, keyOf, PROJECT_OPTION, SETTING_OPTIONS, settingsOf } from './trigger-options.ts';
import { type ListedTrigger, TRIGGER_FIELDS, triggerTable } from './triggers.ts';

const COMMON_OPTIONS = { ...PROJECT_OPTION, ...CONNECTION_OPTIONS, ...OUTPUT_OPTIONS };
const NAMED: Command['words'] = { usage: '<name or id>', least: 1, most: 1 };

interface Payload {
  readonly trigger: ListedTrigger | null;
  readonly signingSecret?: string | null;
  readonly releasedCount?: number;
}

export const createTriggerCommand: Command = {
  options: {
    ...SETTING_OPTIONS,
    ...KEY_OPTIONS,
    paused: { type: 'boolean', value: '', meaning: 'create it paused' },
    ...COMMON_OPTIONS,
  },
  words: { usage: '<name>', least: 1, most: 1 },
  notes: [
    'The signing secret is shown once, here.',
    'Example: npm run herald -- triggers create billing --type order.paid --to https://example.com/hook',
  ],
  run(call) {
    const { options, words } = call;
    requiredText(options, 'type');
    requiredText(options, 'to');
    const input = {
      name: words[0],
      ...settingsOf(options),
      ...keyOf(options),
      ...given({ project: textOf(options, 'project'), paused: isGiven(options, 'paused') || null }),
    };
    return change(call, 'createTrigger', ['signingSecret'], async () => input);
  },
};

export const updateTriggerCommand: Command = {
  options: {
    name: { type: 'string', value: '<name>', meaning: 'a new name' },
    ...SETTING_OPTIONS,
    status: {
      type: 'string',
      value: '<status>',
      meaning: 'disabled makes no invocations, active does again (`pause` holds them)',
    },
    'expected-version': {
      type: 'string',
      value: '<number>',
      meaning: 'refuse where the trigger changed since it was at this version',
    },
    ...COMMON_OPTIONS,
  },
  words: NAMED,
  notes: [
    'What is not given stays. Headers are replaced all together; a secret one given as *** keeps its value.',
  ],
  run(call) {
    const { options } = call;
    const changes = {
      ...settingsOf(options),
      ...given({
        name: textOf(options, 'name'),
        status: choiceOf(options, 'status', TRIGGER_STATUSES),
      }),
    };
    if (Object.keys(changes).length === 0)
      throw new UsageError('triggers update: expected something to change');
    const expectedVersion = wholeOf(options, 'expected-version');
    return change(call, 'updateTrigger', [], async (id) => ({
      id: await id(),
      ...changes,
      ...given({ expectedVersion }),
    }));
  },
};

export const pauseTriggerCommand: Command = {
  options: COMMON_OPTIONS,
  words: NAMED,
  notes: ['Its invocations are held until `triggers resume`; nothing is lost.'],
  run: (call) => change(call, 'pauseTrigger', [], async (id) => ({ id: await id() })),
};

export const resumeTriggerCommand: Command = {
  options: COMMON_OPTIONS,
  words: NAMED,
  notes: ['Invocations that were held are delivered, oldest first.'],
  run: (call) =>
    change(call, 'resumeTrigger', ['releasedCount'], async (id) => ({
      id: await id(),
    })),
};

export const rotateSecretCommand: Command = {
  options: {
    ...KEY_OPTIONS,
    'grace-hours': {
      type: 'string',
      value: '<hours>',
      meaning: 'how long the old key signs too, 0 to 720 [24]',
    },
    ...COMMON_OPTIONS,
  },
  words: NAMED,
  notes: ['The new secret is shown once, here. Both keys sign until the old one expires.'],
  run(call) {
    const { options } = call;
    const gracePeriodHours = wholeOf(options, 'grace-hours');
    return change(call, 'rotateTriggerSecret', ['signingSecret'], async (id) => ({
      id: await id(),
      ...keyOf(options),
      ...given({ gracePeriodHours }),
    }));
  },
};

export const deleteTriggerCommand: Command = {
  options: {
    pending: {
      type: 'string',
      value: 'cancel|finish',
      meaning: 'what becomes of unfinished invocations: cancelled, or delivered to the end [cancel]',
    },
    ...COMMON_OPTIONS,
  },
  words: NAMED,
  notes: ['Finished invocations stay until retention removes them.'],
  async run(call) {
    const pending = choiceOf(call.options, 'pending', PENDING_POLICIES) ?? 'CANCEL';
    const output = createOutput(call);
    const connection = await connect(call);
    const id = await triggerId(connection, String(call.words[0]), textOf(call.options, 'project'));
    const { deletedTriggerId, cancelledCount } = await mutate<{
      readonly deletedTriggerId: string | null;
      readonly cancelledCount: number;
    }>(connection, 'deleteTrigger', 'deletedTriggerId cancelledCount', { id, pending });
    await output.show(
      { deletedTriggerId, cancelledCount },
      () => `Deleted ${call.words[0]}; ${cancelledCount} invocations were cancelled.`,
    );
    return 0;
  },
};

/** Runs the mutation with the input made by `inputOf`, which may ask for the id of the trigger that was named. */
async function change(
  call: CommandCall,
  mutation: string,
  more: readonly ('signingSecret' | 'releasedCount')[],
  inputOf: (id: () => Promise<string>) => Promise<object>,
): Promise<ExitCode> {
  const output = createOutput(call);
  const connection = await connect(call);
  const input = await inputOf(() =>
    triggerId(connection, String(call.words[0]), textOf(call.options, 'project')),
  );
  const selection = `trigger { ${TRIGGER_FIELDS} } ${more.join(' ')}`;
  const payload = await mutate<Payload>(connection, mutation, selection, input);
  if (payload.trigger === null) throw new ApiError('Herald answered without a trigger.');
  await show(output, payload.trigger, payload);
  return 0;
}

async function show(
  output: Output,
  trigger: ListedTrigger,
  { signingSecret, releasedCount }: Payload,
): Promise<void> {
  const more = given({ signingSecret: signingSecret ?? null, releasedCount: releasedCount ?? null });
  await output.show({ ...trigger, ...more }, () =>
    [
      triggerTable([trigger]),
      ...(releasedCount === undefined ? [] : [`${releasedCount} held invocations are released.`]),
      ...(signingSecret == null ? [] : [`Signing secret, shown once: ${paint('bold', signingSecret)}`]),
    ].join('\n'),
  );
}
