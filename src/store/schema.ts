/**
 * The tables, all in the Postgres schema `herald`. Times are `timestamptz(3)`: exactly what a JavaScript Date and a
 * DateTime hold, so that a cursor made from a row finds that row again.
 *
 * Foreign keys stand between the tables that people change. The tables that every event writes (events, invocations,
 * attempts) have none: each would lock the same project and trigger rows in every transaction, and only
 * `herald.queue_events` and `settle` insert there, in the statement that makes or finds the parent row.
 */
import { type SQL, sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  check,
  customType,
  index,
  integer,
  pgSchema,
  primaryKey,
  real,
  smallint,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';
import { ATTEMPT_ERROR_CODES, formatHeaders, type Header, parseHeaders } from '../domain/attempt.ts';
import { AUDIT_ACTIONS } from '../domain/audit.ts';
import { BULK_OPERATION_KINDS, BULK_OPERATION_STATUSES } from '../domain/bulk-operation.ts';
import { SCOPES } from '../domain/caller.ts';
import { CONTENT_MODES, SPEC_VERSIONS } from '../domain/envelope.ts';
import { EVENT_ORIGINS } from '../domain/event.ts';
import {
  ATTEMPT_CAUSES,
  ATTEMPT_STATUSES,
  FAILURE_REASONS,
  FINAL_STATES,
  INVOCATION_STATES,
} from '../domain/invocation.ts';
import {
  PENDING_POLICIES,
  SIGNATURE_ALGORITHMS,
  TRIGGER_STATUS_REASONS,
  TRIGGER_STATUSES,
} from '../domain/trigger.ts';
import { wordList } from './arrays.ts';

export const herald = pgSchema('herald');

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' });
const xid8 = customType<{ data: string }>({ dataType: () => 'xid8' });
/** `text` rather than jsonb: kept as written, never rearranged. */
const jsonText = <T>() =>
  customType<{ data: T; driverData: string }>({
    dataType: () => 'text',
    toDriver: (value) => JSON.stringify(value),
    fromDriver: (value) => JSON.parse(value) as T,
  });
/** Header fields as lines; rows of the first release hold JSON, which no field name begins like. */
const headerLines = customType<{ data: readonly Header[]; driverData: string }>({
  dataType: () => 'text',
  toDriver: formatHeaders,
  fromDriver: (value) => (value.startsWith('[') ? JSON.parse(value) : parseHeaders(value)),
});
const timestamptz = customType<{ data: Date; driverData: string }>({
  dataType: () => 'timestamptz(3)',
  toDriver: (value) => value.toISOString(),
  fromDriver: (value) => new Date(value),
});

/** `column in ('A', 'B')` for a CHECK; the values are our own constants. */
const oneOf = (column: SQL | { name: string }, values: readonly string[]): SQL =>
  sql`${column} in (${sql.raw(values.map((value) => `'${value}'`).join(', '))})`;

/** One row: what this installation is. */
export const installation = herald.table(
  'installation',
  {
    singleton: boolean().primaryKey().default(true),
    /** CloudEvents `source` of events that name none. */
    source: text().notNull(),
    /** Proof that a process holds the key our secrets are encrypted with. */
    encryptionCheck: text('encryption_check'),
    createdAt: timestamptz('created_at').notNull().default(sql`now()`),
  },
  (table) => [check('installation_is_one_row', sql`${table.singleton}`)],
);

export const projects = herald.table('projects', {
  name: text().primaryKey(),
  createdAt: timestamptz('created_at').notNull().default(sql`now()`),
});

/** A header of a trigger's own; a secret one's value is ciphertext. */
export interface StoredHeader {
  readonly name: string;
  readonly value: string;
  readonly secret: boolean;
}

export const triggers = herald.table(
  'triggers',
  {
    id: uuid().primaryKey(),
    project: text()
      .notNull()
      .references(() => projects.name),
    name: text().notNull(),
    description: text(),
    type: text().notNull(),
    url: text().notNull(),
    retries: integer().notNull(),
    timeoutMs: integer('timeout_ms').notNull(),
    /** Seconds; null for the queue's back-off. */
    retrySchedule: integer('retry_schedule').array(),
    status: text({ enum: TRIGGER_STATUSES }).notNull().default('ACTIVE'),
    statusReason: text('status_reason', { enum: TRIGGER_STATUS_REASONS }),
    statusChangedAt: timestamptz('status_changed_at').notNull().default(sql`now()`),
    contentMode: text('content_mode', { enum: CONTENT_MODES }).notNull(),
    specVersion: text('spec_version', { enum: SPEC_VERSIONS }).notNull(),
    headers: jsonText<readonly StoredHeader[]>()('headers').notNull(),
    /** Attempts in flight at once and started per minute, over all processes; null for no limit. */
    maxConcurrency: integer('max_concurrency'),
    maxPerMinute: integer('max_per_minute'),
    /** Grows with every change; deliveries use it to know whether the settings they cached still hold. */
    version: integer().notNull().default(1),
    createdAt: timestamptz('created_at').notNull().default(sql`now()`),
    updatedAt: timestamptz('updated_at').notNull().default(sql`now()`),
    /** A deleted trigger's row stays until its last invocation has gone: it may still be delivered (PendingPolicy FINISH). */
    deletedAt: timestamptz('deleted_at'),
    /** What becomes of a deleted trigger's unfinished invocations; null while it stands. */
    pendingPolicy: text('pending_policy', { enum: PENDING_POLICIES }),
  },
  (table) => [
    check('triggers_status_is_known', oneOf(table.status, TRIGGER_STATUSES)),
    check('triggers_status_reason_is_known', oneOf(table.statusReason, TRIGGER_STATUS_REASONS)),
    check(
      'triggers_active_has_no_reason',
      sql`(${table.status} = 'ACTIVE') = (${table.statusReason} is null)`,
    ),
    check('triggers_content_mode_is_known', oneOf(table.contentMode, CONTENT_MODES)),
    check('triggers_spec_version_is_known', oneOf(table.specVersion, SPEC_VERSIONS)),
    check('triggers_retries_in_range', sql`${table.retries} between 0 and 1000`),
    check('triggers_timeout_in_range', sql`${table.timeoutMs} > 0`),
    check('triggers_max_concurrency_in_range', sql`${table.maxConcurrency} > 0`),
    check('triggers_max_per_minute_in_range', sql`${table.maxPerMinute} > 0`),
    check('triggers_pending_policy_is_known', oneOf(table.pendingPolicy, PENDING_POLICIES)),
    uniqueIndex('triggers_name_is_taken_once')
      .on(table.project, table.name)
      .where(sql`${table.deletedAt} is null`),
    index('triggers_by_type').on(table.project, table.type).where(sql`${table.deletedAt} is null`),
  ],
);

export const signingKeys = herald.table(
  'signing_keys',
  {
    id: uuid().primaryKey(),
    triggerId: uuid('trigger_id')
      .notNull()
      .references(() => triggers.id),
    algorithm: text({ enum: SIGNATURE_ALGORITHMS }).notNull(),
    /** `v1.<keyId>.<nonce>.<ciphertext>.<tag>` (security.md, "Secrets"). */
    secret: text().notNull(),
    /** `whpk_…` of an Ed25519 key. */
    publicKey: text('public_key'),
    createdAt: timestamptz('created_at').notNull().default(sql`now()`),
    /** When the key stops signing; null for the current one. */
    expiresAt: timestamptz('expires_at'),
  },
  (table) => [
    check('signing_keys_algorithm_is_known', oneOf(table.algorithm, SIGNATURE_ALGORITHMS)),
    check(
      'signing_keys_asymmetric_has_public_key',
      sql`(${table.algorithm} = 'ED25519') = (${table.publicKey} is not null)`,
    ),
    check('signing_keys_secret_is_encrypted', sql`${table.secret} like 'v1.%'`),
    index('signing_keys_by_trigger').on(table.triggerId),
  ],
);

export const events = herald.table(
  'events',
  {
    id: uuid().primaryKey(),
    project: text().notNull(),
    type: text().notNull(),
    source: text().notNull(),
    /** The payload's exact JSON text; null once retention removed it. */
    data: text(),
    dataSize: integer('data_size').notNull(),
    receivedAt: timestamptz('received_at').notNull(),
    dueAt: timestamptz('due_at').notNull(),
    origin: text({ enum: EVENT_ORIGINS }).notNull(),
    idempotencyKey: text('idempotency_key'),
    traceparent: text(),
    tracestate: text(),
    replayOf: uuid('replay_of'),
    /** How many triggers matched; 0 makes the event UNMATCHED. */
    invocationCount: integer('invocation_count').notNull(),
  },
  (table) => [
    check('events_type_has_1_to_255_characters', sql`char_length(${table.type}) between 1 and 255`),
    check('events_origin_is_known', oneOf(table.origin, EVENT_ORIGINS)),
    index('events_by_type').on(table.type, table.id),
    index('events_by_due').on(table.dueAt, table.id),
    index('events_unmatched').on(table.id).where(sql`${table.invocationCount} = 0`),
  ],
);

const unfinished = sql.raw(`status not in (${wordList(FINAL_STATES)})`);

export const invocations = herald.table(
  'invocations',
  {
    id: uuid().primaryKey(),
    eventId: uuid('event_id').notNull(),
    triggerId: uuid('trigger_id').notNull(),
    /** The trigger's name when the event was queued. */
    triggerName: text('trigger_name').notNull(),
    status: text({ enum: INVOCATION_STATES }).notNull(),
    failureReason: text('failure_reason', { enum: FAILURE_REASONS }),
    attemptCount: smallint('attempt_count').notNull().default(0),
    maxAttempts: smallint('max_attempts').notNull(),
    /** Number of the latest attempt that somebody asked for; null where nobody did. */
    manualAttempt: smallint('manual_attempt'),
    /** Attempts made before its retries were given back: back-off and schedule begin anew behind them. */
    attemptsBeforeReset: smallint('attempts_before_reset').notNull().default(0),
    nextAttemptAt: timestamptz('next_attempt_at'),
    createdAt: timestamptz('created_at').notNull(),
    updatedAt: timestamptz('updated_at').notNull(),
    finishedAt: timestamptz('finished_at'),
    lastErrorCode: text('last_error_code', { enum: ATTEMPT_ERROR_CODES }),
    lastStatusCode: smallint('last_status_code'),
  },
  (table) => [
    check('invocations_status_is_known', oneOf(table.status, INVOCATION_STATES)),
    check(
      'invocations_final_means_finished',
      sql`(${oneOf(table.status, FINAL_STATES)}) = (${table.finishedAt} is not null)`,
    ),
    check(
      'invocations_failed_has_a_reason',
      sql`(${table.status} = 'FAILED') = (${table.failureReason} is not null)`,
    ),
    check('invocations_failure_reason_is_known', oneOf(table.failureReason, FAILURE_REASONS)),
    check(
      'invocations_waiting_has_a_next_attempt',
      sql`(${table.status} in ('PENDING', 'RETRYING')) = (${table.nextAttemptAt} is not null)`,
    ),
    check(
      'invocations_attempts_within_maximum',
      sql`${table.attemptCount} between 0 and ${table.maxAttempts}`,
    ),
    index('invocations_by_event').on(table.eventId),
    index('invocations_by_trigger').on(table.triggerId, table.id),
    index('invocations_unfinished').on(table.nextAttemptAt, table.id).where(unfinished),
    // What is moved when its trigger is paused, resumed or deleted, whatever the length of the trigger's history.
    index('invocations_unfinished_of_trigger')
      .on(table.triggerId, table.nextAttemptAt, table.id)
      .where(unfinished),
    index('invocations_failed').on(table.id).where(sql`${table.status} = 'FAILED'`),
  ],
);

export const attempts = herald.table(
  'attempts',
  {
    invocationId: uuid('invocation_id').notNull(),
    /** 1 for the first attempt. */
    number: smallint().notNull(),
    id: uuid().notNull(),
    status: text({ enum: ATTEMPT_STATUSES }).notNull(),
    cause: text({ enum: ATTEMPT_CAUSES }).notNull(),
    errorCode: text('error_code', { enum: ATTEMPT_ERROR_CODES }),
    errorMessage: text('error_message'),
    startedAt: timestamptz('started_at').notNull(),
    finishedAt: timestamptz('finished_at'),
    dnsMs: real('dns_ms'),
    connectMs: real('connect_ms'),
    tlsMs: real('tls_ms'),
    firstByteMs: real('first_byte_ms'),
    totalMs: real('total_ms'),
    requestUrl: text('request_url').notNull(),
    /** JSON array of [name, value], secret values masked. */
    requestHeaders: headerLines('request_headers').notNull(),
    requestBodySize: integer('request_body_size').notNull(),
    /** With the event, these two say what the body was. */
    contentMode: text('content_mode', { enum: CONTENT_MODES }).notNull(),
    specVersion: text('spec_version', { enum: SPEC_VERSIONS }).notNull(),
    responseStatus: smallint('response_status'),
    responseHeaders: headerLines('response_headers'),
    responseBody: bytea('response_body'),
    responseBodyTruncated: boolean('response_body_truncated'),
    remoteAddress: text('remote_address'),
  },
  (table) => [
    primaryKey({ columns: [table.invocationId, table.number] }),
    check('attempts_status_is_known', oneOf(table.status, ATTEMPT_STATUSES)),
    check('attempts_cause_is_known', oneOf(table.cause, ATTEMPT_CAUSES)),
    check('attempts_error_code_is_known', oneOf(table.errorCode, ATTEMPT_ERROR_CODES)),
    check(
      'attempts_failure_has_a_code',
      sql`(${table.status} in ('FAILED', 'ABANDONED')) = (${table.errorCode} is not null)`,
    ),
    check('attempts_running_has_no_end', sql`(${table.status} = 'RUNNING') = (${table.finishedAt} is null)`),
    check('attempts_number_counts_from_1', sql`${table.number} >= 1`),
  ],
);

/**
 * What changed, one row a transaction, for live readers. `xid` says which transaction, so that a reader can ask for
 * exactly the rows that became visible between two of its snapshots: numbers alone skip late commits.
 */
export const changes = herald.table(
  'changes',
  {
    id: bigint({ mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
    xid: xid8().notNull().default(sql`pg_current_xact_id()`),
    at: timestamptz().notNull().default(sql`now()`),
    /** A line for each change (change-log.ts). */
    entries: text().notNull(),
  },
  (table) => [index('changes_by_transaction').on(table.xid, table.id)],
);

/** Where the change log stood at some moments. What is in the oldest of them may have been removed from the log. */
export const changeMarks = herald.table('change_marks', {
  at: timestamptz().primaryKey().default(sql`now()`),
  /** A Postgres snapshot. */
  snapshot: text().notNull().default(sql`pg_current_snapshot()::text`),
});

/**
 * What transactions did, to be counted: one row for each trigger and transaction, added by whoever does it, so that
 * nobody waits for anybody. A worker folds them into `stats` and `trigger_counts` every few seconds (stats.ts).
 */
export const tallies = herald.table('tallies', {
  triggerId: uuid('trigger_id').notNull(),
  at: timestamptz().notNull().default(sql`now()`),
  /** Events that matched the trigger. */
  events: integer().notNull().default(0),
  attempts: integer().notNull().default(0),
  attemptsFailed: integer('attempts_failed').notNull().default(0),
  retries: integer().notNull().default(0),
  succeeded: integer().notNull().default(0),
  failed: integer().notNull().default(0),
  /** Of the attempts, in ms. */
  durations: real().array(),
  /** From due to success, in ms. */
  latencies: real().array(),
  /** By how much the numbers of invocations in these states changed. */
  pending: integer().notNull().default(0),
  held: integer().notNull().default(0),
  running: integer().notNull().default(0),
  retrying: integer().notNull().default(0),
  deadLetters: integer('dead_letters').notNull().default(0),
});

/** The same for events: a row for each project, type and transaction. */
export const eventTallies = herald.table('event_tallies', {
  project: text().notNull(),
  type: text().notNull(),
  at: timestamptz().notNull(),
  count: integer().notNull(),
});

/** Numbers of a span of time, of everything (`scope` is ''), a project (`project/…`) or a trigger (`trigger/…`). */
export const stats = herald.table(
  'stats',
  {
    scope: text().notNull(),
    /** Length of the span in minutes; 0 for all time (`EVER`). */
    grain: smallint().notNull(),
    start: timestamptz().notNull(),
    events: bigint({ mode: 'number' }).notNull(),
    attempts: bigint({ mode: 'number' }).notNull(),
    attemptsFailed: bigint('attempts_failed', { mode: 'number' }).notNull(),
    retries: bigint({ mode: 'number' }).notNull(),
    succeeded: bigint({ mode: 'number' }).notNull(),
    failed: bigint({ mode: 'number' }).notNull(),
    /** Histograms (domain/histogram.ts). */
    durations: text().notNull(),
    latencies: text().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.scope, table.grain, table.start] }),
    index('stats_by_age').on(table.grain, table.start),
  ],
);

/** How many invocations of each trigger are in which unfinished state, or FAILED; and how its attempts end (failing-triggers.ts). */
export const triggerCounts = herald.table('trigger_counts', {
  triggerId: uuid('trigger_id').primaryKey(),
  pending: bigint({ mode: 'number' }).notNull(),
  held: bigint({ mode: 'number' }).notNull(),
  running: bigint({ mode: 'number' }).notNull(),
  retrying: bigint({ mode: 'number' }).notNull(),
  deadLetters: bigint('dead_letters', { mode: 'number' }).notNull(),
  /** When the latest attempt that succeeded was recorded. */
  succeededAt: timestamptz('succeeded_at'),
  /** The first failure after it, or since somebody gave the trigger another URL or resumed it; null while there is none. */
  failingSince: timestamptz('failing_since'),
  /** The latest failure. */
  failedAt: timestamptz('failed_at'),
});

/** Event types that were seen, each once. */
export const eventTypes = herald.table(
  'event_types',
  {
    project: text().notNull(),
    type: text().notNull(),
    lastSeenAt: timestamptz('last_seen_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.project, table.type] }),
    index('event_types_by_age').on(table.lastSeenAt),
  ],
);

/** Events of a type in an hour. */
export const eventTypeHours = herald.table(
  'event_type_hours',
  {
    project: text().notNull(),
    type: text().notNull(),
    hour: timestamptz().notNull(),
    count: bigint({ mode: 'number' }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.project, table.type, table.hour] }),
    index('event_type_hours_by_age').on(table.hour),
  ],
);

/** First answers, to repeat when the same call comes again. */
export const idempotencyKeys = herald.table(
  'idempotency_keys',
  {
    project: text().notNull(),
    key: text().notNull(),
    /** SHA-256 of what was asked. */
    fingerprint: bytea().notNull(),
    eventId: uuid('event_id').notNull(),
    createdAt: timestamptz('created_at').notNull().default(sql`now()`),
  },
  (table) => [
    primaryKey({ columns: [table.project, table.key] }),
    index('idempotency_keys_by_age').on(table.createdAt),
  ],
);

/** Jobs over many rows. What is done and how far it came is written in one transaction (bulk-operations.ts). */
export const bulkOperations = herald.table(
  'bulk_operations',
  {
    id: uuid().primaryKey(),
    kind: text({ enum: BULK_OPERATION_KINDS }).notNull(),
    status: text({ enum: BULK_OPERATION_STATUSES }).notNull().default('RUNNING'),
    /** Which rows: the filter as JSON, the projects that its caller may see among it. */
    filter: text().notNull(),
    /** Those whom its caller may see; null for all. */
    projects: text().array(),
    maxPerMinute: integer('max_per_minute'),
    /** Rows that matched when it started; null until counted. */
    matched: bigint({ mode: 'number' }),
    processed: bigint({ mode: 'number' }).notNull().default(0),
    skipped: bigint({ mode: 'number' }).notNull().default(0),
    /** Rows up to this id are done. */
    doneTo: uuid('done_to').notNull().default('00000000-0000-0000-0000-000000000000'),
    createdAt: timestamptz('created_at').notNull().default(sql`now()`),
    /** From when on the next rows may be done. */
    nextAt: timestamptz('next_at').notNull().default(sql`now()`),
    finishedAt: timestamptz('finished_at'),
    /** Whether who worked on it has let go of it. */
    abandoned: boolean().notNull().default(false),
    /** Why it FAILED, or why a row was refused. */
    errorMessage: text('error_message'),
  },
  (table) => [
    check('bulk_operations_kind_is_known', oneOf(table.kind, BULK_OPERATION_KINDS)),
    check('bulk_operations_status_is_known', oneOf(table.status, BULK_OPERATION_STATUSES)),
    check(
      'bulk_operations_final_means_finished',
      sql`(${table.status} = 'RUNNING') = (${table.finishedAt} is null)`,
    ),
    index('bulk_operations_running').on(table.id).where(sql`${table.status} = 'RUNNING'`),
  ],
);

/** The moment from which the next attempt of a trigger with limits may start; its lock makes counting exact (turns.ts). */
export const paces = herald.table('paces', {
  triggerId: uuid('trigger_id').primaryKey(),
  nextAt: timestamptz('next_at').notNull().default(sql`'-infinity'`),
});

/** Attempts in flight, or about to be, of triggers with `max_concurrency`. */
export const turns = herald.table(
  'turns',
  {
    invocationId: uuid('invocation_id').primaryKey(),
    triggerId: uuid('trigger_id').notNull(),
    /** When the turn ends by itself: no attempt lasts longer. */
    until: timestamptz().notNull(),
  },
  (table) => [
    index('turns_by_trigger').on(table.triggerId, table.until),
    index('turns_by_end').on(table.until),
  ],
);

/** Changes of a trigger's number of retries that its unfinished invocations still have to be given, in chunks. */
export const retryChanges = herald.table(
  'retry_changes',
  {
    id: bigint({ mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
    triggerId: uuid('trigger_id').notNull(),
    difference: integer().notNull(),
    /** Invocations up to this one have it. */
    doneTo: uuid('done_to').notNull(),
    /** Invocations made after the change have the new number anyway. */
    madeAt: timestamptz('made_at').notNull(),
  },
  (table) => [index('retry_changes_by_trigger').on(table.triggerId, table.id)],
);

/** Worker processes. Each holds an advisory lock made from its pool id, and reports in, while it lives (workers.ts). */
export const workers = herald.table('workers', {
  /** graphile-worker's `locked_by` for this process. */
  poolId: text('pool_id').primaryKey(),
  /** Host and process id, for people. */
  name: text().notNull(),
  startedAt: timestamptz('started_at').notNull().default(sql`now()`),
  /** When it last reported in. */
  heartbeatAt: timestamptz('heartbeat_at').notNull().default(sql`now()`),
  /** Attempts in flight when it last reported in, and at most. */
  running: integer().notNull().default(0),
  concurrency: integer().notNull().default(0),
});

/** Credentials for programs. Of the key itself only its SHA-256 is kept. */
export const apiKeys = herald.table(
  'api_keys',
  {
    id: uuid().primaryKey(),
    name: text().notNull(),
    /** First characters of the key, to recognise it. */
    prefix: text().notNull(),
    /** SHA-256 of the key, hexadecimal. */
    digest: text().notNull(),
    scopes: text({ enum: SCOPES }).array().notNull(),
    /** Null means all. */
    projects: text().array(),
    createdAt: timestamptz('created_at').notNull().default(sql`now()`),
    expiresAt: timestamptz('expires_at'),
    /** Written at most once a minute. */
    lastUsedAt: timestamptz('last_used_at'),
    revokedAt: timestamptz('revoked_at'),
  },
  (table) => [
    uniqueIndex('api_keys_by_digest').on(table.digest),
    check('api_keys_digest_is_sha256', sql`${table.digest} ~ '^[0-9a-f]{64}$'`),
    check(
      'api_keys_scopes_are_known',
      sql`cardinality(${table.scopes}) > 0 and ${table.scopes} <@ array[${sql.raw(SCOPES.map((scope) => `'${scope}'`).join(', '))}]`,
    ),
    check('api_keys_projects_are_some_or_all', sql`cardinality(${table.projects}) > 0`),
  ],
);

/** Who changed what; written in the transaction of the change. */
export const auditLog = herald.table(
  'audit_log',
  {
    id: uuid().primaryKey().default(sql`herald.uuid_v7()`),
    at: timestamptz().notNull().default(sql`now()`),
    actorId: text('actor_id').notNull(),
    actorName: text('actor_name').notNull(),
    action: text({ enum: AUDIT_ACTIONS }).notNull(),
    /** Null where it belongs to no project, or to several. */
    project: text(),
    subjectId: text('subject_id').notNull(),
    subjectName: text('subject_name').notNull(),
    /** JSON array of the names of the settings that changed; never values. */
    changes: jsonText<readonly string[]>()('changes').notNull(),
  },
  (table) => [
    check('audit_log_action_is_known', oneOf(table.action, AUDIT_ACTIONS)),
    index('audit_log_by_project').on(table.project, table.id),
    index('audit_log_by_subject').on(table.subjectId, table.id),
  ],
);
