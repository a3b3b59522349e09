import { Client } from 'undici';
import {
  Connecting,
  type ConnectSettings,
  type ConnectTrace,
  type SessionHolder,
  type Target,
} from './connect.ts';
import { InterimFilter } from './interim.ts';

/** A connection, or the place for one: one undici client, which holds at most one socket, used by one request at a time. */
export interface Lane {
  readonly client: Client;
  readonly route: Route;
  user: LaneUser | null;
  /** Responses read to their end on the present socket; above 0, the receiver may be just closing it. */
  served: number;
  remoteAddress: string | null;
  /** Of the present socket. */
  interim: InterimFilter | null;
  connecting: Connecting | null;
  gone: boolean;
}

/** A request that wants a lane. What a new connection costs is written into the request it is made for. */
export interface LaneUser extends ConnectTrace {
  /** The lane is yours until you release or discard it. */
  board(lane: Lane): void;
  /** The first byte of an answer, be it an interim one. */
  onResponseStarted(): void;
}

/** All lanes to one origin, and who waits for one. Exists as long as there are any. */
interface Route extends SessionHolder {
  readonly target: Target;
  readonly idle: Lane[];
  readonly waiting: Set<LaneUser>;
  size: number;
}

/**
 * The connections to all receivers. undici's own Pool would do, but it scans its connections for each request, cannot
 * cancel a request that waits, and cannot tell which request a connection was opened for; one request to one client
 * can. Nothing is kept for an origin once its last socket closed.
 */
export class Lanes {
  readonly #settings: ConnectSettings;
  readonly #connectionsPerOrigin: number;
  readonly #routes = new Map<string, Route>();
  #idle = 0;
  #open = 0;
  #closed: PromiseWithResolvers<void> | null = null;

  constructor(settings: ConnectSettings, connectionsPerOrigin: number) {
    this.#settings = settings;
    this.#connectionsPerOrigin = connectionsPerOrigin;
  }

  get closed(): boolean {
    return this.#closed !== null;
  }

  /** What is held at the moment; all 0 some seconds after the last request. */
  get stats(): { readonly origins: number; readonly open: number; readonly idle: number } {
    return { origins: this.#routes.size, open: this.#open, idle: this.#idle };
  }

  /** Boards the user at once, or when a lane becomes free. */
  enter(target: Target, user: LaneUser): void {
    let route = this.#routes.get(target.origin);
    if (route === undefined) {
      route = { target, idle: [], waiting: new Set(), size: 0, session: undefined };
      this.#routes.set(target.origin, route);
    }
    const lane = route.idle.pop(); // the freshest: the others run into their keep-alive timeout
    if (lane !== undefined) {
      this.#idle--;
      this.#board(lane, user);
    } else if (route.size < this.#connectionsPerOrigin) {
      this.#board(this.#build(route), user);
    } else {
      route.waiting.add(user);
    }
  }

  /** Gives up waiting. */
  leave(target: Target, user: LaneUser): void {
    this.#routes.get(target.origin)?.waiting.delete(user);
  }

  /** The response was read to its end: the lane goes to the next in line, or waits for one. */
  release(lane: Lane): void {
    const { route } = lane;
    lane.user = null;
    lane.served++;
    const next = takeFirst(route.waiting);
    if (next !== null) this.#board(lane, next);
    else if (this.closed || this.#idle >= MAX_IDLE_CONNECTIONS) this.discard(lane);
    else {
      this.#idle++;
      route.idle.push(lane);
    }
  }

  /** Closes the lane's connection, in whatever state it is. */
  discard(lane: Lane): void {
    const { route } = lane;
    if (lane.gone) return;
    lane.gone = true;
    lane.user = null;
    lane.connecting?.cancel();
    const position = route.idle.indexOf(lane);
    if (position >= 0) {
      route.idle.splice(position, 1);
      this.#idle--;
    }
    lane.client.destroy(null, () => {
      this.#open--;
      if (this.#open === 0) this.#closed?.resolve();
    });
    route.size--;
    const next = takeFirst(route.waiting);
    if (next !== null) this.#board(this.#build(route), next);
    else if (route.size === 0) this.#routes.delete(route.target.origin);
  }

  /** Resolves when the requests under way have ended, each by its own deadline, and all sockets are closed. */
  close(): Promise<void> {
    if (this.#closed === null) {
      this.#closed = Promise.withResolvers();
      for (const route of [...this.#routes.values()]) {
        for (const lane of [...route.idle]) this.discard(lane);
      }
      if (this.#open === 0) this.#closed.resolve();
    }
    return this.#closed.promise;
  }

  #board(lane: Lane, user: LaneUser): void {
    lane.user = user;
    lane.interim?.expectHead();
    user.board(lane);
  }

  #build(route: Route): Lane {
    const client = new Client(route.target.origin, {
      ...CLIENT_OPTIONS,
      connect: (_options, callback) => {
        const { user } = lane;
        if (user === null) return callback(new Error('nobody asked for this connection'), null);
        lane.connecting = new Connecting(
          route.target,
          user,
          this.#settings,
          route,
          (error, socket, address) => {
            lane.connecting = null;
            lane.served = 0;
            lane.remoteAddress = address;
            if (socket === null) return callback(error ?? new Error('no socket'), null);
            lane.interim = new InterimFilter(socket, () => lane.user?.onResponseStarted());
            callback(null, socket);
          },
        );
      },
    });
    const lane: Lane = {
      client,
      route,
      user: null,
      served: 0,
      remoteAddress: null,
      interim: null,
      connecting: null,
      gone: false,
    };
    client.on('disconnect', () => {
      lane.served = 0;
      if (lane.user === null) this.discard(lane);
    });
    route.size++;
    this.#open++;
    return lane;
  }
}

/** Over all origins; each also closes after KEEP_ALIVE_MS, so this bounds sockets when very many origins are called. */
const MAX_IDLE_CONNECTIONS = 1024;

/** How long an unused connection stays open, in ms: below the 5 s after which Node's own servers hang up. */
const KEEP_ALIVE_MS = 4_000;

const CLIENT_OPTIONS = {
  pipelining: 1,
  allowH2: false,
  useMilo: false, // else an environment variable would choose the parser
  maxHeaderSize: 16 * 1024,
  keepAliveTimeout: KEEP_ALIVE_MS,
  keepAliveMaxTimeout: KEEP_ALIVE_MS,
  // Idle timers, which a dripping receiver outlives: the attempt's own deadline rules.
  headersTimeout: 0,
  bodyTimeout: 0,
} satisfies Client.Options;

function takeFirst<T>(set: Set<T>): T | null {
  for (const first of set) {
    set.delete(first);
    return first;
  }
  return null;
}
