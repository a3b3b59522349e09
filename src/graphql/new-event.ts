/** From what a GraphQL caller asks for to what the queue takes. */
import { seesProject } from '../domain/caller.ts';
import { fail, problem, type Result, succeed } from '../domain/errors.ts';
import type { NewEvent } from '../domain/event.ts';
import type { JsonText } from '../domain/json.ts';
import { DEFAULT_PROJECT } from '../domain/trigger.ts';
import type { GraphqlContext } from './context.ts';
import { jsonErrorAt } from './json-error.ts';

/** `QueueEventInput`. */
export interface EventAsked {
  readonly type: string;
  readonly data?: JsonText | null | undefined;
  readonly dataText?: string | null | undefined;
  readonly delay?: number | null | undefined;
  readonly timestamp?: Date | null | undefined;
  readonly project?: string | null | undefined;
  readonly source?: string | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
  readonly traceparent?: string | null | undefined;
}

export function toNewEvent(asked: EventAsked, { caller, trace }: GraphqlContext): Result<NewEvent> {
  const project = asked.project ?? DEFAULT_PROJECT;
  const data = dataOf(asked);
  const hidden = !seesProject(caller, project);
  const problems = [
    ...(data.ok ? [] : data.problems),
    ...(hidden ? [problem('project', 'NOT_FOUND', `no project ${JSON.stringify(project)}`)] : []),
  ];
  if (!data.ok || problems.length > 0) return fail(...problems);
  const ownTrace = asked.traceparent != null;
  return succeed({
    type: asked.type,
    data: data.value,
    delay: asked.delay ?? 0,
    timestamp: asked.timestamp ?? null,
    project,
    source: asked.source ?? null,
    idempotencyKey: asked.idempotencyKey ?? null,
    traceparent: asked.traceparent ?? trace.traceparent,
    // A tracestate belongs to the traceparent it came with.
    tracestate: ownTrace ? null : trace.tracestate,
    origin: 'GRAPHQL',
  });
}

/** The payload's exact JSON text. */
export function dataOf({ data, dataText }: Pick<EventAsked, 'data' | 'dataText'>): Result<string> {
  if (dataText == null) return succeed(data?.text ?? 'null');
  if (data != null) return fail(problem('dataText', 'INVALID', 'expected data or dataText, got both'));
  const at = jsonErrorAt(dataText);
  if (at === null) return succeed(escapeLoneSurrogates(dataText));
  const where =
    at < dataText.length ? `${JSON.stringify(dataText.slice(at, at + 10))} at position ${at}` : 'its end';
  return fail(problem('dataText', 'INVALID', `expected dataText to be JSON, got ${where}`));
}

/** UTF-8 cannot hold a lone surrogate; inside a JSON string its escape means the same. */
function escapeLoneSurrogates(text: string): string {
  if (text.isWellFormed()) return text;
  return text.replace(/\p{Surrogate}/gu, (lone) => `\\u${lone.charCodeAt(0).toString(16)}`);
}
