/** The wiring, the only place that knows every room. `startApp(config)` is what main, tests and embedders call. */
import { setTimeout as pause } from 'node:timers/promises';
import { startAnswering } from './answering.ts';
import type { Config } from './config.ts';
import { readAdminToken } from './data-dir.ts';
import { within } from './deadline.ts';
import type { DeliveryThread } from './delivery-thread.ts';
import { StartupError } from './domain/errors.ts';
import type { Log } from './log.ts';
import { closeAll, type Opened, openPostgres, openSecrets } from './opening.ts';
import { listenForAnnouncements } from './store/announcements.ts';
import { createChangeFeed } from './store/changes.ts';
import { BATCH_SETTINGS, openClient, openDatabase } from './store/database.ts';
import { describeError, isPassing, rootOf, sqlState } from './store/database-errors.ts';
import { readInstallation } from './store/installation.ts';
import { migrate } from './store/migrate.ts';
import { FOLD_INTERVAL_MS, foldTallies } from './store/stats-fold.ts';
import { every } from './worker/chores.ts';

export interface App {
  /** `http://127.0.0.1:4000`. */
  readonly url: string;
  /** Null with AUTH=off. */
  readonly adminToken: string | null;
  /** Where the database is, for people: a directory or a server. */
  readonly databaseAt: string;
  /** Resolves, with the reason, when the app cannot go on: its embedded server or its delivery thread has ended by itself. */
  readonly broken: Promise<string>;
  /**
   * Goes on for `shutdownGraceSeconds`, no longer ready; then lets what is under way end, for `shutdownSeconds` at most,
   * and stops everything it started.
   */
  close(): Promise<void>;
}

/** Connections of the pool: statements are shared by many callers, so a few are plenty on any machine. */
const API_CONNECTIONS = 10;
/** Those of the live feed, which reads in batches. */
const FEED_CONNECTIONS = 4;

/** A database that is there but starting, or that goes away while we start, is waited for this long, in ms. */
const DATABASE_WAIT_MS = 20_000;
const RESTART_PAUSE_MS = 250;

/**
 * Starts what the configuration says; what delivers, in `delivery`, or in this thread where that is null. `signal` ends
 * what it has to wait for.
 * Errors: StartupError, AbortError; whatever was started before it is stopped again.
 */
export async function startApp(
  config: Config,
  log: Log,
  delivery: DeliveryThread | null = null,
  signal?: AbortSignal,
): Promise<App> {
  try {
    return await startPatiently({ config, log, delivery, signal });
  } catch (error) {
    await delivery?.stop();
    throw error;
  }
}

interface StartParts {
  readonly config: Config;
  readonly log: Log;
  readonly delivery: DeliveryThread | null;
  readonly signal: AbortSignal | undefined;
}

async function startPatiently(parts: StartParts): Promise<App> {
  const { config, log, signal } = parts;
  const giveUpAt = performance.now() + DATABASE_WAIT_MS;
  for (;;) {
    const opened: Opened = [];
    try {
      return await start(parts, opened);
    } catch (error) {
      await closeAll(opened, log);
      if (!isPassing(error)) throw error;
      if (performance.now() > giveUpAt) throw unreachable(config, error);
      log('warn', 'the database is not available yet', { error: describeError(error) });
      await pause(RESTART_PAUSE_MS, undefined, { signal });
    }
  }
}

async function start({ config, log, delivery, signal }: StartParts, opened: Opened): Promise<App> {
  const adminToken =
    config.auth === 'off' ? null : (config.adminToken ?? (await readAdminToken(config.dataDir)));
  const secrets = await openSecrets(config);

  const database = await openPostgres(config, log, opened);
  const { address } = database;
  const onWait = () =>
    log('warn', 'an upgrade of the database waits for a table that a transaction holds; it tries again');
  await migrate(address, { onWait, signal }).catch((error: unknown) => {
    throw unreachable(config, error);
  });

  const db = openDatabase(address, {
    name: 'herald api',
    max: API_CONNECTIONS,
    // For tables as large as they are now: a plan made while they were empty would read them whole until they are analyzed.
    settings: { plan_cache_mode: 'force_custom_plan' },
  });
  opened.push({ what: 'database', close: () => db.$client.end({ timeout: 5 }) });
  const installation = await readInstallation(db, secrets, config.eventSource).catch((error: unknown) => {
    if (!(error instanceof StartupError)) throw error;
    throw new StartupError(`${error.message} The database is ${database.at}.`, { cause: error });
  });
  const listener = openClient(address, { name: 'herald listen', max: 1 });
  opened.push({ what: 'listener', close: () => listener.end({ timeout: 1 }) });
  const announcements = await listenForAnnouncements(listener);
  const feedDb = openDatabase(address, {
    name: 'herald feed',
    max: FEED_CONNECTIONS,
    settings: BATCH_SETTINGS,
  });
  opened.push({ what: 'database of the feed', close: () => feedDb.$client.end({ timeout: 5 }) });
  const feed = createChangeFeed(feedDb, announcements);
  opened.push({ what: 'feed', close: () => feed.close() });

  // The API opens first and closes last: a port that is taken stops nothing half-way, and health checks are answered
  // until the last attempt in flight has ended.
  const { http, hangUp } = await startAnswering({
    config,
    log,
    opened,
    db,
    feed,
    secrets,
    installation,
    adminToken,
    listener,
  });
  if (config.roles.has('worker') && delivery !== null) {
    await delivery.start({ config, address });
    opened.push({ what: 'delivery', close: () => delivery.stop() });
  } else if (config.roles.has('worker')) {
    const { startDelivering } = await import('./delivering.ts');
    await startDelivering({ config, log, opened, address, announcements, secrets });
  } else {
    // Or statistics would grow slower with every event while no worker is there to fold them.
    const folding = every(FOLD_INTERVAL_MS, log, () => foldTallies(db));
    opened.push({ what: 'statistics', close: () => folding.stop() });
  }

  const broken = Promise.race([database.broken, ...(delivery === null ? [] : [delivery.broken])]);
  return {
    url: http.url,
    adminToken,
    databaseAt: database.at,
    broken,
    async close() {
      http.leave();
      // Where it is broken there is nothing left to be gracious with.
      await within(config.shutdownGraceSeconds * 1000, broken, 'the grace is over').catch(() => {});
      http.drain();
      // First, so that subscribers go elsewhere instead of hearing that there is no more to come.
      await hangUp();
      feed.close();
      await closeAll(opened, log);
    },
  };
}

function unreachable(config: Config, error: unknown): unknown {
  if (error instanceof StartupError || config.databaseUrl === null) return error;
  const root = rootOf(error);
  // Node's message is empty where several addresses were tried.
  const reason = root instanceof Error ? root.message || (sqlState(root) ?? root.name) : root;
  return new StartupError(`Cannot use the database at DATABASE_URL: ${reason}.`, { cause: error });
}
