/** pg-boss with undici, the event in the job, every attempt in the durable log. */
import { PgBoss } from 'pg-boss';
import { request } from 'undici';
import { openPool, readAssignment } from './assignment.ts';
import { recordInBatches, recordOneByOne } from './attempt-log.ts';
import { createPost, webhookHeaders } from './post.ts';

interface Data {
  readonly invocation: string;
  readonly event: string;
}

const BATCH_SIZE = 250;
const WORKERS = 3;

const assignment = readAssignment();
const pool = openPool(assignment, 10, '-c enable_seqscan=off');
const boss = new PgBoss({ ...assignment.address, max: 10 });
boss.on('error', () => {}); // the database is dropped under us at the end
await boss.start();
if (assignment.manner === 'AS_DOCUMENTED') await workAsDocumented();
else await workTuned();
process.on('disconnect', () => process.exit());

/**
 * What its documentation says of throughput: batches, the next one at once while they come back full. (Its defaults are
 * one job every two seconds, by the same documentation, and would measure nothing but that.)
 */
async function workAsDocumented(): Promise<void> {
  const record = recordOneByOne(pool);
  const options = { batchSize: 20, burstWhenBatchFull: true };
  await boss.work<Data>('deliver', options, async (jobs) => {
    await Promise.all(
      jobs.map(async ({ data: { invocation, event } }) => {
        const startedAt = performance.now();
        const headers = webhookHeaders(invocation);
        const answer = await request(assignment.url, { method: 'POST', headers, body: event });
        const body = Buffer.from(await answer.body.arrayBuffer());
        const ms = performance.now() - startedAt;
        const { statusCode: status, headers: answered } = answer;
        await record(invocation, assignment.url, event.length, { status, headers: answered, body, ms });
      }),
    );
  });
}

/** Several workers that fetch hundreds of jobs at once, each batch delivered side by side, records shared. */
async function workTuned(): Promise<void> {
  const record = recordInBatches(pool);
  const post = createPost({ url: assignment.url, connections: WORKERS * BATCH_SIZE });
  const options = { batchSize: BATCH_SIZE, localConcurrency: WORKERS, burstWhenBatchFull: true };
  await boss.work<Data>('deliver', options, async (jobs) => {
    await Promise.all(
      jobs.map(async ({ data: { invocation, event } }) => {
        const answer = await post(invocation, event);
        await record(invocation, assignment.url, event.length, answer);
      }),
    );
  });
}
