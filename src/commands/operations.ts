/** `operations | operations stop`: what goes on in the background, and how it is shown. */
import type { BulkOperationKind, BulkOperationStatus } from '../domain/bulk-operation.ts';
import { type Command, NO_WORDS } from './command.ts';
import { ApiError, CONNECTION_OPTIONS, type Connection, connect, mutate } from './connection.ts';
import { LIMIT_OPTION, limitOf } from './options.ts';
import { columns, createOutput, OUTPUT_OPTIONS, type Output, paint, plain, type Style } from './output.ts';
import { pages } from './pages.ts';
import { dayAndTime } from './time.ts';

export interface BulkOperation {
  readonly id: string;
  readonly kind: BulkOperationKind;
  readonly status: BulkOperationStatus;
  readonly matched: number | null;
  readonly processed: number;
  readonly skipped: number;
  readonly createdAt: string;
  readonly errorMessage: string | null;
}

const OPERATION =
  'id kind status matched processed skipped filter maxPerMinute errorMessage createdAt finishedAt';

const COMMON_OPTIONS = { ...CONNECTION_OPTIONS, ...OUTPUT_OPTIONS };

export const operationsCommand: Command = {
  options: { ...LIMIT_OPTION, ...COMMON_OPTIONS },
  words: NO_WORDS,
  notes: ['Newest first. They are kept for 30 days after their end; the audit log says who started them.'],
  async run(call) {
    const limit = limitOf(call.options);
    const output = createOutput(call);
    const connection = await connect(call);
    const query = `query ($first: Int, $after: String) {
      bulkOperations(first: $first, after: $after) { nodes { ${OPERATION} } pageInfo { hasNextPage endCursor } }
    }`;
    for await (const nodes of pages<BulkOperation>(connection, query, {}, limit)) {
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

/** The operation as it is now. Errors: ApiError. */
export async function look(connection: Connection, id: string): Promise<BulkOperation> {
  const query = `query ($id: ID!) { bulkOperation(id: $id) { ${OPERATION} } }`;
  const { bulkOperation } = await connection.ask<{ bulkOperation: BulkOperation | null }>(query, { id });
  return found(bulkOperation);
}

/** The operation that a mutation began or ended. Errors: ApiError. */
export async function change(
  connection: Connection,
  mutation: string,
  input: object,
): Promise<BulkOperation> {
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

export const show = (output: Output, operation: BulkOperation): Promise<void> =>
  output.show(operation, () => describe(operation));

const STYLE: Readonly<Record<BulkOperationStatus, Style>> = {
  RUNNING: 'cyan',
  COMPLETED: 'green',
  FAILED: 'red',
  CANCELLED: 'yellow',
};

function describe(operation: BulkOperation): string {
  const { id, kind, status, errorMessage } = operation;
  const why = errorMessage === null ? '' : `\n  ${plain(errorMessage)}`;
  return `${paint('bold', kind)}  ${paint(STYLE[status], status)}  ${progress(operation)}  ${paint('dim', id)}${why}`;
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
