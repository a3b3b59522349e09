/** The GraphQL door on a port of its own, over a real database and the real store and actions. */
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type postgres from 'postgres';
import { createBulkRunner } from '../../src/actions/bulk-runner.ts';
import { createMoves } from '../../src/actions/move-invocations.ts';
import { createQueue } from '../../src/actions/queue-event.ts';
import { createTrials } from '../../src/actions/try-trigger.ts';
import { ALL_PROJECTS_ADMIN, type Caller } from '../../src/domain/caller.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { GraphqlServices } from '../../src/graphql/services.ts';
import { createGraphql, type Graphql } from '../../src/graphql/yoga.ts';
import { listenForAnnouncements } from '../../src/store/announcements.ts';
import { type ChangeFeed, createChangeFeed } from '../../src/store/changes.ts';
import { type Database, openClient, openDatabase } from '../../src/store/database.ts';
import { createSecretBox } from '../../src/store/secrets.ts';
import { createSender } from '../../src/webhook/send.ts';
import { createTestDatabase, openSql } from '../support/database.ts';

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

export interface Door extends AsyncDisposable {
  readonly url: string;
  readonly webSocketUrl: string;
  readonly db: Database;
  /** The test's own way into the same database. */
  readonly sql: postgres.Sql;
  readonly services: GraphqlServices;
  readonly graphql: Graphql;
  readonly logged: LogLine[];
  /** The statements `work` sends to the database. */
  statementsOf(work: () => Promise<unknown>): Promise<readonly string[]>;
  /** How many subscriptions the feed is serving. */
  watching(): number;
  close(): Promise<void>;
}

const EGRESS = { mode: 'private', allowCidrs: [] } as const;

export const TOKEN = 'test-token';
export const AUTHORIZED = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };

export interface DoorOptions {
  /** Callers by token, beside the admin's. */
  readonly callers?: Readonly<Record<string, Caller>>;
  readonly maxBodyBytes?: number;
  /** In place of the real ones, for faults. */
  readonly services?: Partial<GraphqlServices>;
}

export async function openDoor(options: DoorOptions = {}): Promise<Door> {
  const { url, ...address } = await createTestDatabase();
  const sql = openSql({ url, ...address }, {}, 4);
  const db = openDatabase(address, { name: 'graphql test', max: 8 });
  const listener: postgres.Sql = openClient(address, { name: 'graphql test listener', max: 1 });
  const feed = counted(createChangeFeed(db, await listenForAnnouncements(listener)));
  const logged: LogLine[] = [];
  const bulk = createBulkRunner(db, () => {});
  const secrets = createSecretBox([randomBytes(32)]);
  const sender = createSender({ policy: EGRESS });
  const services: GraphqlServices = {
    db,
    feed: feed.feed,
    queue: createQueue(db),
    triggers: {
      db,
      secrets,
      egress: EGRESS,
      moves: createMoves(db),
    },
    trials: createTrials({ db, secrets, sender, source: 'urn:test', log: () => {} }),
    bulk,
    server: { version: '0.0.0-test', defaultSource: 'urn:test', egressPolicy: 'private', retentionDays: 30 },
    maxBodyBytes: options.maxBodyBytes ?? 1024 * 1024,
    log: (level, message, fields) => logged.push({ level, message, fields }),
    ...options.services,
  };
  const graphql = createGraphql(services);
  const callers = new Map([[TOKEN, ALL_PROJECTS_ADMIN], ...Object.entries(options.callers ?? {})]);
  const authenticate = async (token: string | null) => {
    const caller = token === null ? undefined : callers.get(token);
    if (caller === undefined) throw new AppError('UNAUTHENTICATED', 'nobody has that token');
    return caller;
  };
  const server: Server = createServer((req, res) => {
    authenticate(req.headers.authorization?.replace(/^Bearer /, '') ?? null).then(
      (caller) => graphql.handle(req, res, caller),
      () => res.writeHead(401).end(),
    );
  });
  const sockets = graphql.attach({
    server,
    authenticate,
    admit: async () => {},
    isOriginAllowed: (req) =>
      req.headers.origin === undefined || req.headers.origin === 'http://allowed.example',
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  async function close(): Promise<void> {
    feed.feed.close();
    await bulk.stop();
    await sender.close();
    await sockets.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await listener.end();
    await Promise.all([db.$client.end(), sql.end()]);
  }
  return {
    url: `http://127.0.0.1:${port}/graphql`,
    webSocketUrl: `ws://127.0.0.1:${port}/graphql`,
    db,
    sql,
    services,
    graphql,
    logged,
    watching: feed.watching,
    async statementsOf(work) {
      const statements: string[] = [];
      const { unsafe, begin } = db.$client;
      const noting = (send: typeof unsafe): typeof unsafe => {
        return (text, ...others) => {
          statements.push(text);
          return send(text, ...others);
        };
      };
      Object.assign(db.$client, {
        unsafe: noting(unsafe),
        begin: ((run) => begin((tx) => run({ ...tx, unsafe: noting(tx.unsafe) }))) satisfies typeof begin,
      });
      await work();
      Object.assign(db.$client, { unsafe, begin });
      return statements;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function counted(inner: ChangeFeed) {
  let watching = 0;
  const feed: ChangeFeed = {
    db: inner.db,
    watch(options) {
      const items = inner.watch(options);
      watching++;
      let over = false;
      const leave = () => {
        if (!over) watching--;
        over = true;
      };
      const counting: typeof items = {
        [Symbol.asyncIterator]: () => counting,
        async next() {
          const item = await items.next();
          if (item.done === true) leave();
          return item;
        },
        async return() {
          leave();
          return items.return();
        },
        peek: () => items.peek(),
        skip: (count) => items.skip(count),
      };
      return counting;
    },
    hear: (hearer) => inner.hear(hearer),
    close: () => inner.close(),
  };
  return { feed, watching: () => watching };
}
