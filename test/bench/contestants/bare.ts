/** The ceiling: graphile-worker and undici alone, both tuned, the event in the job, nothing recorded. */
import { Logger, run } from 'graphile-worker';
import { openPool, readAssignment } from './assignment.ts';
import { createPost } from './post.ts';

const CONCURRENCY = 500;

const assignment = readAssignment();
const post = createPost({ url: assignment.url, connections: CONCURRENCY });
await run({
  pgPool: openPool(assignment, 4),
  noHandleSignals: true,
  parsedCronItems: [],
  logger: new Logger(() => () => {}),
  taskList: {
    async bare(payload, { job }) {
      const { status } = await post(String(job.id), JSON.stringify(payload));
      if (status !== 200) throw new Error(String(status));
    },
  },
  preset: {
    worker: {
      concurrentJobs: CONCURRENCY,
      localQueue: { size: CONCURRENCY * 4 },
      completeJobBatchDelay: 20,
      failJobBatchDelay: 20,
    },
  },
});
process.on('disconnect', () => process.exit());
