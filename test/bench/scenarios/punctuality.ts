import { setTimeout as pause } from 'node:timers/promises';
import { epochMs, setClock } from '../clock.ts';
import { createHeraldDatabase, type Herald, startHerald } from '../herald.ts';
import { payload } from '../payload.ts';
import { atMost, type Scenario } from '../scenario.ts';

const BATCH = 100;
/** Between the last call and the first due time. */
const LEAD_MS = 2000;
/** How long after the last due time one waits for stragglers. */
const PATIENCE_MS = 10_000;

export const punctualityScenario: Scenario = {
  name: 'punctuality',
  title: 'events scheduled at random moments: from the moment they are due to the receiver',
  async run({ lab, quick, say }) {
    const events = quick ? 200 : 2000;
    const spanMs = quick ? 5000 : 60_000;
    await using database = await createHeraldDatabase(lab, [{ type: 'punctual', path: 'punctual/1' }]);
    await using herald = await startHerald(lab, database, 'api,worker');
    setClock();
    // The first deliveries compile the program; what is due later should not pay for it.
    await schedule(herald, dueTimes(BATCH, epochMs() + 500, 500));
    await pause(LEAD_MS);
    await lab.receiver.take();
    const first = epochMs() + LEAD_MS;
    await schedule(herald, dueTimes(events, first, spanMs));
    await waitFor(events, first + spanMs + PATIENCE_MS, () => lab.receiver.counts());
    const { punctual } = await lab.receiver.take();
    if (punctual === undefined || punctual.count < events) {
      throw new Error(`${punctual?.count ?? 0} of ${events} came`);
    }
    const { latency, early, earliestMs } = punctual;
    say(
      `error p50 ${latency.p50.toFixed(1)}, p99 ${latency.p99.toFixed(1)}, max ${latency.max.toFixed(1)} ms; ${early} early, by ${earliestMs.toFixed(2)} ms at most`,
    );
    return {
      configuration: { events, seconds: spanMs / 1000, roles: 'api,worker', batch: BATCH },
      figures: [
        { what: 'error p50', value: latency.p50, unit: 'ms' },
        { what: 'error p99', value: latency.p99, unit: 'ms', goal: atMost(50) },
        { what: 'error max', value: latency.max, unit: 'ms' },
        {
          what: 'early by more than the clocks differ (1 ms)',
          value: earliestMs > 1 ? early : 0,
          unit: 'events',
          goal: atMost(0),
        },
      ],
      details: punctual,
    };
  },
};

/** Whole milliseconds, as the API takes them. */
function dueTimes(count: number, first: number, spanMs: number): readonly number[] {
  return Array.from({ length: count }, () => Math.ceil(first + Math.random() * spanMs));
}

/** What the receiver measures from is the due time. */
async function schedule(herald: Herald, times: readonly number[]): Promise<void> {
  for (let done = 0; done < times.length; done += BATCH) {
    const events = times.slice(done, done + BATCH).map((due, index) => ({
      type: 'punctual',
      dataText: payload(done + index, due),
      timestamp: due,
    }));
    const { queueEvents } = await herald.graphql<{ queueEvents: { userErrors: readonly unknown[] } }>(
      'mutation ($input: QueueEventsInput!) { queueEvents(input: $input) { userErrors { message } } }',
      { input: { events } },
    );
    if (queueEvents.userErrors.length > 0) throw new Error(JSON.stringify(queueEvents.userErrors));
  }
}

async function waitFor(
  events: number,
  deadline: number,
  read: () => Promise<Readonly<Record<string, number>>>,
): Promise<void> {
  while (epochMs() < deadline) {
    if (((await read()).punctual ?? 0) >= events) return;
    await pause(100);
  }
}
