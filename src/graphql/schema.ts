/** The schema: every file that adds to it, put together. */
import { printSchema } from 'graphql';
import { builder } from './builder.ts';
import './api-key.ts';
import './audit-log.ts';
import './bulk-operation.ts';
import './event-progress.ts';
import './event-type.ts';
import './invocation.ts';
import './invocation-updates.ts';
import './live-tail.ts';
import './manage-bulk.ts';
import './manage-event.ts';
import './manage-invocation.ts';
import './manage-trigger.ts';
import './queue-event.ts';
import './queue-status.ts';
import './rotate-secret.ts';
import './server.ts';
import './stats.ts';
import './try-trigger.ts';

export const schema = builder.toSchema({ sortSchema: false });

/** The schema as text, for `schema.graphql`. */
export function printedSchema(): string {
  return `${printSchema(schema)}\n`;
}
