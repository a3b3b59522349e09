/** A day's statistics, as the worker would have folded them, for pictures of a Herald that has been running for a day. */
import type { Sql } from 'postgres';
import { formatHistogram, histogramOf } from '../../src/domain/histogram.ts';
import { spanOf } from '../../src/domain/stats.ts';

const GRAIN_MINUTES = 15;
const SPANS_A_DAY = 96;

/** `share` of the day's traffic and its failures, by trigger. */
export async function giveHistory(
  sql: Sql,
  triggers: readonly { readonly id: string; readonly share: number; readonly fails: number }[],
): Promise<void> {
  const last = spanOf(Date.now(), GRAIN_MINUTES);
  for (let back = 1; back < SPANS_A_DAY; back++) {
    const start = new Date(last - back * GRAIN_MINUTES * 60_000);
    const traffic = trafficAt(back);
    // An outage of an hour in the afternoon.
    const outage = back > 14 && back < 19 ? 0.35 : 0;
    const rows = triggers.map(({ id, share, fails }) => ({
      scope: `trigger/${id}`,
      ...numbers(Math.round(traffic * share), Math.min(0.9, fails + outage), slownessAt(back)),
    }));
    const all = numbers(Math.round(traffic), 0.012 + outage, slownessAt(back));
    for (const row of [{ scope: '', ...all }, ...rows]) {
      await sql`insert into herald.stats ${sql({ grain: GRAIN_MINUTES, start, ...row })} on conflict do nothing`;
    }
  }
}

/** Events in a span: more by day than by night, never twice the same. */
function trafficAt(back: number): number {
  return 220 + 150 * Math.sin(back / 14 + 1.2) + ((back * 37) % 31) * 2;
}

/** Receivers are slower while there is much to do, and slowest around the outage. */
function slownessAt(back: number): number {
  return (trafficAt(back) / 300) * (1 + ((back * 53) % 17) / 40) * (back > 13 && back < 20 ? 2.6 : 1);
}

function numbers(events: number, failing: number, slowness: number) {
  const failedAttempts = Math.round(events * failing);
  const samples = Array.from(
    { length: 60 },
    (_, index) => slowness * (6 + index ** 2 / 20) + (index > 57 ? 900 : 0),
  );
  return {
    events,
    attempts: events + failedAttempts,
    attempts_failed: failedAttempts,
    retries: failedAttempts,
    succeeded: events - Math.round(failedAttempts / 8),
    failed: Math.round(failedAttempts / 8),
    durations: formatHistogram(histogramOf(samples)),
    latencies: formatHistogram(histogramOf(samples.map((ms) => ms * 1.3 + 5))),
  };
}
