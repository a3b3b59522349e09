/**
 * The obvious design on graphile-worker: one select, one insert, one update a delivery. Also its API: POST /queue
 * stores the event, its invocation and its job in one transaction.
 */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Logger, run } from 'graphile-worker';
import { Agent, request } from 'undici';
import { openPool, readAssignment } from './assignment.ts';
import { recordOneByOne } from './attempt-log.ts';
import { webhookHeaders } from './post.ts';

const CONCURRENCY = 24;

const assignment = readAssignment();
const pool = openPool(assignment, CONCURRENCY);
const record = recordOneByOne(pool);
const dispatcher = new Agent({ connections: CONCURRENCY });

await run({
  pgPool: openPool(assignment, CONCURRENCY),
  concurrency: CONCURRENCY,
  noHandleSignals: true,
  parsedCronItems: [],
  logger: new Logger(() => () => {}),
  taskList: {
    async deliver(payload) {
      const { invocation } = payload as { readonly invocation: string };
      const { rows } = await pool.query<{ url: string; data: string }>(
        `select t.url, e.data from field.invocations i
          join field.events e on e.id = i.event_id
          join field.triggers t on t.id = i.trigger_id
          where i.id = $1`,
        [invocation],
      );
      const [loaded] = rows;
      if (loaded === undefined) return;
      const startedAt = performance.now();
      const headers = webhookHeaders(invocation);
      const answer = await request(loaded.url, { dispatcher, method: 'POST', headers, body: loaded.data });
      const body = Buffer.from(await answer.body.arrayBuffer());
      const ms = performance.now() - startedAt;
      const { statusCode: status, headers: answered } = answer;
      await record(invocation, loaded.url, loaded.data.length, { status, headers: answered, body, ms });
    },
  },
});

const server = createServer(async (req, res) => {
  const chunks: Buffer[] = [];
  for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk);
  const { type, data } = JSON.parse(Buffer.concat(chunks).toString()) as { type: string; data: unknown };
  try {
    res.end(JSON.stringify({ id: await queue(type, JSON.stringify(data)) }));
  } catch (error) {
    res.writeHead(500).end(String(error));
  }
});

async function queue(type: string, data: string): Promise<string> {
  const client = await pool.connect();
  try {
    const eventId = randomUUID();
    const invocationId = randomUUID();
    await client.query('begin');
    await client.query(
      `insert into field.events values ($1, 'default', $2, 'contestant', $3, $4, now(), now())`,
      [eventId, type, data, data.length],
    );
    await client.query(
      `insert into field.invocations (
          id, event_id, trigger_id, trigger_name, status, max_attempts, next_attempt_at, created_at, updated_at)
        select $1, $2, t.id, t.name, 'PENDING', 4, now(), now(), now() from field.triggers t`,
      [invocationId, eventId],
    );
    await client.query(
      `select graphile_worker.add_job('deliver', json_build_object('invocation', $1::text))`,
      [invocationId],
    );
    await client.query('commit');
    return eventId;
  } catch (error) {
    await client.query('rollback');
    throw error;
  } finally {
    client.release();
  }
}

server.listen(0, '127.0.0.1', () => {
  console.log(`listening at http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.on('disconnect', () => process.exit());
