/** Asks the door as a client would. */
import { AUTHORIZED, type Door } from './door.ts';

// biome-ignore lint/suspicious/noExplicitAny: each test knows the shape of what it asks for
export type Loose = any;

export interface Answer {
  readonly data: Loose;
  readonly errors?: readonly {
    readonly message: string;
    readonly path?: readonly string[];
    readonly extensions: Record<string, unknown>;
  }[];
}

/** `variables` are JSON text where given as a string, for tests in which every digit counts. */
export async function ask(
  door: Door,
  query: string,
  variables: Record<string, unknown> | string = {},
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await post(door, bodyOf(query, variables), headers);
  return (await response.json()) as Answer;
}

export function bodyOf(query: string, variables: Record<string, unknown> | string = {}): string {
  const text = typeof variables === 'string' ? variables : JSON.stringify(variables);
  return `{"query":${JSON.stringify(query)},"variables":${text}}`;
}

export function post(
  door: Door,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(door.url, { method: 'POST', headers: { ...AUTHORIZED, ...headers }, body });
}

/** Creates a trigger that must be accepted. */
export async function createTrigger(door: Door, input: Record<string, unknown>): Promise<Loose> {
  const { data, errors } = await ask(
    door,
    `mutation ($input: CreateTriggerInput!) {
      createTrigger(input: $input) { trigger { id name version } signingSecret userErrors { field code message } }
    }`,
    { input: { url: 'http://127.0.0.1:9/hook', ...input } },
  );
  if (errors !== undefined || data.createTrigger.trigger === null) {
    throw new Error(`no trigger: ${JSON.stringify(errors ?? data.createTrigger.userErrors)}`);
  }
  return data.createTrigger.trigger;
}

/** Queues an event that must be accepted; answers its id and those of its invocations, oldest first. */
export async function queueEvent(
  door: Door,
  input: Record<string, unknown>,
): Promise<{ readonly id: string; readonly invocations: readonly string[] }> {
  const { data, errors } = await ask(
    door,
    `mutation ($input: QueueEventInput!) {
      queueEvent(input: $input) {
        event { id invocations(orderBy: { field: CREATED_AT, direction: ASC }) { nodes { id } } }
        userErrors { field code message }
      }
    }`,
    { input },
  );
  if (errors !== undefined || data.queueEvent.event === null) {
    throw new Error(`no event: ${JSON.stringify(errors ?? data.queueEvent.userErrors)}`);
  }
  const { id, invocations } = data.queueEvent.event;
  return { id, invocations: invocations.nodes.map((node: Loose) => node.id) };
}
