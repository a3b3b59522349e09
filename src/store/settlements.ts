/** What comes of deliveries, recorded in batches: the attempt, the state it leads to, the next job, the announcement. */
import { formatHeaders, type Header, type Outcome } from '../domain/attempt.ts';
import type { ContentMode, SpecVersion } from '../domain/envelope.ts';
import { type AttemptCause, type FailureReason, FINAL_STATES } from '../domain/invocation.ts';
import type { Decision } from '../domain/retry.ts';
import { arrayOf, wordList } from './arrays.ts';
import type { Executor } from './database.ts';
import { runPrepared } from './prepared.ts';

/** What a delivery came to: the attempt, if one was made, and what follows. */
export interface Settlement {
  readonly invocationId: string;
  /** How many attempts were recorded when the delivery was loaded: the fence against a late result. */
  readonly attemptsBefore: number;
  readonly decision: Decision | { readonly kind: 'HOLD' };
  /** How many attempts there could be when it was decided: where that is more by now, giving up was wrong. */
  readonly maxAttempts?: number;
  /** When the event was due, in epoch milliseconds, for the statistics of success; absent where it is not known. */
  readonly dueAtMs?: number;
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
  const rows = await runPrepared<{ id: string; by_queue: boolean }>(
    db,
    SETTLE,
    COLUMNS.map(({ of }) => arrayOf(batch, of)),
  );
  const byId = new Map(rows.map((row) => [row.id, row.by_queue]));
  return batch.map(({ invocationId }) => {
    const byQueue = byId.get(invocationId);
    if (byQueue === undefined) return 'OVERTAKEN';
    return byQueue ? 'RETRY_BY_QUEUE' : 'DONE';
  });
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly of: (settlement: Settlement) => string | number | boolean | null | undefined;
}

/** What `settle` is given: one array a column. */
const COLUMNS: readonly Column[] = [
  { name: 'invocation_id', type: 'uuid', of: ({ invocationId }) => invocationId },
  { name: 'before', type: 'smallint', of: ({ attemptsBefore }) => attemptsBefore },
  { name: 'change', type: 'text', of: ({ decision }) => decision.kind },
  { name: 'reason', type: 'text', of: ({ decision: d }) => (d.kind === 'GIVE_UP' ? d.reason : null) },
  {
    name: 'allowed',
    type: 'smallint',
    of: ({ decision: d, maxAttempts }) => (d.kind === 'GIVE_UP' ? maxAttempts : null),
  },
  { name: 'delay', type: 'float8', of: ({ decision: d }) => (d.kind === 'RETRY' ? d.delaySeconds : null) },
  { name: 'by_queue', type: 'boolean', of: ({ decision: d }) => d.kind === 'RETRY' && d.by === 'QUEUE' },
  { name: 'due', type: 'float8', of: ({ dueAtMs }) => dueAtMs },
  { name: 'attempt_id', type: 'uuid', of: ({ attempt }) => attempt?.id },
  { name: 'cause', type: 'text', of: ({ attempt }) => attempt?.cause },
  { name: 'error_code', type: 'text', of: ({ attempt }) => attempt?.outcome.errorCode },
  { name: 'error_message', type: 'text', of: ({ attempt }) => printable(attempt?.outcome.errorMessage) },
  { name: 'dns_ms', type: 'real', of: ({ attempt }) => attempt?.outcome.timings.dnsMs },
  { name: 'connect_ms', type: 'real', of: ({ attempt }) => attempt?.outcome.timings.connectMs },
  { name: 'tls_ms', type: 'real', of: ({ attempt }) => attempt?.outcome.timings.tlsMs },
  { name: 'first_byte_ms', type: 'real', of: ({ attempt }) => attempt?.outcome.timings.firstByteMs },
  { name: 'total_ms', type: 'real', of: ({ attempt }) => attempt?.outcome.timings.totalMs },
  { name: 'url', type: 'text', of: ({ attempt }) => attempt?.url },
  { name: 'request_headers', type: 'text', of: ({ attempt: a }) => a && formatHeaders(a.headers) },
  { name: 'body_size', type: 'integer', of: ({ attempt }) => attempt?.bodySize },
  { name: 'content_mode', type: 'text', of: ({ attempt }) => attempt?.contentMode },
  { name: 'spec_version', type: 'text', of: ({ attempt }) => attempt?.specVersion },
  { name: 'response_status', type: 'smallint', of: (settlement) => responseOf(settlement)?.statusCode },
  {
    name: 'response_headers',
    type: 'text',
    of: (settlement) => {
      const response = responseOf(settlement);
      return response && printable(formatHeaders(response.headers));
    },
  },
  // In base64: a third longer than the bytes, where an array's own form, hexadecimal, doubles them.
  {
    name: 'response_body',
    type: 'text',
    of: (settlement) => responseOf(settlement)?.body.toString('base64'),
  },
  { name: 'truncated', type: 'boolean', of: (settlement) => responseOf(settlement)?.bodyTruncated },
  { name: 'remote_address', type: 'text', of: (settlement) => responseOf(settlement)?.remoteAddress },
];

const responseOf = ({ attempt }: Settlement) => attempt?.outcome.response;

const FINAL_LIST = wordList(FINAL_STATES);
/** Reasons to give up where no attempt is left (`decide`). */
const WHEN_USED_UP: readonly FailureReason[] = ['RETRIES_EXHAUSTED', 'BLOCKED'];

/** Planning it takes as long as recording twenty attempts. */
const SETTLE = `
    with given as materialized (
      select * from unnest(${COLUMNS.map(({ type }, index) => `$${index + 1}::${type}[]`).join(', ')})
        as g(${COLUMNS.map(({ name }) => name).join(', ')})
    ),
    found as materialized (
      select
          g.*, g.attempt_id is not null as attempted, i.trigger_id, i.status as previous,
          i.next_attempt_at as planned, i.attempts_before_reset,
          greatest(i.max_attempts - g.before - (g.attempt_id is not null)::int, 1) as jobs_left,
          case
            when i.status in (${FINAL_LIST}) then i.status
            when g.change = 'SUCCEED' then 'SUCCEEDED'
            -- It may have been given more attempts since the delivery was loaded.
            when g.change = 'GIVE_UP' and g.reason in (${wordList(WHEN_USED_UP)}) and i.max_attempts > g.allowed
              then case when t.status = 'PAUSED' then 'HELD' else 'RETRYING' end
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
        -- The limit says what the planner cannot know while the table is empty: look it up.
        left join lateral (
          select l.id, l.status from herald.attempts l
            where l.invocation_id = g.invocation_id and l.number = g.before + 1
            limit 1
        ) a on true
        where case
          when a.id is null then i.attempt_count = g.before
          else a.id = g.attempt_id and a.status = 'RUNNING'
        end
        for update of i
    ),
    -- Everything that follows from a row stands in it: no later step joins these steps with one another, because the
    -- planner does not know how many rows they have.
    judged as materialized (
      select f.*, case
            when f.status in ('PENDING', 'RETRYING') then f.moment + interval '1 second' * coalesce(
              f.delay, case f.change when 'GIVE_UP' then exp(least(f.before + 1 - f.attempts_before_reset, 10)) else 0 end)
          end as next_attempt_at
        from found f
    ),
    settled as (
      update herald.invocations i
        set
          status = j.status,
          failure_reason = case when j.status = 'FAILED' then coalesce(i.failure_reason, j.reason, 'RETRIES_EXHAUSTED') end,
          attempt_count = j.before + j.attempted::int,
          max_attempts = greatest(i.max_attempts, j.before + j.attempted::int),
          next_attempt_at = j.next_attempt_at,
          updated_at = j.moment,
          finished_at = case when j.status in (${FINAL_LIST}) then coalesce(i.finished_at, j.moment) end,
          last_error_code = case when j.attempted then j.error_code else i.last_error_code end,
          last_status_code = case when j.attempted then j.response_status else i.last_status_code end
        from judged j
        where i.id = j.invocation_id
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
              case j.status when 'HELD' then 'infinity' else date_trunc('milliseconds', j.next_attempt_at) end,
              j.jobs_left, j.invocation_id::text, null, null
            )::graphile_worker.job_spec)
          from judged j
          where j.status in ('HELD', 'PENDING') or (j.status = 'RETRYING' and not j.by_queue)
      ))
    ),
    recorded as (
      insert into herald.changes (entries)
      select string_agg(herald.invocation_change(
            j.invocation_id,
            case when j.previous <> 'PENDING' then j.previous
              when j.planned > j.moment then 'SCHEDULED' else 'QUEUED' end,
            case when j.status = 'PENDING' then 'QUEUED' else j.status end,
            case when j.attempted then j.before + 1 end), '')
        from judged j
        having count(*) > 0
    ),
    -- Numbers for the statistics (stats.ts): one row a trigger, whatever the size of the batch.
    tallied as (
      insert into herald.tallies (
        trigger_id, attempts, attempts_failed, retries, succeeded, failed, durations, latencies)
      select
          j.trigger_id, count(j.attempt_id), count(j.error_code),
          count(*) filter (where j.attempted and j.before > 0),
          count(*) filter (where j.status = 'SUCCEEDED' and j.previous <> 'SUCCEEDED'),
          count(*) filter (where j.status = 'FAILED' and j.previous <> 'FAILED'),
          array_agg(j.total_ms) filter (where j.total_ms is not null),
          array_agg(extract(epoch from j.moment)::float8 * 1000 - j.due)
            filter (where j.status = 'SUCCEEDED' and j.previous <> 'SUCCEEDED' and j.due is not null)
        from judged j
        group by j.trigger_id
    ),
    announced as (
      select herald.announce((select min(j.next_attempt_at) from judged j))
    )
    select j.invocation_id as id, j.by_queue and j.status = 'RETRYING' as by_queue
      from judged j
      cross join planned
      cross join announced`;

/** U+0000 or a lone surrogate of a receiver's making would make Postgres refuse the whole batch. */
function printable(text: string | null | undefined): string | null {
  if (text == null) return null;
  return text.includes('\0') || !text.isWellFormed() ? text.replaceAll('\0', '\uFFFD').toWellFormed() : text;
}
