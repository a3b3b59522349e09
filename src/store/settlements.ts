/** What comes of deliveries, recorded in batches: the attempt, the state it leads to, the next job, the announcement. */
import { type SQL, sql } from 'drizzle-orm';
import type { Header, Outcome } from '../domain/attempt.ts';
import type { ContentMode, SpecVersion } from '../domain/envelope.ts';
import { type AttemptCause, FINAL_STATES, statesThat } from '../domain/invocation.ts';
import type { Decision } from '../domain/retry.ts';
import type { Executor } from './database.ts';

/** What a delivery came to: the attempt, if one was made, and what follows. */
export interface Settlement {
  readonly invocationId: string;
  /** How many attempts were recorded when the delivery was loaded: the fence against a late result. */
  readonly attemptsBefore: number;
  readonly decision: Decision | { readonly kind: 'HOLD' };
  readonly attempt: (AttemptRequest & { readonly outcome: Outcome }) | null;
}

/** An attempt as it goes out. */
export interface AttemptRequest {
  /** Of the deliverer's making: tells its own attempt from another process' attempt of the same number. */
  readonly id: string;
  readonly cause: AttemptCause;
  readonly url: string;
  /** As sent, secret values masked. */
  readonly headers: readonly Header[];
  readonly bodySize: number;
  readonly contentMode: ContentMode;
  readonly specVersion: SpecVersion;
}

/** An attempt that has been in flight for more than a moment. */
export interface Start {
  readonly invocationId: string;
  /** How many attempts were recorded when the delivery was loaded. */
  readonly attemptsBefore: number;
  /** Milliseconds it has been in flight. */
  readonly elapsedMs: number;
  readonly attempt: AttemptRequest;
}

/**
 * Shows attempts in flight: RUNNING, with what was sent. Only for the slow ones, so that a fast delivery costs no
 * second write. One that was settled, held or taken over meanwhile is left as it is.
 */
export async function markRunning(db: Executor, batch: readonly Start[]): Promise<void> {
  await db.execute(sql`
    with given as materialized (
      select * from json_to_recordset(${JSON.stringify(batch.map(startRecord))}::json) as g(
        invocation_id uuid, before smallint, attempt_id uuid, elapsed double precision, cause text, url text,
        request_headers json, body_size integer, content_mode text, spec_version text)
    ),
    before as materialized (
      select g.*, i.status, i.event_id, i.trigger_id, clock_timestamp() as moment
        from given g
        join herald.invocations i on i.id = g.invocation_id and i.attempt_count = g.before
        where i.status in (${STARTABLE})
        for update of i
    ),
    started as (
      update herald.invocations i
        set status = 'RUNNING', attempt_count = b.before + 1, next_attempt_at = null, updated_at = b.moment
        from before b
        where i.id = b.invocation_id
    ),
    logged as (
      insert into herald.attempts (
        invocation_id, number, id, status, cause, started_at, request_url, request_headers, request_body_size,
        content_mode, spec_version)
      select
          b.invocation_id, b.before + 1, b.attempt_id, 'RUNNING', b.cause,
          b.moment - b.elapsed * interval '1 millisecond', b.url, b.request_headers, b.body_size, b.content_mode,
          b.spec_version
        from before b
    ),
    recorded as (
      insert into herald.changes (entries)
      select json_agg(json_build_object(
            'kind', 'INVOCATION', 'event', b.event_id, 'invocation', b.invocation_id, 'trigger', b.trigger_id,
            'project', e.project, 'type', e.type,
            'from', case b.status when 'PENDING' then 'QUEUED' else b.status end, 'to', 'RUNNING',
            'attempt', b.before + 1))::text
        from before b
        join herald.events e on e.id = b.event_id
        having count(*) > 0
    )
    select case when count(*) > 0 then herald.announce() end from before`);
}

/** What the job that made the attempt has to do now. */
export type Settled =
  /** End: the invocation is finished, or a new job is planned. */
  | 'DONE'
  /** Fail, so that graphile-worker plans the retry. */
  | 'RETRY_BY_QUEUE'
  /** End: another process took the attempt over, this late result was discarded. */
  | 'OVERTAKEN';

/**
 * Records `batch` in one statement: attempt row, invocation state, next job where it is ours to plan, announcement.
 * A paused trigger's retry is held instead, a cancelled invocation keeps its state and only gains the attempt.
 * `started_at` is the database's clock less the measured duration, so that clocks of workers do not matter.
 */
export async function settle(db: Executor, batch: readonly Settlement[]): Promise<readonly Settled[]> {
  const rows = await db.execute<{ id: string; by_queue: boolean }>(sql`
    with given as materialized (
      select * from json_to_recordset(${JSON.stringify(batch.map(toRecord))}::json) as g(
        invocation_id uuid, before smallint, change text, reason text, delay double precision, by_queue boolean,
        attempted boolean, cause text, error_code text, error_message text, dns_ms real, connect_ms real,
        tls_ms real, first_byte_ms real, total_ms real, url text, request_headers json, body_size integer,
        content_mode text, spec_version text, response_status smallint, response_headers json, response_body text,
        truncated boolean, remote_address text, attempt_id uuid)
    ),
    judged as materialized (
      select
          g.*, i.status as previous, i.event_id, i.trigger_id, i.next_attempt_at as planned,
          greatest(i.max_attempts - g.before - g.attempted::int, 1) as jobs_left,
          case
            when i.status in (${FINAL_LIST}) then i.status
            when g.change = 'SUCCEED' then 'SUCCEEDED'
            when g.change = 'GIVE_UP' then 'FAILED'
            -- The trigger's retries may have been lowered since the delivery was loaded.
            when g.change = 'RETRY' and g.before + 1 >= i.max_attempts then 'FAILED'
            when t.status = 'PAUSED' then 'HELD'
            when g.change = 'HOLD' then 'PENDING'
            else 'RETRYING'
          end as status,
          clock_timestamp() as moment
        from given g
        join herald.invocations i on i.id = g.invocation_id
        join herald.triggers t on t.id = i.trigger_id
        left join herald.attempts a on a.invocation_id = g.invocation_id and a.number = g.before + 1
        where case
          when a.id is null then i.attempt_count = g.before
          else a.id = g.attempt_id and a.status = 'RUNNING'
        end
        for update of i
    ),
    settled as (
      update herald.invocations i
        set
          status = j.status,
          failure_reason = case when j.status = 'FAILED' then coalesce(i.failure_reason, j.reason, 'RETRIES_EXHAUSTED') end,
          attempt_count = j.before + j.attempted::int,
          max_attempts = greatest(i.max_attempts, j.before + j.attempted::int),
          next_attempt_at = case
            when j.status in ('PENDING', 'RETRYING') then j.moment + coalesce(j.delay, 0) * interval '1 second' end,
          updated_at = j.moment,
          finished_at = case when j.status in (${FINAL_LIST}) then coalesce(i.finished_at, j.moment) end,
          last_error_code = case when j.attempted then j.error_code else i.last_error_code end,
          last_status_code = case when j.attempted then j.response_status else i.last_status_code end
        from judged j
        where i.id = j.invocation_id
        returning i.id, i.next_attempt_at
    ),
    logged as (
      insert into herald.attempts (
        invocation_id, number, id, status, cause, error_code, error_message, started_at, finished_at, dns_ms,
        connect_ms, tls_ms, first_byte_ms, total_ms, request_url, request_headers, request_body_size, content_mode,
        spec_version, response_status, response_headers, response_body, response_body_truncated, remote_address)
      select
          j.invocation_id, j.before + 1, j.attempt_id,
          case when j.error_code is null then 'SUCCEEDED' else 'FAILED' end,
          j.cause, j.error_code, j.error_message,
          j.moment - j.total_ms * interval '1 millisecond', j.moment, j.dns_ms, j.connect_ms, j.tls_ms,
          j.first_byte_ms, j.total_ms, j.url, j.request_headers, j.body_size, j.content_mode, j.spec_version,
          j.response_status, j.response_headers, decode(j.response_body, 'base64'), j.truncated, j.remote_address
        from judged j
        where j.attempted
      -- Shown as RUNNING before.
      on conflict (invocation_id, number) do update set
        status = excluded.status, error_code = excluded.error_code, error_message = excluded.error_message,
        finished_at = excluded.finished_at, dns_ms = excluded.dns_ms, connect_ms = excluded.connect_ms,
        tls_ms = excluded.tls_ms, first_byte_ms = excluded.first_byte_ms, total_ms = excluded.total_ms,
        response_status = excluded.response_status, response_headers = excluded.response_headers,
        response_body = excluded.response_body, response_body_truncated = excluded.response_body_truncated,
        remote_address = excluded.remote_address
    ),
    planned as (
      select count(*) from graphile_worker.add_jobs((
        select array_agg((
              'deliver', json_build_object('invocation', j.invocation_id), null,
              case j.status when 'HELD' then 'infinity' else s.next_attempt_at end,
              j.jobs_left, j.invocation_id::text, null, null
            )::graphile_worker.job_spec)
          from judged j
          join settled s on s.id = j.invocation_id
          where j.status in ('HELD', 'PENDING') or (j.status = 'RETRYING' and not j.by_queue)
      ))
    ),
    recorded as (
      insert into herald.changes (entries)
      select json_agg(json_build_object(
            'kind', 'INVOCATION', 'event', j.event_id, 'invocation', j.invocation_id, 'trigger', j.trigger_id,
            'project', e.project, 'type', e.type,
            'from', case when j.previous <> 'PENDING' then j.previous
              when j.planned > j.moment then 'SCHEDULED' else 'QUEUED' end,
            'to', case when j.status = 'PENDING' then 'QUEUED' else j.status end,
            'attempt', case when j.attempted then j.before + 1 end))::text
        from judged j
        join herald.events e on e.id = j.event_id
        having count(*) > 0
    ),
    announced as (
      select herald.announce((select min(s.next_attempt_at) from settled s))
    )
    select j.invocation_id as id, j.by_queue and j.status = 'RETRYING' as by_queue
      from judged j
      cross join planned
      cross join announced`);
  const byId = new Map(rows.map((row) => [row.id, row.by_queue]));
  return batch.map(({ invocationId }) => {
    const byQueue = byId.get(invocationId);
    if (byQueue === undefined) return 'OVERTAKEN';
    return byQueue ? 'RETRY_BY_QUEUE' : 'DONE';
  });
}

const FINAL_LIST: SQL = sql.raw(FINAL_STATES.map((state) => `'${state}'`).join(', '));

/** States in which an attempt may be shown as RUNNING. */
const STARTABLE: SQL = sql.raw(
  statesThat('START')
    .map((state) => `'${state}'`)
    .join(', '),
);

/** U+0000 or a lone surrogate in a message of a receiver's making would make Postgres refuse the whole batch. */
const printable = (text: string): string => text.replaceAll('\0', '\uFFFD').toWellFormed();

function startRecord({ invocationId, attemptsBefore, elapsedMs, attempt }: Start) {
  return {
    invocation_id: invocationId,
    before: attemptsBefore,
    elapsed: elapsedMs,
    ...requestRecord(attempt),
  };
}

function requestRecord(attempt: AttemptRequest) {
  return {
    attempt_id: attempt.id,
    cause: attempt.cause,
    url: attempt.url,
    request_headers: attempt.headers,
    body_size: attempt.bodySize,
    content_mode: attempt.contentMode,
    spec_version: attempt.specVersion,
  };
}

function toRecord({ invocationId, attemptsBefore, decision, attempt }: Settlement) {
  const given = {
    invocation_id: invocationId,
    before: attemptsBefore,
    change: decision.kind,
    reason: decision.kind === 'GIVE_UP' ? decision.reason : null,
    delay: decision.kind === 'RETRY' ? decision.delaySeconds : null,
    by_queue: decision.kind === 'RETRY' && decision.by === 'QUEUE',
    attempted: attempt !== null,
  };
  if (attempt === null) return given;
  const { outcome } = attempt;
  const { response, timings } = outcome;
  return {
    ...given,
    ...requestRecord(attempt),
    error_code: outcome.errorCode,
    error_message: outcome.errorMessage === null ? null : printable(outcome.errorMessage),
    dns_ms: timings.dnsMs,
    connect_ms: timings.connectMs,
    tls_ms: timings.tlsMs,
    first_byte_ms: timings.firstByteMs,
    total_ms: timings.totalMs,
    response_status: response?.statusCode,
    response_headers: response?.headers,
    response_body: response?.body.toString('base64'),
    truncated: response?.bodyTruncated,
    remote_address: response?.remoteAddress,
  };
}
