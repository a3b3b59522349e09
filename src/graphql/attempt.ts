/** Attempts: the type, with the request as it was sent and the response as it came. */
import { envelope } from '../domain/envelope.ts';
import type { AttemptCause, AttemptStatus } from '../domain/invocation.ts';
import { builder, type Described } from './builder.ts';
import { defineConnection } from './connection.ts';
import { ATTEMPT_ERROR_CODE } from './invocation-list.ts';
import type { Loaders } from './loaders.ts';
import {
  AttemptRef,
  AttemptRequestRef,
  InvocationRef,
  type ShownAttempt,
  type ShownRequest,
} from './refs.ts';
import { HttpHeader, headerList } from './shared.ts';

const ATTEMPT_STATUS = builder.enumType('AttemptStatus', {
  description: 'Outcome of an attempt.',
  values: {
    RUNNING: { description: 'In flight.' },
    SUCCEEDED: { description: '2xx.' },
    FAILED: { description: 'Anything else.' },
    ABANDONED: {
      description: 'The worker vanished while it was in flight; whether the receiver saw it is unknown.',
    },
  } satisfies Described<AttemptStatus>,
});

const ATTEMPT_CAUSE = builder.enumType('AttemptCause', {
  description: 'What caused an attempt.',
  values: {
    INITIAL: { description: 'The due time arrived.' },
    RETRY: { description: 'An automatic retry.' },
    MANUAL: { description: 'A person or client asked for it.' },
    TEST: { description: '`testTrigger`.' },
  } satisfies Described<AttemptCause>,
});

const AttemptTimings = builder.objectRef<ShownAttempt>('AttemptTimings');
AttemptTimings.implement({
  description:
    "Where an attempt's time went, in milliseconds from its start. Null means the phase was not reached or reused.",
  fields: (t) => ({
    dnsMs: t.exposeFloat('dnsMs', { nullable: true, description: 'Address known.' }),
    connectMs: t.exposeFloat('connectMs', { nullable: true, description: 'TCP connected.' }),
    tlsMs: t.exposeFloat('tlsMs', { nullable: true, description: 'TLS established.' }),
    firstByteMs: t.exposeFloat('firstByteMs', { nullable: true, description: 'Status line received.' }),
    totalMs: t.exposeFloat('totalMs', { nullable: true, description: 'Body received, cut off or given up.' }),
  }),
});

AttemptRequestRef.implement({
  description: 'An HTTP request as sent.',
  fields: (t) => ({
    url: t.expose('requestUrl', { type: 'URL', description: 'Target URL at the time of the attempt.' }),
    headers: t.field({
      type: [HttpHeader],
      description: 'Headers as sent, secrets masked.',
      resolve: ({ requestHeaders }) => headerList(requestHeaders),
    }),
    body: t.string({
      nullable: true,
      description: 'Body as sent; null when retention removed it.',
      resolve: (request, _args, { loaders }) => sentBody(request, loaders),
    }),
    bodySize: t.expose('requestBodySize', { type: 'SafeInt', description: 'Size of the body in bytes.' }),
  }),
});

const AttemptResponse = builder.objectRef<ShownAttempt & { readonly responseStatus: number }>(
  'AttemptResponse',
);
AttemptResponse.implement({
  description: 'An HTTP response as received.',
  fields: (t) => ({
    statusCode: t.exposeInt('responseStatus', { description: 'Status code.' }),
    headers: t.field({
      type: [HttpHeader],
      description: 'Headers, at most 64.',
      resolve: ({ responseHeaders }) => headerList(responseHeaders),
    }),
    body: t.string({
      nullable: true,
      description: 'The first bytes of the body as UTF-8, undecodable bytes replaced.',
      resolve: ({ responseBody }, _args, { loaders }) => {
        loaders.budget.spend({ bytes: responseBody?.length ?? 0 });
        return responseBody?.toString('utf8') ?? null;
      },
    }),
    bodyTruncated: t.boolean({
      description: 'Whether the body was longer than what is kept, or was not read to its end.',
      resolve: ({ responseBodyTruncated }) => responseBodyTruncated ?? false,
    }),
    remoteAddress: t.exposeString('remoteAddress', {
      nullable: true,
      description: 'Address the request went to.',
    }),
  }),
});

AttemptRef.implement({
  description: 'One HTTP request of an invocation.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'UUID (version 7).' }),
    invocation: t.field({
      type: InvocationRef,
      nullable: true,
      description: 'The invocation; null for attempts made by `testTrigger`.',
      resolve: ({ invocationId }, _args, { loaders }) =>
        invocationId === null ? null : loaders.invocation(invocationId),
    }),
    number: t.exposeInt('number', { description: '1 for the first attempt.' }),
    status: t.expose('status', { type: ATTEMPT_STATUS, description: 'Outcome.' }),
    cause: t.expose('cause', { type: ATTEMPT_CAUSE, description: 'What caused this attempt.' }),
    errorCode: t.expose('errorCode', {
      type: ATTEMPT_ERROR_CODE,
      nullable: true,
      description: 'Class of the failure; null unless FAILED or ABANDONED.',
    }),
    errorMessage: t.exposeString('errorMessage', {
      nullable: true,
      description: 'Human-readable detail of the failure.',
    }),
    startedAt: t.expose('startedAt', { type: 'DateTime', description: 'When it started.' }),
    finishedAt: t.expose('finishedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it ended; null while RUNNING.',
    }),
    durationMs: t.field({
      type: 'SafeInt',
      nullable: true,
      description: 'Wall-clock duration in milliseconds; null while RUNNING.',
      resolve: ({ startedAt, finishedAt }) =>
        finishedAt === null ? null : Math.max(0, finishedAt.getTime() - startedAt.getTime()),
    }),
    timings: t.field({
      type: AttemptTimings,
      nullable: true,
      description: 'Where the time went; null when nothing was measured.',
      resolve: (attempt) => (attempt.totalMs === null ? null : attempt),
    }),
    request: t.field({
      type: AttemptRequestRef,
      description: 'What was sent.',
      resolve: (attempt) => attempt,
    }),
    response: t.field({
      type: AttemptResponse,
      nullable: true,
      description: 'What came back; null when no status line was received.',
      resolve: (attempt) => {
        const { responseStatus } = attempt;
        return responseStatus === null ? null : { ...attempt, responseStatus };
      },
    }),
  }),
});

export const AttemptConnection = defineConnection(AttemptRef, {
  edge: 'An edge to an attempt.',
  node: 'The attempt.',
  list: 'A list of attempts.',
  total: 'Number of attempts.',
});

/** Bodies are not stored: what was sent follows from the event and the attempt's mode. */
async function sentBody(request: ShownRequest, loaders: Loaders): Promise<string | null> {
  const { invocationId, contentMode, specVersion } = request;
  if (invocationId === null) {
    loaders.budget.spend({ bytes: request.requestBodySize });
    return request.requestBody ?? null;
  }
  const invocation = await loaders.invocation(invocationId);
  const event = invocation && (await loaders.event(invocation.eventId));
  if (event == null || event.data === null) return null;
  const { body } = envelope({ ...event, data: event.data }, contentMode, specVersion);
  loaders.budget.spend({ bytes: body.length });
  return body.toString();
}
