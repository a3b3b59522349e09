/** The wiring of a worker, in whichever thread: what delivers, and all that it opens for itself. */
import { createBulkRunner } from './actions/bulk-runner.ts';
import { createDeliver } from './actions/deliver-invocation.ts';
import { createMoves } from './actions/move-invocations.ts';
import { pauseFailing } from './actions/pause-failing.ts';
import type { Config } from './config.ts';
import { endChore, within } from './deadline.ts';
import type { Log } from './log.ts';
import type { Opened } from './opening.ts';
import { openSender } from './sending.ts';
import type { Announcements } from './store/announcements.ts';
import { BATCH_SETTINGS, type DatabaseAddress, openDatabase } from './store/database.ts';
import type { SecretBox } from './store/secrets.ts';
import { every } from './worker/chores.ts';
import { startWorker } from './worker/runner.ts';

export interface DeliveringParts {
  readonly config: Config;
  readonly log: Log;
  /** Takes what has to be closed. */
  readonly opened: Opened;
  readonly address: DatabaseAddress;
  readonly announcements: Announcements;
  readonly secrets: SecretBox;
}

/** Connections of the pool: statements are shared by many deliveries, so a few are plenty on any machine. */
const CONNECTIONS = 6;
/** How often bulk operations are looked for that nobody works on, in ms. */
const ADOPT_INTERVAL_MS = 20_000;
/** How often triggers are looked for whose every attempt has failed for too long, in ms, while attempts fail here. */
const PAUSE_FAILING_INTERVAL_MS = 15_000;
/** So many looks after the latest failure: by the last one it has been counted. */
const LOOKS = 2;

/** Errors: where the database is away; StartupError where EGRESS_CA_FILE cannot be used. */
export async function startDelivering(parts: DeliveringParts): Promise<void> {
  const { config, log, opened, address, announcements, secrets } = parts;
  const db = openDatabase(address, { name: 'herald worker', max: CONNECTIONS, settings: BATCH_SETTINGS });
  opened.push({ what: 'worker database', close: () => db.$client.end({ timeout: 5 }) });
  const { concurrency, retentionDays, shutdownSeconds } = config;
  // When it is closed nothing is in flight any more, unless the worker was given up on: that ends with the process.
  const sender = await openSender(config, opened, concurrency);
  let looksLeft = 0;
  const onFailure = () => {
    looksLeft = LOOKS;
  };
  const deliver = createDeliver({ db, secrets, sender, log, concurrency, onFailure });
  const bulk = createBulkRunner(db, log);
  const adopting = every(ADOPT_INTERVAL_MS, log, () => bulk.adopt());
  const stopBulk = () => Promise.all([adopting.stop(), bulk.stop()]);
  opened.push({
    what: 'bulk operations',
    close: () => endChore(stopBulk()),
  });
  const failing = { db, moves: createMoves(db), log, afterHours: config.pauseFailingAfterHours };
  const pausing = every(PAUSE_FAILING_INTERVAL_MS, log, async () => {
    if (looksLeft-- > 0) await pauseFailing(failing);
  });
  opened.push({ what: 'pausing', close: () => endChore(pausing.stop()) });
  const worker = await startWorker({ address, db, announcements, deliver, log, concurrency, retentionDays });
  const late = `still busy after ${shutdownSeconds} s; its jobs are taken over`;
  opened.push({ what: 'worker', close: () => within(shutdownSeconds * 1000, worker.stop(), late) });
}
