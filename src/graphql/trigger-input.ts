/** From what a GraphQL caller asks of a trigger to what the use cases take. */
import type { NewTrigger, TriggerChanges } from '../actions/manage-trigger.ts';
import type { ContentMode, SpecVersion } from '../domain/envelope.ts';
import { type Problem, problem } from '../domain/errors.ts';
import {
  DEFAULT_PROJECT,
  DEFAULT_RETRIES,
  DEFAULT_TIMEOUT_MS,
  type SignatureAlgorithm,
  type TriggerHeader,
  type TriggerStatus,
} from '../domain/trigger.ts';

type Given<T> = T | null | undefined;

interface HeaderAsked {
  readonly name: string;
  readonly value: string;
  readonly secret?: Given<boolean>;
}

/** The settings both inputs have. */
interface SettingsAsked {
  readonly retries?: Given<number>;
  readonly timeout?: Given<number>;
  readonly retrySchedule?: Given<readonly number[]>;
  readonly description?: Given<string>;
  readonly contentMode?: Given<ContentMode>;
  readonly specVersion?: Given<SpecVersion>;
  readonly headers?: Given<readonly HeaderAsked[]>;
  readonly maxConcurrency?: Given<number>;
  readonly maxPerMinute?: Given<number>;
}

/** `CreateTriggerInput`. */
export interface TriggerAsked extends SettingsAsked {
  readonly name: string;
  readonly type: string;
  readonly url: string;
  readonly project?: Given<string>;
  readonly signatureAlgorithm?: Given<SignatureAlgorithm>;
  readonly signingSecret?: Given<string>;
  readonly paused?: Given<boolean>;
}

/** `UpdateTriggerInput`. */
export interface ChangesAsked extends SettingsAsked {
  readonly id: string;
  readonly expectedVersion?: Given<number>;
  readonly name?: Given<string>;
  readonly type?: Given<string>;
  readonly url?: Given<string>;
  readonly status?: Given<TriggerStatus>;
}

export function toNewTrigger(asked: TriggerAsked): NewTrigger {
  return {
    name: asked.name,
    type: asked.type,
    url: asked.url,
    project: asked.project ?? DEFAULT_PROJECT,
    description: asked.description ?? null,
    retries: asked.retries ?? DEFAULT_RETRIES,
    timeoutMs: asked.timeout ?? DEFAULT_TIMEOUT_MS,
    retrySchedule: asked.retrySchedule ?? null,
    contentMode: asked.contentMode ?? 'JSON',
    specVersion: asked.specVersion ?? '1.0-rc1',
    headers: (asked.headers ?? []).map(toHeader),
    maxConcurrency: asked.maxConcurrency ?? null,
    maxPerMinute: asked.maxPerMinute ?? null,
    signatureAlgorithm: asked.signatureAlgorithm ?? 'HMAC_SHA256',
    signingSecret: asked.signingSecret ?? null,
    paused: asked.paused ?? false,
  };
}

/** What null would mean for these is anyone's guess, so it is refused. */
const NOT_CLEARABLE = [
  'name',
  'type',
  'url',
  'retries',
  'timeout',
  'contentMode',
  'specVersion',
  'headers',
  'status',
] as const;

export function checkChanges(asked: ChangesAsked): readonly Problem[] {
  return NOT_CLEARABLE.filter((field) => asked[field] === null).map((field) =>
    problem(field, 'REQUIRED', `expected ${field} to have a value; leave it out to keep the one it has`),
  );
}

/** Absent fields stay absent; `checkChanges` has refused the nulls that cannot be meant. */
export function toChanges(asked: ChangesAsked): TriggerChanges {
  const { id, expectedVersion, timeout, headers, description, retrySchedule, maxConcurrency, maxPerMinute } =
    asked;
  return {
    id,
    expectedVersion: expectedVersion ?? null,
    ...given('name', asked.name),
    ...given('type', asked.type),
    ...given('url', asked.url),
    ...given('retries', asked.retries),
    ...given('timeoutMs', timeout),
    ...given('contentMode', asked.contentMode),
    ...given('specVersion', asked.specVersion),
    ...given('headers', headers?.map(toHeader)),
    ...given('status', asked.status),
    ...(description !== undefined && { description }),
    ...(retrySchedule !== undefined && { retrySchedule }),
    ...(maxConcurrency !== undefined && { maxConcurrency }),
    ...(maxPerMinute !== undefined && { maxPerMinute }),
  };
}

function given<Name extends string, T>(name: Name, value: Given<T>): { readonly [key in Name]?: T } {
  return (value == null ? {} : { [name]: value }) as { readonly [key in Name]?: T };
}

function toHeader({ name, value, secret }: HeaderAsked): TriggerHeader {
  return { name, value, secret: secret ?? false };
}
