/** `retryInvocation` and `cancelInvocation`. */
import { cancelInvocation, type ManualWriter, retryInvocation } from '../actions/manage-invocation.ts';
import { fail, problem, type Result } from '../domain/errors.ts';
import type { InvocationRow } from '../store/invocations.ts';
import { builder } from './builder.ts';
import { forgetReads, type GraphqlContext } from './context.ts';
import { visibleInvocation } from './invocation.ts';
import { InvocationRef } from './refs.ts';
import { type Payload, userErrorsField } from './user-error.ts';

const RetryInvocationInput = builder.inputType('RetryInvocationInput', {
  description: 'An invocation to retry.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'Id of the invocation.' }),
    resetRetries: t.boolean({
      defaultValue: false,
      description: 'Give the invocation its full number of retries again. Otherwise one attempt is made.',
    }),
  }),
});

const CancelInvocationInput = builder.inputType('CancelInvocationInput', {
  description: 'An invocation to cancel.',
  fields: (t) => ({ id: t.id({ required: true, description: 'Id of the invocation.' }) }),
});

interface InvocationPayload extends Payload {
  /** Null where there are problems. */
  readonly invocation: InvocationRow | null;
}

function defineInvocationPayload(name: string, mutation: string) {
  const ref = builder.objectRef<InvocationPayload>(name);
  ref.implement({
    description: `Answer of \`${mutation}\`.`,
    fields: (t) => ({
      invocation: t.expose('invocation', {
        type: InvocationRef,
        nullable: true,
        description: 'The invocation; null when there are errors.',
      }),
      userErrors: userErrorsField(t),
    }),
  });
  return ref;
}

const RetryInvocationPayload = defineInvocationPayload('RetryInvocationPayload', 'retryInvocation');
const CancelInvocationPayload = defineInvocationPayload('CancelInvocationPayload', 'cancelInvocation');

builder.mutationFields((t) => ({
  retryInvocation: t.field({
    type: RetryInvocationPayload,
    scope: 'EVENTS_RETRY',
    description: `Attempt an unfinished or failed invocation now. Same \`webhook-id\`, so a receiver that already handled it
can tell. A planned automatic retry is brought forward rather than duplicated.`,
    args: { input: t.arg({ type: RetryInvocationInput, required: true, description: 'What to retry.' }) },
    resolve: (_root, { input: { id, resetRetries } }, context) =>
      changing(id, context, (writer) => retryInvocation(writer, { id, resetRetries: resetRetries ?? false })),
  }),
  cancelInvocation: t.field({
    type: CancelInvocationPayload,
    scope: 'EVENTS_WRITE',
    description:
      'Cancel one unfinished invocation. An attempt that is in flight, or just begins, is recorded when it ends.',
    args: { input: t.arg({ type: CancelInvocationInput, required: true, description: 'What to cancel.' }) },
    resolve: (_root, { input: { id } }, context) =>
      changing(id, context, (writer) => cancelInvocation(writer, { id })),
  }),
}));

export function manualWriter({ services, caller }: GraphqlContext): ManualWriter {
  return { db: services.db, actor: caller };
}

/** Runs `change` where the caller may see the invocation. */
async function changing(
  id: string,
  context: GraphqlContext,
  change: (writer: ManualWriter) => Promise<Result<InvocationRow>>,
): Promise<InvocationPayload> {
  const seen = await visibleInvocation(await context.loaders.invocation(id), context);
  const changed =
    seen === null
      ? fail(problem('id', 'NOT_FOUND', `no invocation ${JSON.stringify(id)}`))
      : await change(manualWriter(context));
  forgetReads(context);
  return changed.ok
    ? { invocation: changed.value, problems: [] }
    : { invocation: null, problems: changed.problems };
}
