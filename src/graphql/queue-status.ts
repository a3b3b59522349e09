/** `queue` and `queueStatus`: the queue right now. */
import { AppError } from '../domain/errors.ts';
import { type QueueStatus, readQueueStatus } from '../store/queue-status.ts';
import { listWorkers, type WorkerRow } from '../store/workers.ts';
import { builder } from './builder.ts';
import type { GraphqlContext } from './context.ts';
import { visibleProjects } from './filters.ts';
import { everyInterval } from './intervals.ts';

const WorkerStatus = builder.objectRef<WorkerRow>('WorkerStatus');
WorkerStatus.implement({
  description: 'A worker process.',
  fields: (t) => ({
    id: t.exposeString('name', { description: 'Name of the process: host and process id.' }),
    startedAt: t.expose('startedAt', { type: 'DateTime', description: 'When it started.' }),
    heartbeatAt: t.expose('heartbeatAt', { type: 'DateTime', description: 'When it last reported in.' }),
    running: t.exposeInt('running', { description: 'Attempts it had in flight then.' }),
    concurrency: t.exposeInt('concurrency', { description: 'Attempts it may have in flight.' }),
  }),
});

interface Status extends QueueStatus {
  readonly workers: readonly WorkerRow[];
}

const QueueStatusRef = builder.objectRef<Status>('QueueStatus');
QueueStatusRef.implement({
  description: `The queue right now. The numbers are exact, with one exception: where a trigger has thousands of waiting invocations that
are due and thousands that are not, how many of the waiting ones are due is an estimate.`,
  fields: (t) => ({
    scheduled: t.expose('scheduled', { type: 'SafeInt', description: 'Invocations not due yet.' }),
    ready: t.expose('ready', { type: 'SafeInt', description: 'Invocations due and waiting.' }),
    running: t.expose('running', {
      type: 'SafeInt',
      description: 'Attempts in flight for more than a moment.',
    }),
    retrying: t.expose('retrying', { type: 'SafeInt', description: 'Invocations between attempts.' }),
    held: t.expose('held', { type: 'SafeInt', description: 'Invocations held by paused triggers.' }),
    deadLetters: t.expose('deadLetters', { type: 'SafeInt', description: 'Invocations in FAILED.' }),
    oldestReadyAgeSeconds: t.exposeFloat('oldestReadyAgeSeconds', {
      description: 'How long the oldest due invocation has been waiting, in seconds; 0 when none is.',
    }),
    nextDueAt: t.expose('nextDueAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the next attempt that is not due yet falls due; null when none is planned.',
    }),
    workers: t.field({
      type: [WorkerStatus],
      description: 'Workers that reported in lately; empty for tokens that are bound to projects.',
      resolve: ({ workers }) => [...workers],
    }),
  }),
});

builder.queryFields((t) => ({
  queue: t.field({
    type: QueueStatusRef,
    scope: 'EVENTS_READ',
    description: 'The queue right now.',
    args: { project: t.arg.string({ description: 'Only this project.' }) },
    resolve: (_root, { project }, context) => readStatus(context, project, (_name, read) => read()),
  }),
}));

const MIN_INTERVAL_MS = 250;
const MAX_INTERVAL_MS = 60_000;
const DEFAULT_INTERVAL_MS = 1000;

builder.subscriptionFields((t) => ({
  queueStatus: t.field({
    type: QueueStatusRef,
    scope: 'EVENTS_READ',
    description: 'The queue right now, at the start and then at every interval in which something changed.',
    args: {
      project: t.arg.string({ description: 'Only this project.' }),
      intervalMs: t.arg.int({
        defaultValue: DEFAULT_INTERVAL_MS,
        description: `Milliseconds between updates, ${MIN_INTERVAL_MS} to ${MAX_INTERVAL_MS}.`,
      }),
    },
    subscribe: (_root, { project, intervalMs: asked }, context) => {
      const intervalMs = asked ?? DEFAULT_INTERVAL_MS;
      if (intervalMs < MIN_INTERVAL_MS || intervalMs > MAX_INTERVAL_MS) {
        const range = `${MIN_INTERVAL_MS} and ${MAX_INTERVAL_MS}`;
        throw new AppError('INVALID', `expected intervalMs between ${range}, got ${intervalMs}`);
      }
      return everyInterval({
        feed: context.services.feed,
        intervalMs,
        read: () => readStatus(context, project, context.live.once),
        // Ages and heartbeats change by themselves.
        gist: ({ oldestReadyAgeSeconds: _, workers, ...numbers }) =>
          JSON.stringify([numbers, workers.map(({ heartbeatAt: _beat, ...worker }) => worker)]),
      });
    },
    resolve: (status) => status,
  }),
}));

/** `share` lets subscribers who ask at the same time have one answer. */
async function readStatus(
  { services: { db }, caller }: GraphqlContext,
  project: string | null | undefined,
  share: GraphqlContext['live']['once'],
): Promise<Status> {
  const projects = visibleProjects(caller, project);
  const [status, workers] = await Promise.all([
    share(`queue ${JSON.stringify(projects)}`, () => readQueueStatus(db, projects)),
    caller.projects === null ? share('workers', () => listWorkers(db)) : [],
  ]);
  return { ...status, workers };
}
