/** `event <id>`: one event explained: what was attempted, and why it was or was not delivered. */
import type { TriggerStatusReason } from '../domain/trigger.ts';
import type { Command } from './command.ts';
import { ApiError, CONNECTION_OPTIONS, type Connection, connect } from './connection.ts';
import { EVENT_FIELDS, type ExplainedEvent, type Explanation, explain, type Rival } from './explain.ts';
import { createOutput, OUTPUT_OPTIONS } from './output.ts';
import { UUID } from './trigger-lookup.ts';

export const eventCommand: Command = {
  options: { ...CONNECTION_OPTIONS, ...OUTPUT_OPTIONS },
  words: { usage: '<id>', least: 1, most: 1 },
  notes: [
    'The id is that of an event, or of an invocation: the `webhook-id` header that the receiver got.',
    'Shown are the newest 100 invocations and the newest 100 attempts of each.',
  ],
  async run(call) {
    const output = createOutput(call);
    const connection = await connect(call);
    const event = await findEvent(connection, String(call.words[0]));
    const explanation: Explanation = {
      event,
      rivals: await rivalsOf(connection, event),
      pauses: await pausesOf(connection, event),
      nowMs: Date.now(),
    };
    await output.show(event, () => explain(explanation));
    return 0;
  },
};

/** Id of the event, or of the invocation's event. Errors: ApiError where there is none. */
export async function findEventId(connection: Connection, id: string): Promise<string> {
  checkId(id);
  const answer = await connection.ask<{
    event: { id: string } | null;
    invocation: { event: { id: string } } | null;
  }>('query ($id: ID!) { event(id: $id) { id } invocation(id: $id) { event { id } } }', { id });
  return found(answer.event ?? answer.invocation?.event, id).id;
}

/** The event, or the invocation's event. Errors: ApiError where there is none. */
export async function findEvent(connection: Connection, id: string): Promise<ExplainedEvent> {
  checkId(id);
  const answer = await connection.ask<{
    event: ExplainedEvent | null;
    invocation: { event: ExplainedEvent } | null;
  }>(
    `query ($id: ID!) { event(id: $id) { ...Explained } invocation(id: $id) { event { ...Explained } } }
    fragment Explained on Event { ${EVENT_FIELDS} }`,
    { id },
  );
  return found(answer.event ?? answer.invocation?.event, id);
}

function checkId(id: string): void {
  if (!UUID.test(id)) {
    throw new ApiError(`${JSON.stringify(id)} is no id: those are UUIDs; \`events\` lists them.`);
  }
}

function found<Event>(event: Event | null | undefined, id: string): Event {
  if (event != null) return event;
  throw new ApiError(
    `Herald knows no event or invocation ${id}. Finished events are kept for some time only (RETENTION_DAYS), and a token sees its own projects alone.`,
  );
}

/** Of an event that nothing matched: the triggers that it may have been meant for. */
async function rivalsOf(connection: Connection, event: ExplainedEvent): Promise<readonly Rival[]> {
  if (event.status !== 'UNMATCHED') return [];
  const answer = await askOfTriggers<{ triggers: { nodes: readonly Rival[] } }>(
    connection,
    `query ($project: String!) {
      triggers(filter: { project: $project }, first: 100) { nodes { name type status createdAt statusChangedAt } }
    }`,
    { project: event.project },
  );
  return answer?.triggers.nodes ?? [];
}

interface Paused {
  readonly id: string;
  readonly trigger: { readonly statusReason: TriggerStatusReason | null } | null;
}

/** Of an event that is held for some triggers: why they are paused. */
async function pausesOf(connection: Connection, event: ExplainedEvent): Promise<Explanation['pauses']> {
  if (!event.invocations.nodes.some(({ status }) => status === 'HELD')) return new Map();
  const answer = await askOfTriggers<{ event: { invocations: { nodes: readonly Paused[] } } | null }>(
    connection,
    'query ($id: ID!) { event(id: $id) { invocations(first: 100) { nodes { id trigger { statusReason } } } } }',
    { id: event.id },
  );
  const reasons = (answer?.event?.invocations.nodes ?? []).map(
    ({ id, trigger }) => [id, trigger?.statusReason] as const,
  );
  return new Map(reasons.flatMap(([id, reason]) => (reason == null ? [] : [[id, reason]])));
}

/** Null where the token may read events and no triggers. */
async function askOfTriggers<T>(connection: Connection, query: string, variables: object): Promise<T | null> {
  try {
    return await connection.ask<T>(query, variables);
  } catch (error) {
    if (error instanceof ApiError && error.code === 'FORBIDDEN') return null;
    throw error;
  }
}
