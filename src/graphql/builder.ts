/** The schema builder: what resolvers get as context, and what each scalar is inside. */
import SchemaBuilder from '@pothos/core';
import type { JsonText } from '../domain/json.ts';
import type { GraphqlContext } from './context.ts';
import './fresh-reads-plugin.ts';
import './scope-plugin.ts';

export const builder = new SchemaBuilder<{
  Context: GraphqlContext;
  DefaultFieldNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    Int: { Input: number; Output: number };
    Float: { Input: number; Output: number };
    DateTime: { Input: Date; Output: Date };
    Timestamp: { Input: Date; Output: Date };
    /** Comes in as its text; goes out as what `parseKeepingDigits` made of it. */
    JSON: { Input: JsonText; Output: unknown };
    URL: { Input: string; Output: string };
    SafeInt: { Input: number; Output: number };
  };
}>({ plugins: ['scope', 'freshReads'], defaultFieldNullability: false });

builder.queryType({
  description: 'Reads. Every field needs a token with the scope named in its description.',
});
builder.mutationType({ description: 'Writes. Fields of one operation run one after another.' });
builder.subscriptionType({
  description: `Live updates over GraphQL over SSE or graphql-transport-ws. Scope: EVENTS_READ.

Resuming: every update carries a \`cursor\`. Reconnect with \`after\` set to the last cursor seen and the server first replays
what was missed, in order, without gaps; updates may be repeated, never skipped. Where the cursor is older than the
change log (an hour), or the client has fallen behind by more than a minute, an update of kind RESYNC arrives: read the
state again with a query and go on.`,
});

/** Values of an enum type: `satisfies Described<TriggerStatus>` keeps them the domain's. */
export type Described<Name extends string> = Readonly<Record<Name, { readonly description: string }>>;
