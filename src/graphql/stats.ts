/** `stats`, and the same of a trigger. */
import type { Caller } from '../domain/caller.ts';
import { type Percentiles, percentilesOf, type STATS_WINDOWS, type StatsWindow } from '../domain/stats.ts';
import { type DeliveryStats, readStats, type StatsScope } from '../store/stats.ts';
import { builder, type Described } from './builder.ts';
import { visibleProjects } from './filters.ts';
import { TriggerRef } from './refs.ts';

const STATS_WINDOW = builder.enumType('StatsWindow', {
  description: 'Time window of statistics, ending now.',
  values: {
    LAST_HOUR: { description: '60 minutes in buckets of 1 minute.' },
    LAST_24_HOURS: { description: '24 hours in buckets of 15 minutes.' },
    LAST_7_DAYS: { description: '7 days in buckets of 2 hours.' },
    LAST_30_DAYS: { description: '30 days in buckets of 6 hours.' },
  } satisfies Described<(typeof STATS_WINDOWS)[number]>,
});

const LatencySummary = builder.objectRef<Percentiles>('LatencySummary');
LatencySummary.implement({
  description:
    'Percentiles of a duration in milliseconds, within 5 % of the true ones; null when there is no sample.',
  fields: (t) => ({
    p50Ms: t.exposeFloat('p50Ms', { nullable: true, description: 'Median.' }),
    p95Ms: t.exposeFloat('p95Ms', { nullable: true, description: '95th percentile.' }),
    p99Ms: t.exposeFloat('p99Ms', { nullable: true, description: '99th percentile.' }),
    maxMs: t.exposeFloat('maxMs', { nullable: true, description: 'Largest sample, exact.' }),
  }),
});

const StatsBucket = builder.objectRef<DeliveryStats['spans'][number]>('StatsBucket');
StatsBucket.implement({
  description: 'One bucket of a time series.',
  fields: (t) => ({
    from: t.expose('from', { type: 'DateTime', description: 'Start of the bucket.' }),
    eventsQueued: t.field({
      type: 'SafeInt',
      description: 'Events accepted.',
      resolve: ({ numbers }) => numbers.events,
    }),
    attemptsSucceeded: t.field({
      type: 'SafeInt',
      description: 'Attempts that succeeded.',
      resolve: ({ numbers }) => numbers.attempts - numbers.attemptsFailed,
    }),
    attemptsFailed: t.field({
      type: 'SafeInt',
      description: 'Attempts that failed.',
      resolve: ({ numbers }) => numbers.attemptsFailed,
    }),
    retries: t.field({
      type: 'SafeInt',
      description: 'Attempts that were retries.',
      resolve: ({ numbers }) => numbers.retries,
    }),
    deliveryLatency: t.field({
      type: LatencySummary,
      description: 'Time from due to success.',
      resolve: ({ numbers }) => percentilesOf(numbers.latencies),
    }),
  }),
});

const DeliveryStatsRef = builder.objectRef<DeliveryStats>('DeliveryStats');
DeliveryStatsRef.implement({
  description:
    'Delivery statistics over a window. Kept as it happens: exact, whatever the number of deliveries.',
  fields: (t) => {
    const count = (name: 'events' | 'succeeded' | 'failed' | 'attempts' | 'retries', description: string) =>
      t.field({ type: 'SafeInt', description, resolve: ({ numbers }) => numbers[name] });
    return {
      from: t.expose('from', { type: 'DateTime', description: 'Start of the window.' }),
      to: t.expose('to', { type: 'DateTime', description: 'End of the window.' }),
      eventsQueued: count('events', 'Events accepted; of a trigger: events that it matched.'),
      invocationsSucceeded: count('succeeded', 'Invocations that reached SUCCEEDED.'),
      invocationsFailed: count('failed', 'Invocations that reached FAILED.'),
      attempts: count('attempts', 'Attempts made, by the time of their end.'),
      retries: count('retries', 'Attempts that were retries.'),
      successRate: t.float({
        nullable: true,
        description: 'Succeeded divided by finished invocations, 0 to 1; null when none finished.',
        resolve: ({ numbers: { succeeded, failed } }) =>
          succeeded + failed === 0 ? null : succeeded / (succeeded + failed),
      }),
      attemptDuration: t.field({
        type: LatencySummary,
        description: 'Duration of attempts.',
        resolve: ({ numbers }) => percentilesOf(numbers.durations),
      }),
      deliveryLatency: t.field({
        type: LatencySummary,
        description: 'Time from due to success.',
        resolve: ({ numbers }) => percentilesOf(numbers.latencies),
      }),
      buckets: t.field({
        type: [StatsBucket],
        description: 'The same over time, oldest bucket first. The last one is not over yet.',
        resolve: ({ spans }) => [...spans],
      }),
    };
  },
});

const DEFAULT_WINDOW: StatsWindow = 'LAST_24_HOURS';

builder.objectField(TriggerRef, 'stats', (t) =>
  t.field({
    type: DeliveryStatsRef,
    scope: 'EVENTS_READ',
    description: 'Delivery statistics of this trigger.',
    args: {
      window: t.arg({
        type: STATS_WINDOW,
        defaultValue: DEFAULT_WINDOW,
        description: 'How far back to look.',
      }),
    },
    resolve: ({ id }, { window }, { loaders }) => loaders.statsOf(id, window ?? DEFAULT_WINDOW),
  }),
);

builder.queryFields((t) => ({
  stats: t.field({
    type: DeliveryStatsRef,
    scope: 'EVENTS_READ',
    description: 'Delivery statistics.',
    args: {
      project: t.arg.string({ description: 'Only this project.' }),
      window: t.arg({
        type: STATS_WINDOW,
        defaultValue: DEFAULT_WINDOW,
        description: 'How far back to look.',
      }),
    },
    resolve: async (_root, { project, window }, { services: { db }, caller }) => {
      const [stats] = await readStats(db, [scopeOf(caller, project)], window ?? DEFAULT_WINDOW);
      if (stats === undefined) throw new Error('reading statistics returned none');
      return stats;
    },
  }),
}));

function scopeOf(caller: Caller, project: string | null | undefined): StatsScope {
  const projects = visibleProjects(caller, project);
  return projects === null ? { kind: 'ALL' } : { kind: 'PROJECTS', projects };
}
