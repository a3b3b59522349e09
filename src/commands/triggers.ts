/** `triggers`: lists them. */
import { TRIGGER_STATUSES, type TriggerStatus, type TriggerStatusReason } from '../domain/trigger.ts';
import { type Command, NO_WORDS } from './command.ts';
import { CONNECTION_OPTIONS, connect } from './connection.ts';
import { choicesOf, textOf } from './options.ts';
import { columns, createOutput, OUTPUT_OPTIONS, plain, shortened } from './output.ts';
import { pages } from './pages.ts';
import { PAUSE_MARK, TRIGGER_STYLE } from './words.ts';

/** What has to be asked of a Trigger for a `ListedTrigger`. */
export const TRIGGER_FIELDS = `id project name type url description status statusReason failingSince retries timeout retrySchedule
  contentMode specVersion headers { name value } maxConcurrency maxPerMinute version createdAt updatedAt`;

export interface ListedTrigger {
  readonly id: string;
  readonly project: string;
  readonly name: string;
  readonly type: string;
  readonly url: string;
  readonly status: TriggerStatus;
  readonly statusReason: TriggerStatusReason | null;
  readonly retries: number;
  readonly timeout: number;
}

/** Characters of a type in the table. */
const SHOWN_TYPE = 40;

export const triggersCommand: Command = {
  options: {
    project: { type: 'string', short: 'p', value: '<name>', meaning: 'only this project' },
    type: { type: 'string', value: '<type>', meaning: 'only those for this event type' },
    status: {
      type: 'string',
      multiple: true,
      value: '<status>',
      meaning: `only these states: ${TRIGGER_STATUSES.join(', ').toLowerCase()}`,
    },
    search: {
      type: 'string',
      value: '<text>',
      meaning: 'only those with this text in name, URL or description',
    },
    ...CONNECTION_OPTIONS,
    ...OUTPUT_OPTIONS,
  },
  words: NO_WORDS,
  notes: ['A trigger is named by its name (and --project), or by its id.'],
  async run(call) {
    const { options } = call;
    const filter = {
      project: textOf(options, 'project'),
      type: textOf(options, 'type'),
      status: choicesOf(options, 'status', TRIGGER_STATUSES),
      search: textOf(options, 'search'),
    };
    const output = createOutput(call);
    const connection = await connect(call);
    const query = `query ($filter: TriggerFilter, $first: Int, $after: String) {
      triggers(filter: $filter, first: $first, after: $after) {
        nodes { ${TRIGGER_FIELDS} } pageInfo { hasNextPage endCursor }
      }
    }`;
    const all = pages<ListedTrigger>(connection, query, { filter }, Number.POSITIVE_INFINITY);
    for await (const triggers of all) {
      if (call.stopSignal().aborted) break;
      if (triggers.length > 0) await output.showAll(triggers, () => triggerTable(triggers));
      else if (output.format === 'TEXT') output.remark('No such triggers.');
    }
    return 0;
  },
};

export function triggerTable(triggers: readonly ListedTrigger[]): string {
  const rows = triggers.map(({ project, name, type, url, status, statusReason, id }) => [
    project,
    name,
    shortened(type, SHOWN_TYPE),
    statusReason === null ? status : `${status}${PAUSE_MARK[statusReason]}`,
    plain(url),
    id,
  ]);
  return columns(['PROJECT', 'NAME', 'TYPE', 'STATUS', 'URL', 'ID'], rows, (row, column) => {
    const trigger = triggers[row];
    if (column === 3 && trigger !== undefined) return TRIGGER_STYLE[trigger.status];
    return column === 1 ? 'bold' : column === 5 ? 'dim' : null;
  });
}
