/** A pool of connections to Postgres, in the shape that drizzle expects of postgres.js. */
import type postgres from 'postgres';
import {
  type ConnectionHooks,
  connectionError,
  createPoolConnection,
  type PoolConnection,
} from './pool-connection.ts';
import { createStatement, type Statements } from './pool-statement.ts';
import { runTransaction, type TransactionStatements } from './pool-transaction.ts';

export interface Pool extends Statements {
  /** Runs `work` in a transaction, which commits when it resolves. Never runs a statement of it on another connection. */
  begin<T>(work: (transaction: TransactionStatements) => Promise<T>): Promise<T>;
  /** Lets what is under way end, for `timeout` seconds at most (by default as long as it takes), and closes. */
  end(options?: { readonly timeout?: number }): Promise<void>;
  /** How types are read and written; drizzle sets its own. */
  readonly options: TypeMappings;
}

export interface TypeMappings {
  readonly parsers: Record<string, (value: string) => unknown>;
  readonly serializers: Record<string, (value: unknown) => unknown>;
}

export interface PoolSettings {
  /** Most connections. */
  readonly max: number;
  /** A connection that is this old, in ms, is closed once nothing is under way on it. */
  readonly lifetimeMs: number;
  /** A client of one connection; it waits for `delay` milliseconds before it dials. */
  readonly open: (hooks: ConnectionHooks, delay: () => number) => postgres.Sql;
}

interface Member {
  readonly connection: PoolConnection;
  readonly retireAt: number;
  /** A transaction has it for itself. */
  exclusive: boolean;
}

interface Waiting {
  readonly exclusive: boolean;
  readonly resolve: (member: Member) => void;
  readonly reject: (error: Error) => void;
}

/** Most statements under way on a connection: they are sent without waiting for each other's answers. */
const MAX_PIPELINE = 100;
/** Where a connection could not be had, the next try comes this much later, twice as much each time up to the most. */
const BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 1000;

export function createPool({ max, lifetimeMs, open }: PoolSettings): Pool {
  const members = new Set<Member>();
  let waiting: Waiting[] = [];
  let failures = 0;
  let dialAt = 0;
  let ending = false;
  let whenIdle: (() => void) | null = null;
  const options: TypeMappings = { parsers: {}, serializers: {} };

  function add(): Member {
    const connection = createPoolConnection(
      (hooks) => {
        const client = open(hooks, () => dialAt - performance.now());
        Object.assign(client.options.parsers, options.parsers);
        Object.assign(client.options.serializers, options.serializers);
        return client;
      },
      () => {
        members.delete(member);
        failures = connection.hasAnswered() ? 0 : failures + 1;
        const pauseMs = failures === 0 ? 0 : Math.min(BACKOFF_MS * 2 ** (failures - 1), MAX_BACKOFF_MS);
        dialAt = performance.now() + pauseMs;
        handOut();
      },
    );
    const member = { connection, retireAt: performance.now() + lifetimeMs, exclusive: false };
    members.add(member);
    return member;
  }

  /** An idle connection, else a new one, else the one with the least to do; null where all are taken. */
  function choose(): Member | null {
    let best: Member | null = null;
    for (const member of members) {
      if (member.exclusive) continue;
      if (member.connection.pending() === 0) return member;
      if (best === null || member.connection.pending() < best.connection.pending()) best = member;
    }
    if (members.size < max) return add();
    return best !== null && best.connection.pending() < MAX_PIPELINE ? best : null;
  }

  function take(exclusive: boolean): Member | Promise<Member> {
    if (ending) throw connectionError('CONNECTION_ENDED');
    const member = waiting.length === 0 ? choose() : null;
    if (member === null) {
      return new Promise((resolve, reject) => waiting.push({ exclusive, resolve, reject }));
    }
    member.exclusive = exclusive;
    return member;
  }

  function handOut(): void {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const member = choose();
      if (member === null) return;
      waiting.shift();
      member.exclusive = first.exclusive;
      first.resolve(member);
    }
    if (whenIdle !== null && [...members].every(isIdle)) whenIdle();
  }

  function giveBack(member: Member): void {
    if (isIdle(member) && performance.now() > member.retireAt) {
      members.delete(member);
      void member.connection.close();
    }
    if (waiting.length > 0 || whenIdle !== null) handOut();
  }

  async function run<T>(ask: (client: postgres.Sql) => PromiseLike<T>): Promise<T> {
    const taken = take(false);
    const member = taken instanceof Promise ? await taken : taken;
    try {
      return await member.connection.run(ask);
    } finally {
      giveBack(member);
    }
  }

  return {
    options,
    unsafe: (text, parameters, settings) => createStatement(run, text, parameters, settings),
    async begin(work) {
      const member = await take(true);
      try {
        return await runTransaction(member.connection, work);
      } finally {
        member.exclusive = false;
        giveBack(member);
      }
    },
    async end({ timeout } = {}) {
      ending = true;
      const idle = Promise.withResolvers<void>();
      whenIdle = idle.resolve;
      handOut();
      const timer = timeout === undefined ? undefined : setTimeout(idle.resolve, timeout * 1000);
      await idle.promise;
      clearTimeout(timer);
      for (const { reject } of waiting) reject(connectionError('CONNECTION_DESTROYED'));
      waiting = [];
      await Promise.all([...members].map(({ connection }) => connection.close()));
    },
  };
}

const isIdle = ({ exclusive, connection }: Member): boolean => !exclusive && connection.pending() === 0;
