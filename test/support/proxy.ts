/**
 * A TCP proxy in front of Postgres that can misbehave: late, slow, cut, half-open, deaf, without notifications; and
 * that can stop the world at a chosen message, so that a test can kill a process exactly there.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import {
  createFramer,
  endsRound,
  isCommandComplete,
  isIdle,
  isNotification,
  isReady,
  type Message,
  startupParameter,
} from './wire.ts';

export interface PostgresProxy extends AsyncDisposable {
  readonly port: number;
  /** Milliseconds that every chunk is late, in both directions. */
  latencyMs: number;
  /** Most bytes a second and direction; null for as many as come. */
  bytesPerSecond: number | null;
  /** REFUSING: new connections are reset. SILENT: nothing passes on any connection, old or new, and none is closed. */
  mode: 'OPEN' | 'REFUSING' | 'SILENT';
  /** Notifications (NOTIFY) are swallowed. */
  losesNotifications: boolean;
  /** Resets the connections there are, or those of one application. */
  cut(application?: string): number;
  /** From now on nothing passes on the connections there are, and neither side hears of it: half-open TCP. */
  silence(application?: string): number;
  /** Open connections of an application. */
  count(application?: string): number;
  /** Stops the first connection whose client sends `text`, at that moment of the statement's life. */
  hold(text: string, moment: Moment): Promise<Held>;
}

/** REQUEST: the server has not seen it. EXECUTED: not committed yet. COMMITTED: the client has not heard of it. */
export type Moment = 'REQUEST' | 'EXECUTED' | 'COMMITTED';

/** A connection that stands still. */
export interface Held {
  /** Goes on where it stood, if both sides still live. */
  release(): void;
}

interface Link {
  readonly application: () => string;
  silent: boolean;
  cut(): void;
}

interface Rule {
  readonly text: string;
  readonly moment: Moment;
  readonly held: (held: Held) => void;
}

export async function startProxy(upstream: {
  readonly host: string;
  readonly port: number;
}): Promise<PostgresProxy> {
  const links = new Set<Link>();
  const rules = new Set<Rule>();
  const of = (application?: string) =>
    [...links].filter((link) => application === undefined || link.application() === application);
  const server = createServer((client) => {
    if (proxy.mode === 'REFUSING') client.resetAndDestroy();
    else open(client);
  });

  function open(client: Socket): void {
    const database = connect({ path: join(upstream.host, `.s.PGSQL.${upstream.port}`) });
    let application = '';
    /** The rule that this connection has run into and whose moment has not come yet, and the number of its round. */
    let watched: { readonly rule: Rule; readonly round: number } | null = null;
    // Clients send the next statement before the last one was answered: rounds tell which answer is whose.
    let roundsAsked = 0;
    let roundsAnswered = -1; // the greeting answers nobody
    const link: Link = {
      application: () => application,
      silent: false,
      cut() {
        links.delete(link);
        client.resetAndDestroy();
        database.destroy();
      },
    };
    links.add(link);
    const isSilent = () => link.silent || proxy.mode === 'SILENT';
    const toDatabase = createLane(client, database, proxy, isSilent);
    const toClient = createLane(database, client, proxy, isSilent);

    const asked = createFramer('client');
    client.on('data', (chunk) => {
      for (const message of asked.push(chunk)) {
        if (message.type === '') application = startupParameter(message, 'application_name');
        for (const rule of rules) {
          if (!message.bytes.includes(rule.text)) continue;
          rules.delete(rule);
          if (rule.moment === 'REQUEST') rule.held(toDatabase.hold());
          else watched = { rule, round: roundsAsked };
        }
        if (endsRound(message)) roundsAsked++;
        toDatabase.send(message.bytes);
      }
    });
    const answered = createFramer('server');
    database.on('data', (chunk) => {
      for (const message of answered.push(chunk)) {
        if (watched !== null && roundsAnswered >= watched.round && hasCome(watched.rule.moment, message)) {
          watched.rule.held(toClient.hold());
          watched = null;
        }
        if (isReady(message)) roundsAnswered++;
        if (!(proxy.losesNotifications && isNotification(message))) toClient.send(message.bytes);
      }
    });
    for (const side of [client, database]) {
      side.on('error', () => {});
      // Of a silent connection neither side hears anything, its end included.
      side.on('close', () => {
        if (!isSilent()) link.cut();
      });
    }
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: PostgresProxy = {
    port: (server.address() as AddressInfo).port,
    latencyMs: 0,
    bytesPerSecond: null,
    mode: 'OPEN',
    losesNotifications: false,
    cut: (application) => of(application).map((link) => link.cut()).length,
    silence(application) {
      const chosen = of(application);
      for (const link of chosen) link.silent = true;
      return chosen.length;
    },
    count: (application) => of(application).length,
    hold: (text, moment) => new Promise((held) => rules.add({ text, moment, held })),
    async [Symbol.asyncDispose]() {
      for (const link of links) link.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

const hasCome = (moment: Moment, message: Message): boolean =>
  moment === 'EXECUTED' ? isCommandComplete(message) : isIdle(message);

interface Lane {
  send(bytes: Buffer): void;
  hold(): Held;
}

/** Unsent bytes of a lane above which its source is paused. */
const MAX_UNSENT_BYTES = 1024 * 1024;

/** One direction of a connection: keeps the order, whatever the delay. */
function createLane(source: Socket, target: Socket, toxics: PostgresProxy, isSilent: () => boolean): Lane {
  const unsent: { readonly bytes: Buffer; readonly dueAt: number }[] = [];
  let unsentBytes = 0;
  let held = false;
  let timer: NodeJS.Timeout | null = null;
  let freeAt = 0;

  function flush(): void {
    timer = null;
    for (let first = unsent[0]; first !== undefined && !held; first = unsent[0]) {
      const waitMs = first.dueAt - performance.now();
      if (waitMs > 0) {
        timer = setTimeout(flush, waitMs);
        return;
      }
      unsent.shift();
      unsentBytes -= first.bytes.length;
      if (!isSilent() && target.writable) target.write(first.bytes);
    }
    if (unsentBytes < MAX_UNSENT_BYTES) source.resume();
  }

  return {
    send(bytes) {
      const { latencyMs, bytesPerSecond } = toxics;
      const now = performance.now();
      freeAt = Math.max(freeAt, now) + (bytesPerSecond === null ? 0 : (bytes.length / bytesPerSecond) * 1000);
      unsent.push({ bytes, dueAt: freeAt > now ? freeAt + latencyMs : now + latencyMs });
      unsentBytes += bytes.length;
      if (unsentBytes >= MAX_UNSENT_BYTES) source.pause();
      if (timer === null) flush();
    },
    hold() {
      held = true;
      return {
        release() {
          held = false;
          if (timer === null) flush();
        },
      };
    },
  };
}
