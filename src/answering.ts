/** The wiring of the API: who may call, what answers, and where; without the role, what tells whether it is well. */
import { openAccess } from './access.ts';
import { createBulkRunner } from './actions/bulk-runner.ts';
import { createMoves } from './actions/move-invocations.ts';
import { createQueue } from './actions/queue-event.ts';
import { createTrials, MAX_TESTS } from './actions/try-trigger.ts';
import type { Config } from './config.ts';
import { endChore } from './deadline.ts';
import { describeEgress } from './domain/address.ts';
import { createGraphiqlPage } from './graphql/graphiql.ts';
import { createGraphql } from './graphql/yoga.ts';
import { createConsole } from './http/console.ts';
import { createMetrics } from './http/metrics.ts';
import type { Doors } from './http/routes.ts';
import { type HttpServer, startServer } from './http/server.ts';
import { createAwaitAnswer } from './http/synchronous.ts';
import type { Log } from './log.ts';
import type { Opened } from './opening.ts';
import { openSender } from './sending.ts';
import type { ChangeFeed } from './store/changes.ts';
import { type openClient, type openDatabase, ping } from './store/database.ts';
import type { Installation } from './store/installation.ts';
import { readMetrics } from './store/metrics.ts';
import type { SecretBox } from './store/secrets.ts';
import { VERSION } from './version.ts';

export interface AnsweringParts {
  readonly config: Config;
  readonly log: Log;
  /** Takes what has to be closed. */
  readonly opened: Opened;
  readonly db: ReturnType<typeof openDatabase>;
  readonly feed: ChangeFeed;
  readonly secrets: SecretBox;
  readonly installation: Installation;
  readonly adminToken: string | null;
  readonly listener: ReturnType<typeof openClient>;
}

export interface Answering {
  readonly http: HttpServer;
  /** Sends subscribers away. */
  hangUp(): Promise<void>;
}

/** Errors: StartupError where the port is taken or EGRESS_CA_FILE cannot be used; where the database is away. */
export async function startAnswering(parts: AnsweringParts): Promise<Answering> {
  const { config, log, opened, db, feed, secrets, installation } = parts;
  const { authenticate, admit, origins } = await openAccess(parts);
  const queue = createQueue(db);
  const bulk = createBulkRunner(db, log);
  opened.push({ what: 'bulk operations', close: () => endChore(bulk.stop()) });
  const sender = await openSender(config, opened, MAX_TESTS);
  const graphql = createGraphql({
    db,
    feed,
    queue,
    triggers: { db, secrets, egress: config.egress, moves: createMoves(db) },
    trials: createTrials({ db, secrets, sender, source: installation.source, log }),
    bulk,
    server: {
      version: VERSION,
      defaultSource: installation.source,
      egressPolicy: describeEgress(config.egress),
      retentionDays: config.retentionDays,
    },
    maxBodyBytes: config.maxBodyBytes,
    log,
  });
  const doors: Doors = {
    graphql: (req, res, caller) => graphql.handle(req, res, caller),
    graphiql: createGraphiqlPage().handle,
    console: createConsole(),
    queue: { queue, awaitAnswer: createAwaitAnswer(db, feed), maxBodyBytes: config.maxBodyBytes },
  };
  const http = await startServer({
    host: config.host,
    port: config.port,
    maxConnections: config.access.maxConnections,
    authenticate,
    origins,
    doors: config.roles.has('api') ? doors : null,
    metrics: createMetrics({ version: VERSION, read: () => readMetrics(db) }),
    checkDatabase: () => ping(db),
    log,
  });
  opened.push({ what: 'HTTP server', close: () => http.close() });
  if (!config.roles.has('api')) return { http, hangUp: async () => {} };
  const sockets = graphql.attach({
    server: http.server,
    authenticate,
    admit,
    isOriginAllowed: (req) => origins.allows(req),
  });
  opened.push({ what: 'WebSockets', close: () => sockets.close() });
  return {
    http,
    async hangUp() {
      graphql.hangUp();
      await sockets.close();
    },
  };
}
