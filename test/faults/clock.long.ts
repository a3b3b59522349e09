/** Processes whose clocks are ten minutes wrong, each in its own way, and jump (F16). The database's clock decides. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { createTrigger, TOKEN } from '../support/app.ts';
import { check, drained } from '../support/checker.ts';
import { createTestDatabase, openSql } from '../support/database.ts';
import { startFleet } from '../support/fleet.ts';
import { createClientLedger, startReceiverLedger } from '../support/ledger.ts';

const WRONG_CLOCK = `--import=${fileURLToPath(new URL('../support/clock.mjs', import.meta.url))}`;
const TEN_MINUTES_MS = 600_000;
/** Most that a due time may be missed by: generous, as the machine may have more to do. */
const LATE_MS = 2500;

test('due times hold, durations are never negative', async () => {
  const database = await createTestDatabase();
  await using sql = openSql(database);
  const wrong = (offMs: number, jumpsMs: number) => ({
    NODE_OPTIONS: WRONG_CLOCK,
    CLOCK_OFF_MS: String(offMs),
    CLOCK_JUMPS_MS: String(jumpsMs),
  });
  await using fleet = await startFleet({
    database,
    members: [
      { ...wrong(TEN_MINUTES_MS, 1500), ROLES: 'api' },
      { ...wrong(TEN_MINUTES_MS, 1100), ROLES: 'worker' },
      { ...wrong(-TEN_MINUTES_MS, 700), ROLES: 'worker' },
    ],
  });
  await using receiver = await startReceiverLedger();
  await fleet.ready();
  const timestamps: number[] = [];
  receiver.receiver.answer = ({ headers, atEpochMs }, res) => {
    timestamps.push(Number(headers['webhook-timestamp']) * 1000 - atEpochMs);
    // Every fifth is tried again, so that retries are planned too.
    res.writeHead(timestamps.length % 5 === 0 ? 500 : 200).end();
  };
  const type = 'clock';
  await createTrigger(fleet, { type, url: receiver.receiver.url, retries: 10, retrySchedule: [1] });

  const clients = createClientLedger();
  const dueAt = new Map<string, number>();
  const [url = ''] = fleet.urls();
  for (let n = 0; n < 200; n++) {
    const data = `clock-${n}`;
    const due = Date.now() + 500 + n * 25;
    const response = await fetch(`${url}/queue`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      // By time of day, and by delay.
      body: JSON.stringify({
        type,
        data,
        ...(n % 2 === 0 ? { timestamp: due } : { delay: (due - Date.now()) / 1000 }),
      }),
    });
    const { id } = (await response.json()) as { id: string };
    clients.note(data, id);
    dueAt.set(data, due);
  }
  await drained(sql, 40_000);
  // The clocks were wrong indeed.
  expect(Math.max(...timestamps)).toBeGreaterThan(TEN_MINUTES_MS - 10_000);
  expect(Math.min(...timestamps)).toBeLessThan(10_000 - TEN_MINUTES_MS);
  const firstAt = new Map<string, number>();
  for (const { delivery } of receiver.answered) {
    const { data } = JSON.parse(delivery.text) as { data: string };
    if (!firstAt.has(data)) firstAt.set(data, delivery.atEpochMs);
  }
  const errors = [...dueAt].map(([key, due]) => (firstAt.get(key) ?? Number.POSITIVE_INFINITY) - due);
  expect(Math.min(...errors)).toBeGreaterThanOrEqual(-2);
  expect(Math.max(...errors)).toBeLessThan(LATE_MS);
  await check({ clients, receiver, sql, duplicatesMax: 0 });
  const [row] = await sql`
    select min(total_ms) as shortest, max(abs(extract(epoch from now() - started_at))) as oldest from herald.attempts`;
  expect(Number(row?.shortest)).toBeGreaterThanOrEqual(0);
  expect(Number(row?.oldest)).toBeLessThan(300);
}, 120_000);
