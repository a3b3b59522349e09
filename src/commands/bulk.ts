/** `retry-all | replay | operations | operations stop`: jobs over many rows, which run in the background. */
import { setTimeout as pause } from 'node:timers/promises';
import type { BulkOperationKind, BulkOperationStatus } from '../domain/bulk-operation.ts';
import { EVENT_STATUSES } from '../domain/event.ts';
import { type Command, type CommandCall, type ExitCode, NO_WORDS } from './command.ts';
import { ApiError, CONNECTION_OPTIONS, type Connection, connect, mutate } from './connection.ts';
import { choicesOf, isGiven, SINCE_OPTION, sinceOf, textOf, textsOf, wholeOf } from './options.ts';
import { columns, createOutput, OUTPUT_OPTIONS, type Output, paint, type Style } from './output.ts';
import { pages } from './pages.ts';
import { dayAndTime } from './time.ts';
import { triggerId } from './trigger-lookup.ts';
import { given } from './trigger-options.ts';

interface BulkOperation {
  readonly id: string;
  readonly kind: BulkOperationKind;
  readonly status: BulkOperationStatus;
  readonly matched: number | null;
  readonly processed: number;
  readonly skipped: number;
  readonly createdAt: string;
}

const OPERATION = 'id kind status matched processed skipped filter maxPerMinute createdAt finishedAt';

const COMMON_OPTIONS = { ...CONNECTION_OPTIONS, ...OUTPUT_OPTIONS };
const CHOICE_OPTIONS = {
  type: {
    type: 'string',
    multiple: true,
    value: '<type>',
    meaning: 'only this event type; may be repeated',
  },
  project: { type: 'string', short: 'p', value: '<name>', meaning: 'only this project' },
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
  words: { usage: '[<event id> …]', least: 0, most: 100 },
  notes: [
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
      id: someOf(words),
      project: textOf(options, 'project'),
      type: someOf(textsOf(options, 'type')),
      status,
      receivedAt,
    });
    const triggerIds = await triggersOf(connection, call);
    return start(connection, call, 'replayEvents', { filter, ...given({ triggerIds }) });
  },
};

export const operationsCommand: Command = {
  options: COMMON_OPTIONS,
  words: NO_WORDS,
  notes: ['Newest first. They are kept for 30 days after their end; the audit log says who started them.'],
  async run(call) {
    const output = createOutput(call);
    const connection = await connect(call);
    const query = `query ($first: Int, $after: String) {
      bulkOperations(first: $first, after: $after) { nodes { ${OPERATION} } pageInfo { hasNextPage endCursor } }
    }`;
    for await (const nodes of pages<BulkOperation>(connection, query, {}, Number.POSITIVE_INFINITY)) {
      if (call.stopSignal().aborted) break;
      if (nodes.length > 0) await output.showAll(nodes, () => table(nodes));
      else if (output.format === 'TEXT') output.remark('No such operations.');
    }
    return 0;
  },
};

export const stopOperationCommand: Command = {
  options: COMMON_OPTIONS,
  words: { usage: '<id>', least: 1, most: 1 },
  notes: ['What was done stays done.'],
  async run(call) {
    const output = createOutput(call);
    const connection = await connect(call);
    await show(output, await change(connection, 'cancelBulkOperation', { id: call.words[0] }));
    return 0;
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

async function look(connection: Connection, id: string): Promise<BulkOperation> {
  const query = `query ($id: ID!) { bulkOperation(id: $id) { ${OPERATION} } }`;
  const { bulkOperation } = await connection.ask<{ bulkOperation: BulkOperation | null }>(query, { id });
  return found(bulkOperation);
}

async function change(connection: Connection, mutation: string, input: object): Promise<BulkOperation> {
  const selection = `bulkOperation { ${OPERATION} }`;
  const payload = await mutate<{ readonly bulkOperation: BulkOperation | null }>(
    connection,
    mutation,
    selection,
    input,
  );
  return found(payload.bulkOperation);
}

function found(operation: BulkOperation | null): BulkOperation {
  if (operation === null) throw new ApiError('Herald answered without an operation.');
  return operation;
}

const show = (output: Output, operation: BulkOperation): Promise<void> =>
  output.show(operation, () => describe(operation));

const STYLE: Readonly<Record<BulkOperationStatus, Style>> = {
  RUNNING: 'cyan',
  COMPLETED: 'green',
  FAILED: 'red',
  CANCELLED: 'yellow',
};

function describe(operation: BulkOperation): string {
  const { id, kind, status } = operation;
  return `${paint('bold', kind)}  ${paint(STYLE[status], status)}  ${progress(operation)}  ${paint('dim', id)}`;
}

function progress({ matched, processed, skipped }: BulkOperation): string {
  const of = matched === null ? '' : ` of ${matched}`;
  return `${processed}${of} done${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

function table(operations: readonly BulkOperation[]): string {
  const rows = operations.map((operation) => [
    dayAndTime(operation.createdAt),
    operation.kind,
    operation.status,
    progress(operation),
    operation.id,
  ]);
  return columns(['STARTED', 'KIND', 'STATUS', 'PROGRESS', 'ID'], rows, (row, column) => {
    const operation = operations[row];
    if (column === 2 && operation !== undefined) return STYLE[operation.status];
    return column === 1 ? 'bold' : column === 4 ? 'dim' : null;
  });
}
