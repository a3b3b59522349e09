/** What is asked of bulk operations, over GraphQL. */
import { until } from '../support/until.ts';
import { ask, type Loose } from './ask.ts';
import type { Door } from './door.ts';

export type BulkMutation = 'retryInvocations' | 'cancelEvents' | 'replayEvents' | 'cancelBulkOperation';

export interface BulkCalls {
  /** The mutation's payload. */
  begin(mutation: BulkMutation, input: object, headers?: Record<string, string>): Promise<Loose>;
  operation(id: string, headers?: Record<string, string>): Promise<Loose>;
  /** The operation when it has ended. */
  completed(id: string): Promise<Loose>;
}

export const OPERATION =
  'id kind status matched processed skipped filter maxPerMinute errorMessage createdAt finishedAt';

export function bulkCalls(door: Door): BulkCalls {
  async function operation(id: string, headers: Record<string, string> = {}): Promise<Loose> {
    const query = `query ($id: ID!) { bulkOperation(id: $id) { ${OPERATION} } }`;
    const { data } = await ask(door, query, { id }, headers);
    return data.bulkOperation;
  }
  return {
    async begin(mutation, input, headers = {}) {
      const { data, errors } = await ask(
        door,
        `mutation ($input: ${mutation[0]?.toUpperCase()}${mutation.slice(1)}Input!) {
          ${mutation}(input: $input) { bulkOperation { ${OPERATION} } userErrors { field code message } }
        }`,
        { input },
        headers,
      );
      if (errors !== undefined) throw new Error(JSON.stringify(errors));
      return data[mutation];
    },
    operation,
    completed: (id) =>
      until(async () => {
        const found = await operation(id);
        return found.status !== 'RUNNING' && found;
      }, 'the operation to end'),
  };
}
