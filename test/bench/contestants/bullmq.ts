/** BullMQ on Redis with undici, the event in the job, every attempt in the durable log on Postgres. */
import { Worker } from 'bullmq';
import { request } from 'undici';
import { openPool, readAssignment } from './assignment.ts';
import { recordInBatches, recordOneByOne } from './attempt-log.ts';
import { createPost, webhookHeaders } from './post.ts';

interface Data {
  readonly invocation: string;
  readonly event: string;
}

/** What its documentation on concurrency shows. */
const DOCUMENTED_CONCURRENCY = 50;
const TUNED_CONCURRENCY = 400;

const assignment = readAssignment();
const { url, queue } = assignment;
const pool = openPool(assignment, 10, '-c enable_seqscan=off');
const connection = { url: assignment.redisUrl ?? '' };
const worker = assignment.manner === 'AS_DOCUMENTED' ? workAsDocumented() : workTuned();
worker.on('error', () => {});
process.on('disconnect', () => process.exit());

function workAsDocumented(): Worker<Data> {
  const record = recordOneByOne(pool);
  return new Worker<Data>(
    queue,
    async ({ data: { invocation, event } }) => {
      const startedAt = performance.now();
      const answer = await request(url, { method: 'POST', headers: webhookHeaders(invocation), body: event });
      const body = Buffer.from(await answer.body.arrayBuffer());
      const ms = performance.now() - startedAt;
      const { statusCode: status, headers } = answer;
      await record(invocation, url, event.length, { status, headers, body, ms });
    },
    { connection, concurrency: DOCUMENTED_CONCURRENCY },
  );
}

function workTuned(): Worker<Data> {
  const record = recordInBatches(pool);
  const post = createPost({ url, connections: TUNED_CONCURRENCY });
  return new Worker<Data>(
    queue,
    async ({ data: { invocation, event } }) => {
      await record(invocation, url, event.length, await post(invocation, event));
    },
    { connection, concurrency: TUNED_CONCURRENCY, removeOnComplete: { count: 0 } },
  );
}
