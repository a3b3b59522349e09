/** A snapshot as Prometheus' text. Names after its conventions: base units, `_total` for what only grows. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { countOf, countsUpTo, type Histogram as Samples, sumMsOf } from '../domain/histogram.ts';
import type { MetricsSnapshot, Totals } from '../store/metrics.ts';

type Labels = Readonly<Record<string, string>>;
type Series = readonly (readonly [labels: Labels, value: number])[];

/** Bounds in seconds: of answers, and of deliveries that waited for retries. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86_400];
const BOUNDS_MS = BOUNDS.map((bound) => bound * 1000);

export async function describe(version: string, snapshot: MetricsSnapshot): Promise<string> {
  const registry = new Registry();
  const gauge = (...described: Described) => writeGauge(registry, described);
  const counter = (...described: Described) => writeCounter(registry, described);
  const { projects, triggers, statuses, queue, workers } = snapshot;

  gauge(...buildInfo(version));
  gauge(...databaseUp(1));
  counter(
    'herald_events_total',
    'Events accepted.',
    projects.map(({ project, events }) => [{ project }, events]),
  );
  const totals = (prefix: string, each: readonly (readonly [Labels, Totals])[]): void => {
    counter(
      `${prefix}_attempts_total`,
      'Attempts that ended: HTTP calls to receivers.',
      each.flatMap(([labels, { attempts, attemptsFailed }]) => [
        [{ ...labels, outcome: 'succeeded' }, attempts - attemptsFailed],
        [{ ...labels, outcome: 'failed' }, attemptsFailed],
      ]),
    );
    counter(
      `${prefix}_retries_total`,
      'Attempts after the first one of an invocation.',
      each.map(([labels, { retries }]) => [labels, retries]),
    );
    counter(
      `${prefix}_invocations_total`,
      'Invocations that were delivered, or given up; one that is retried by hand may count again.',
      each.flatMap(([labels, { succeeded, failed }]) => [
        [{ ...labels, outcome: 'succeeded' }, succeeded],
        [{ ...labels, outcome: 'failed' }, failed],
      ]),
    );
  };
  totals(
    'herald',
    projects.map((project) => [{ project: project.project }, project]),
  );
  if (triggers !== null) {
    totals(
      'herald_trigger',
      triggers.map((trigger) => [{ project: trigger.project, trigger: trigger.name }, trigger]),
    );
  }
  histogram(registry, {
    name: 'herald_attempt_duration_seconds',
    help: 'How long attempts took. Samples lie within 10 % of their bucket, the sum within 5 %.',
    series: projects.map(({ project, durations }) => [{ project }, durations]),
  });
  histogram(registry, {
    name: 'herald_delivery_latency_seconds',
    help: 'From when an event was due to when it was delivered, retries included. Samples lie within 10 % of their bucket, the sum within 5 %.',
    series: projects.map(({ project, latencies }) => [{ project }, latencies]),
  });
  gauge(
    'herald_queue_invocations',
    'Invocations that are not finished, by state; failed ones until retention.',
    [
      [{ state: 'ready' }, queue.ready],
      [{ state: 'scheduled' }, queue.scheduled],
      [{ state: 'running' }, queue.running],
      [{ state: 'retrying' }, queue.retrying],
      [{ state: 'held' }, queue.held],
      [{ state: 'failed' }, queue.deadLetters],
    ],
  );
  gauge('herald_queue_oldest_ready_age_seconds', 'How long the first one that is due has waited.', [
    [{}, queue.oldestReadyAgeSeconds],
  ]);
  if (triggers !== null) {
    gauge(
      'herald_trigger_queue_invocations',
      'The same of each trigger, seconds old; pending: ready or scheduled.',
      triggers.flatMap(({ project, name: trigger, pending, running, retrying, held, deadLetters }) =>
        Object.entries({ pending, running, retrying, held, failed: deadLetters }).map(
          ([state, value]) => [{ project, trigger, state }, value] as const,
        ),
      ),
    );
  }
  gauge(
    'herald_triggers',
    'Triggers by status.',
    (['ACTIVE', 'PAUSED', 'DISABLED'] as const).map((status) => [
      { status: status.toLowerCase() },
      statuses.find((one) => one.status === status)?.count ?? 0,
    ]),
  );
  gauge('herald_workers', 'Workers that report in.', [[{}, workers.length]]);
  gauge(
    'herald_worker_attempts_in_flight',
    'Attempts in flight in each worker when it last reported in.',
    workers.map(({ name: worker, running }) => [{ worker }, running]),
  );
  gauge(
    'herald_worker_concurrency',
    'Most attempts in flight at once in each worker.',
    workers.map(({ name: worker, concurrency }) => [{ worker }, concurrency]),
  );
  return registry.metrics();
}

/** Where nothing can be read. */
export async function describeAway(version: string): Promise<string> {
  const registry = new Registry();
  writeGauge(registry, buildInfo(version));
  writeGauge(registry, databaseUp(0));
  return registry.metrics();
}

type Described = readonly [name: string, help: string, series: Series];

const buildInfo = (version: string): Described => [
  'herald_build_info',
  'Version of the process that answers.',
  [[{ version }, 1]],
];
const databaseUp = (value: 0 | 1): Described => [
  'herald_database_up',
  'Whether the database answered; without it only the process is described.',
  [[{}, value]],
];

function writeGauge(registry: Registry, [name, help, series]: Described): void {
  const labelNames = labelsOf(series);
  if (labelNames === null) return;
  const metric = new Gauge({ name, help, labelNames, registers: [registry] });
  for (const [labels, value] of series) metric.set(labels, value);
}

function writeCounter(registry: Registry, [name, help, series]: Described): void {
  const labelNames = labelsOf(series);
  if (labelNames === null) return;
  const metric = new Counter({ name, help, labelNames, registers: [registry] });
  for (const [labels, value] of series) metric.inc(labels, value);
}

/** Null where there are no series: prom-client would write one without labels. */
function labelsOf([first]: Series): string[] | null {
  return first === undefined ? null : Object.keys(first[0]);
}

interface HistogramParts {
  readonly name: string;
  readonly help: string;
  readonly series: readonly (readonly [Labels, Samples])[];
}

/** prom-client's takes samples one by one; these are counted already, so what it is written from is replaced. */
class KeptHistogram extends Histogram {
  readonly #parts: HistogramParts;

  constructor(registry: Registry, parts: HistogramParts) {
    const { name, help } = parts;
    super({ name, help, labelNames: ['project'], registers: [registry] });
    this.#parts = parts;
  }

  /** What the registry writes. */
  async getForPromString() {
    const { name, help } = this.#parts;
    return {
      ...{ name, help, type: 'histogram' },
      values: this.#parts.series.flatMap(([labels, samples]) => {
        const counts = countsUpTo(samples, BOUNDS_MS);
        const count = countOf(samples);
        return [
          ...BOUNDS.map((le, index) => ({
            ...{ metricName: `${name}_bucket`, value: counts[index] ?? 0 },
            labels: { ...labels, le },
          })),
          { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count },
          { metricName: `${name}_sum`, labels, value: sumMsOf(samples) / 1000 },
          { metricName: `${name}_count`, labels, value: count },
        ];
      }),
    };
  }
}

function histogram(registry: Registry, parts: HistogramParts): void {
  new KeptHistogram(registry, parts);
}
