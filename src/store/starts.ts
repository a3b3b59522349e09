/** Attempts that are shown while they are in flight. */
import { sql } from 'drizzle-orm';
import { formatHeaders } from '../domain/attempt.ts';
import { statesThat } from '../domain/invocation.ts';
import { wordList } from './arrays.ts';
import type { Executor } from './database.ts';
import type { AttemptRequest } from './settlements.ts';

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
        request_headers text, body_size integer, content_mode text, spec_version text)
    ),
    before as materialized (
      select g.*, i.status, clock_timestamp() as moment
        from given g
        join herald.invocations i on i.id = g.invocation_id and i.attempt_count = g.before
        where i.status in (${sql.raw(wordList(statesThat('START')))})
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
      select string_agg(herald.invocation_change(
            b.invocation_id, case b.status when 'PENDING' then 'QUEUED' else b.status end, 'RUNNING', b.before + 1), '')
        from before b
        having count(*) > 0
    )
    select case when count(*) > 0 then herald.announce() end from before`);
}

function startRecord({ invocationId, attemptsBefore, elapsedMs, attempt }: Start) {
  return {
    invocation_id: invocationId,
    before: attemptsBefore,
    elapsed: elapsedMs,
    attempt_id: attempt.id,
    cause: attempt.cause,
    url: attempt.url,
    request_headers: formatHeaders(attempt.headers),
    body_size: attempt.bodySize,
    content_mode: attempt.contentMode,
    spec_version: attempt.specVersion,
  };
}
