/** `events`: the newest events. */
import { EVENT_STATUSES, type EventStatus } from '../domain/event.ts';
import type { Command } from './command.ts';
import { CONNECTION_OPTIONS, connect } from './connection.ts';
import { choicesOf, LIMIT_OPTION, limitOf, SINCE_OPTION, sinceOf, textOf, textsOf } from './options.ts';
import { columns, createOutput, OUTPUT_OPTIONS, shortened } from './output.ts';
import { pages } from './pages.ts';
import { dayAndTime, fromNow } from './time.ts';
import { EVENT_STYLE } from './words.ts';

interface ListedEvent {
  readonly id: string;
  readonly type: string;
  readonly status: EventStatus;
  readonly receivedAt: string;
  readonly dueAt: string;
  readonly invocationCounts: {
    readonly total: number;
    readonly pending: number;
    readonly running: number;
    readonly succeeded: number;
    readonly failed: number;
    readonly cancelled: number;
  };
}

/** Characters of a type in the table. */
const SHOWN_TYPE = 48;

export const eventsCommand: Command = {
  options: {
    type: { type: 'string', multiple: true, value: '<type>', meaning: 'only this type; may be repeated' },
    status: {
      type: 'string',
      multiple: true,
      value: '<status>',
      meaning: `only these states: ${EVENT_STATUSES.join(', ').toLowerCase()}`,
    },
    project: { type: 'string', value: '<name>', meaning: 'only this project' },
    ...SINCE_OPTION,
    ...LIMIT_OPTION,
    ...CONNECTION_OPTIONS,
    ...OUTPUT_OPTIONS,
  },
  words: { usage: '', least: 0, most: 0 },
  notes: ['Newest first. `event <id>` explains one of them.'],
  async run(call) {
    const { options } = call;
    const limit = limitOf(options);
    const types = textsOf(options, 'type');
    const filter = {
      type: types.length === 0 ? null : types,
      status: choicesOf(options, 'status', EVENT_STATUSES),
      project: textOf(options, 'project'),
      receivedAt: sinceOf(options),
    };
    const output = createOutput(call);
    const connection = await connect(call);
    const query = `query ($filter: EventFilter, $first: Int, $after: String) {
      events(filter: $filter, first: $first, after: $after) {
        nodes { id project type source status receivedAt dueAt finishedAt origin
          invocationCounts { total pending running succeeded failed cancelled } }
        pageInfo { hasNextPage endCursor }
      }
    }`;
    for await (const events of pages<ListedEvent>(connection, query, { filter }, limit)) {
      if (call.stopSignal().aborted) break;
      if (events.length > 0) await output.showAll(events, () => table(events));
      else if (output.format === 'TEXT') output.remark('No such events.');
    }
    return 0;
  },
};

function table(events: readonly ListedEvent[]): string {
  const nowMs = Date.now();
  const rows = events.map(({ id, type, status, receivedAt, dueAt, invocationCounts }) => [
    dayAndTime(receivedAt),
    shortened(type, SHOWN_TYPE),
    status,
    status === 'SCHEDULED' ? `due ${fromNow(dueAt, nowMs)}` : describeCounts(invocationCounts),
    id,
  ]);
  return columns(['QUEUED', 'TYPE', 'STATUS', 'INVOCATIONS', 'ID'], rows, (row, column) => {
    const event = events[row];
    if (column === 2 && event !== undefined) return EVENT_STYLE[event.status];
    return column === 4 ? 'dim' : null;
  });
}

/** `2 succeeded, 1 failed` */
function describeCounts({ total: _, ...counts }: ListedEvent['invocationCounts']): string {
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  return parts.map(([name, count]) => `${count} ${name}`).join(', ') || 'none';
}
