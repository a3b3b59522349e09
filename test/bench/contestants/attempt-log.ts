/**
 * The durable attempt log that every contestant but the bare one keeps: the columns of Herald's own tables and the same
 * bytes in them, without the CHECKs and with no more indexes than it takes. Once written statement by statement, as one
 * would at first, once for all attempts that end about the same moment.
 */
import type pg from 'pg';
import { type Answer, webhookHeaders } from './post.ts';

export const TABLES = `
  create schema field;
  create table field.events (
    id uuid primary key, project text not null, type text not null, source text not null, data text,
    data_size integer not null, received_at timestamptz(3) not null, due_at timestamptz(3) not null);
  create table field.invocations (
    id uuid primary key, event_id uuid not null, trigger_id uuid not null, trigger_name text not null,
    status text not null, attempt_count smallint not null default 0, max_attempts smallint not null,
    next_attempt_at timestamptz(3), created_at timestamptz(3) not null, updated_at timestamptz(3) not null,
    finished_at timestamptz(3), last_error_code text, last_status_code smallint);
  create index invocations_unfinished on field.invocations (id) where finished_at is null;
  create table field.attempts (
    invocation_id uuid not null, number smallint not null, id uuid not null, status text not null,
    cause text not null, error_code text, error_message text, started_at timestamptz(3) not null,
    finished_at timestamptz(3), dns_ms real, connect_ms real, tls_ms real, first_byte_ms real, total_ms real,
    request_url text not null, request_headers text not null, request_body_size integer not null,
    content_mode text not null, spec_version text not null, response_status smallint, response_headers text,
    response_body bytea, response_body_truncated boolean, remote_address text,
    primary key (invocation_id, number));
  create table field.triggers (
    id uuid primary key, name text not null, url text not null);`;

/** $1: how many, $2: the URL, $3: the data of each. */
export const FILL = `
  with trigger as (
    insert into field.triggers (id, name, url) values (gen_random_uuid(), 'drain', $2) returning *
  ),
  events as (
    insert into field.events
    select uuidv7(), 'default', 'drain', gen_random_uuid()::text, $3, octet_length($3), now(), now()
      from generate_series(1, $1::int)
    returning id
  )
  insert into field.invocations (
    id, event_id, trigger_id, trigger_name, status, max_attempts, next_attempt_at, created_at, updated_at)
  select uuidv7(), e.id, t.id, t.name, 'PENDING', 4, now(), now(), now() from events e cross join trigger t`;

/** Resolves when the attempt and the state it leads to have been committed. */
export type Record = (id: string, url: string, bodySize: number, answer: Answer) => Promise<unknown>;

interface Row {
  readonly invocation_id: string;
  readonly id: string;
  readonly status: string;
  readonly started_at: string;
  readonly finished_at: string;
  readonly total_ms: number;
  readonly url: string;
  readonly request_headers: string;
  readonly body_size: number;
  readonly response_status: number;
  readonly response_headers: string;
  readonly response_body: string;
}

function toRow(id: string, url: string, bodySize: number, answer: Answer): Row {
  const now = Date.now();
  return {
    invocation_id: id,
    id: crypto.randomUUID(),
    status: answer.status < 300 ? 'SUCCEEDED' : 'FAILED',
    started_at: new Date(now - answer.ms).toISOString(),
    finished_at: new Date(now).toISOString(),
    total_ms: answer.ms,
    url,
    request_headers: JSON.stringify(Object.entries(webhookHeaders(id))),
    body_size: bodySize,
    response_status: answer.status,
    response_headers: JSON.stringify(Object.entries(answer.headers)),
    response_body: answer.body.toString('base64'),
  };
}

const COLUMNS = `invocation_id, number, id, status, cause, started_at, finished_at, first_byte_ms, total_ms,
  request_url, request_headers, request_body_size, content_mode, spec_version, response_status, response_headers,
  response_body, response_body_truncated, remote_address`;

/** One insert and one update for each attempt. */
export function recordOneByOne(pool: pg.Pool): Record {
  return async (id, url, bodySize, answer) => {
    const row = toRow(id, url, bodySize, answer);
    await pool.query(
      `insert into field.attempts (${COLUMNS}) values ($1, 1, $2, $3, 'INITIAL', $4, $5, $6, $6, $7, $8, $9, 'JSON',
        '1.0', $10, $11, decode($12, 'base64'), false, '127.0.0.1')`,
      [
        row.invocation_id,
        row.id,
        row.status,
        row.started_at,
        row.finished_at,
        row.total_ms,
        row.url,
        row.request_headers,
        row.body_size,
        row.response_status,
        row.response_headers,
        row.response_body,
      ],
    );
    await pool.query(
      `update field.invocations
        set status = $2, attempt_count = 1, next_attempt_at = null, updated_at = now(), finished_at = now(),
          last_status_code = $3
        where id = $1`,
      [id, row.status, row.response_status],
    );
  };
}

const BATCH = `
  with given as materialized (
    select * from json_to_recordset($1::json) as g(
      invocation_id uuid, id uuid, status text, started_at timestamptz, finished_at timestamptz, total_ms real,
      url text, request_headers text, body_size integer, response_status smallint, response_headers text,
      response_body text)
  ),
  settled as (
    update field.invocations i
      set status = g.status, attempt_count = 1, next_attempt_at = null, updated_at = now(), finished_at = now(),
        last_status_code = g.response_status
      from given g
      where i.id = g.invocation_id
  )
  insert into field.attempts (${COLUMNS})
  select g.invocation_id, 1, g.id, g.status, 'INITIAL', g.started_at, g.finished_at, g.total_ms, g.total_ms, g.url,
      g.request_headers, g.body_size, 'JSON', '1.0', g.response_status, g.response_headers,
      decode(g.response_body, 'base64'), false, '127.0.0.1'
    from given g`;

const MAX_BATCH = 400;
const GATHER_MS = 4;
const MAX_FLUSHES = 2;

/** Everything that ended within some milliseconds in one statement. */
export function recordInBatches(pool: pg.Pool): Record {
  const waiting: { readonly row: Row; readonly done: PromiseWithResolvers<void> }[] = [];
  let flushes = 0;
  let planned = false;

  function plan(): void {
    if (planned || waiting.length === 0 || flushes >= MAX_FLUSHES) return;
    planned = true;
    setTimeout(flush, GATHER_MS);
  }

  async function flush(): Promise<void> {
    planned = false;
    const batch = waiting.splice(0, MAX_BATCH);
    flushes++;
    plan();
    try {
      await pool.query({
        name: 'record',
        text: BATCH,
        values: [JSON.stringify(batch.map(({ row }) => row))],
      });
      for (const { done } of batch) done.resolve();
    } catch (error) {
      for (const { done } of batch) done.reject(error);
    }
    flushes--;
    plan();
  }

  return (id, url, bodySize, answer) => {
    const done = Promise.withResolvers<void>();
    waiting.push({ row: toRow(id, url, bodySize, answer), done });
    plan();
    return done.promise;
  };
}
