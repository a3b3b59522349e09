/** `previewDelivery` and `testTrigger`. */
import { MAX_TEST_MS, type Sample, type TestAttempt, type Trial } from '../actions/try-trigger.ts';
import { mayCaller } from '../domain/caller.ts';
import { curlOf } from '../domain/curl.ts';
import { AppError, type Problem, problem, type Result, succeed } from '../domain/errors.ts';
import { builder } from './builder.ts';
import type { GraphqlContext } from './context.ts';
import { changing } from './manage-trigger.ts';
import { dataOf, type EventAsked } from './new-event.ts';
import { AttemptRef, AttemptRequestRef, type ShownAttempt, type ShownRequest } from './refs.ts';
import { headerList } from './shared.ts';
import { type Payload, userErrorsField } from './user-error.ts';
import './attempt.ts';
import './scalars.ts';

interface TrialAsked extends Pick<EventAsked, 'data' | 'dataText'> {
  readonly triggerId: string;
  readonly type?: string | null | undefined;
}

const inputOf = (name: string, description: string) =>
  builder.inputType(name, {
    description,
    fields: (t) => ({
      triggerId: t.id({ required: true, description: 'Id of the trigger.' }),
      type: t.string({ description: "Type of the event; the trigger's own by default." }),
      data: t.field({ type: 'JSON', description: 'Payload of the event; a small sample by default.' }),
      dataText: t.string({
        description: 'The payload as JSON text, sent byte for byte. Exclusive with `data`.',
      }),
    }),
  });
const PreviewDeliveryInput = inputOf('PreviewDeliveryInput', 'A delivery to preview.');
const TestTriggerInput = inputOf('TestTriggerInput', 'A test delivery.');

const PreviewDeliveryPayload = builder.objectRef<Payload & { readonly request: ShownRequest | null }>(
  'PreviewDeliveryPayload',
);
PreviewDeliveryPayload.implement({
  description: 'Answer of `previewDelivery`.',
  fields: (t) => ({
    request: t.field({
      type: AttemptRequestRef,
      nullable: true,
      description:
        'The request that would be sent, signed with a throw-away key; null when there are errors.',
      resolve: ({ request }) => request,
    }),
    curl: t.string({
      nullable: true,
      description: 'The same as a curl command line.',
      resolve: ({ request }, _args, { loaders }) => {
        const text = request && curl(request);
        loaders.budget.spend({ bytes: text?.length ?? 0 });
        return text;
      },
    }),
    userErrors: userErrorsField(t),
  }),
});

const TestTriggerPayload = builder.objectRef<Payload & { readonly attempt: ShownAttempt | null }>(
  'TestTriggerPayload',
);
TestTriggerPayload.implement({
  description: 'Answer of `testTrigger`.',
  fields: (t) => ({
    attempt: t.field({
      type: AttemptRef,
      nullable: true,
      description:
        'The attempt, finished; null when there are errors. A failed delivery is not an error here.',
      resolve: ({ attempt }) => attempt,
    }),
    userErrors: userErrorsField(t),
  }),
});

builder.mutationFields((t) => ({
  previewDelivery: t.field({
    type: PreviewDeliveryPayload,
    scope: 'TRIGGERS_READ',
    description: 'Show exactly what would be sent for an event, without sending it.',
    args: { input: t.arg({ type: PreviewDeliveryInput, required: true, description: 'What to preview.' }) },
    resolve: async (_root, { input }, context) => {
      const { trials } = context.services;
      const shown = await trying(input, context, (id, sample) => trials.preview(id, sample));
      return shown.ok
        ? { request: requestOf(shown.value), problems: [] }
        : { request: null, problems: shown.problems };
    },
  }),
  testTrigger: t.field({
    type: TestTriggerPayload,
    scope: 'TRIGGERS_WRITE',
    description: `Send one signed test request now and wait for the outcome, for the trigger's timeout or ${MAX_TEST_MS / 1000} s at most,
whatever its status and limits. Nothing is queued or retried. With a \`type\` or data of one's own it needs EVENTS_WRITE too,
and without EVENTS_READ the response is left out. One an operation.`,
    args: { input: t.arg({ type: TestTriggerInput, required: true, description: 'What to test.' }) },
    resolve: async (_root, { input }, context) => {
      const { trials } = context.services;
      const refusal = refuse(input, context);
      if (refusal !== null) return { attempt: null, problems: [refusal] };
      const onWait = (ms: number): void => {
        context.patienceMs += ms;
      };
      const by = { actor: context.caller, onWait };
      const made = await trying(input, context, (id, sample) => trials.test(id, sample, by));
      if (!made.ok) return { attempt: null, problems: made.problems };
      return { attempt: attemptOf(made.value, mayCaller(context.caller, 'EVENTS_READ')), problems: [] };
    },
  }),
}));

/** What is signed with the trigger's own key may look like any event. Errors: AppError FORBIDDEN. */
function refuse({ type, data, dataText }: TrialAsked, context: GraphqlContext): Problem | null {
  const isOwn = type != null || data !== undefined || dataText != null;
  if (isOwn && !mayCaller(context.caller, 'EVENTS_WRITE')) {
    const message = 'testTrigger with a type or data of your own needs a token with scope EVENTS_WRITE, too';
    throw new AppError('FORBIDDEN', message, { scope: 'EVENTS_WRITE' });
  }
  if (context.hasTested) return problem([], 'LIMIT_EXCEEDED', 'expected one testTrigger an operation');
  context.hasTested = true;
  return null;
}

/** Runs `attempt` where the caller may see the trigger. Problems name the input's own fields. */
async function trying<T>(
  asked: TrialAsked,
  context: GraphqlContext,
  attempt: (id: string, sample: Sample) => Promise<Result<T>>,
): Promise<Result<T>> {
  const { triggerId, type = null, data, dataText } = asked;
  // Absent is the sample, null is null.
  const given = data !== undefined || dataText != null;
  const payload = given ? dataOf({ data, dataText }) : succeed(null);
  if (!payload.ok) return payload;
  const tried = await changing(triggerId, context, () => attempt(triggerId, { type, data: payload.value }));
  if (tried.ok) return tried;
  return { ok: false, problems: tried.problems.map((one) => named(one, dataText != null)) };
}

function named(one: Problem, asText: boolean): Problem {
  const [first] = one.field;
  if (first === 'id') return { ...one, field: ['triggerId'] };
  return first === 'data' && asText ? { ...one, field: ['dataText'] } : one;
}

function requestOf({ request, body }: Trial): ShownRequest {
  const { url, headers, bodySize, contentMode, specVersion } = request;
  return {
    ...{ invocationId: null, requestUrl: url, requestHeaders: headers, requestBodySize: bodySize },
    ...{ contentMode, specVersion, requestBody: body },
  };
}

function attemptOf({ outcome, startedAt, ...trial }: TestAttempt, mayRead: boolean): ShownAttempt {
  const { errorCode, errorMessage, timings } = outcome;
  const response = mayRead ? outcome.response : null;
  const { id, cause } = trial.request;
  return {
    ...requestOf(trial),
    ...{ id, cause, number: 1, status: errorCode === null ? 'SUCCEEDED' : 'FAILED' },
    ...{ errorCode, errorMessage, startedAt, finishedAt: new Date(startedAt.getTime() + timings.totalMs) },
    ...timings,
    responseStatus: response?.statusCode ?? null,
    responseHeaders: response?.headers ?? null,
    responseBody: response?.body ?? null,
    responseBodyTruncated: response?.bodyTruncated ?? null,
    remoteAddress: response?.remoteAddress ?? null,
  };
}

function curl({ requestUrl: url, requestHeaders, requestBody }: ShownRequest): string {
  return curlOf({ url, headers: headerList(requestHeaders), body: requestBody ?? null });
}
