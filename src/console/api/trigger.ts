/** Triggers: what the console asks about them and tells them. */
import { type Connection, document, type UserError } from './document.ts';
import type { Stats } from './stats.ts';

export type TriggerStatus = 'ACTIVE' | 'PAUSED' | 'DISABLED';

export interface HttpHeader {
  readonly name: string;
  readonly value: string;
}

export interface Trigger {
  readonly id: string;
  readonly project: string;
  readonly name: string;
  readonly description: string | null;
  readonly type: string;
  readonly url: string;
  readonly retries: number;
  readonly timeout: number;
  readonly retrySchedule: readonly number[] | null;
  readonly status: TriggerStatus;
  readonly statusReason: string | null;
  readonly statusChangedAt: string;
  readonly failingSince: string | null;
  readonly contentMode: string;
  readonly specVersion: string;
  readonly headers: readonly HttpHeader[];
  readonly maxConcurrency: number | null;
  readonly maxPerMinute: number | null;
  readonly signingKeys: readonly {
    readonly id: string;
    readonly algorithm: string;
    readonly publicKey: string | null;
    readonly createdAt: string;
    readonly expiresAt: string | null;
  }[];
  readonly version: number;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** A trigger in a list, with how it fares. */
export interface TriggerRow extends Trigger {
  readonly stats: Pick<Stats, 'successRate' | 'attempts' | 'buckets' | 'invocationsFailed'>;
  readonly failures: { readonly nodes: readonly LastFailure[] };
}

export interface LastFailure {
  readonly id: string;
  readonly updatedAt: string;
  readonly lastAttempt: {
    readonly errorCode: string | null;
    readonly errorMessage: string | null;
    readonly response: { readonly statusCode: number } | null;
  } | null;
}

const TRIGGER = `
  id project name description type url retries timeout retrySchedule status statusReason statusChangedAt failingSince
  contentMode specVersion headers { name value } maxConcurrency maxPerMinute
  signingKeys { id algorithm publicKey createdAt expiresAt } version createdAt updatedAt`;

const ROW = `${TRIGGER}
  stats(window: LAST_24_HOURS) {
    successRate attempts invocationsFailed buckets { from eventsQueued attemptsSucceeded attemptsFailed }
  }
  failures: invocations(filter: {status: [FAILED, RETRYING]}, first: 1) {
    nodes { id updatedAt lastAttempt { errorCode errorMessage response { statusCode } } }
  }`;

export interface TriggerFilter {
  readonly search?: string | null;
  readonly type?: string | null;
  readonly status?: readonly string[] | null;
  readonly project?: string | null;
}

export const TRIGGERS = document<
  { triggers: Connection<TriggerRow> },
  { filter: TriggerFilter; after: string | null }
>(`query Triggers($filter: TriggerFilter, $after: String) {
  triggers(filter: $filter, first: 50, after: $after) {
    nodes { ${ROW} } pageInfo { hasNextPage endCursor } totalCount { value capped }
  }
}`);

export const TRIGGER_BY_ID = document<
  { trigger: TriggerRow | null },
  { id: string }
>(`query Trigger($id: ID!) {
  trigger(id: $id) { ${ROW} }
}`);

/** For choosing one in a filter. */
export const TRIGGER_NAMES = document<{
  triggers: { nodes: readonly Pick<Trigger, 'id' | 'name' | 'type' | 'project'>[] };
}>(`query TriggerNames {
  triggers(first: 100) { nodes { id name type project } }
}`);

export interface TriggerPayload {
  readonly trigger: Trigger | null;
  readonly signingSecret?: string | null;
  readonly userErrors: readonly UserError[];
}

export const CREATE_TRIGGER = document<
  { createTrigger: TriggerPayload },
  { input: unknown }
>(`mutation CreateTrigger($input: CreateTriggerInput!) {
  createTrigger(input: $input) { trigger { ${TRIGGER} } signingSecret userErrors { field code message } }
}`);

export const UPDATE_TRIGGER = document<
  { updateTrigger: TriggerPayload },
  { input: unknown }
>(`mutation UpdateTrigger($input: UpdateTriggerInput!) {
  updateTrigger(input: $input) { trigger { ${TRIGGER} } userErrors { field code message } }
}`);

export const DELETE_TRIGGER = document<
  {
    deleteTrigger: {
      readonly deletedTriggerId: string | null;
      readonly cancelledCount: number;
      readonly userErrors: readonly UserError[];
    };
  },
  { input: { readonly id: string; readonly pending: 'CANCEL' | 'FINISH' } }
>(`mutation DeleteTrigger($input: DeleteTriggerInput!) {
  deleteTrigger(input: $input) { deletedTriggerId cancelledCount userErrors { field code message } }
}`);

export const PAUSE_TRIGGER = document<
  { pauseTrigger: TriggerPayload },
  { input: { readonly id: string } }
>(`mutation PauseTrigger($input: PauseTriggerInput!) {
  pauseTrigger(input: $input) { trigger { ${TRIGGER} } userErrors { field code message } }
}`);

export const RESUME_TRIGGER = document<
  { resumeTrigger: TriggerPayload & { readonly releasedCount: number } },
  { input: { readonly id: string } }
>(`mutation ResumeTrigger($input: ResumeTriggerInput!) {
  resumeTrigger(input: $input) { trigger { ${TRIGGER} } releasedCount userErrors { field code message } }
}`);

export const ROTATE_SECRET = document<
  { rotateTriggerSecret: TriggerPayload },
  {
    input: {
      readonly id: string;
      readonly gracePeriodHours: number;
      readonly signatureAlgorithm: string | null;
      readonly signingSecret: string | null;
    };
  }
>(`mutation RotateSecret($input: RotateTriggerSecretInput!) {
  rotateTriggerSecret(input: $input) { trigger { ${TRIGGER} } signingSecret userErrors { field code message } }
}`);

/** How many invocations wait for a trigger: what pausing, resuming or deleting it is about. */
export const TRIGGER_PENDING = document<
  { trigger: { readonly pending: { readonly totalCount: { value: number; capped: boolean } } } | null },
  { id: string }
>(`query TriggerPending($id: ID!) {
  trigger(id: $id) {
    pending: invocations(filter: {status: [SCHEDULED, HELD, QUEUED, RUNNING, RETRYING]}, first: 1) {
      totalCount { value capped }
    }
  }
}`);
