/**
 * `GET /metrics`: Prometheus' text format (0.0.4). What Herald does is counted in the database, so every process of an
 * installation says the same of it; what a process is like (memory, event loop, garbage collection) it says of itself.
 */
import type { ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { type Caller, mayCaller } from '../domain/caller.ts';
import { AppError } from '../domain/errors.ts';
import type { MetricsSnapshot } from '../store/metrics.ts';

export interface MetricsOptions {
  readonly version: string;
  readonly read: () => Promise<MetricsSnapshot>;
}

/** Answers a caller that is known. Errors: AppError FORBIDDEN. */
export type Metrics = (res: ServerResponse, caller: Caller) => Promise<void>;

export function createMetrics({ version, read }: MetricsOptions): Metrics {
  // Who is never asked loads none of it, and measures nothing.
  let own: Registry | null = null;
  let latest: { readonly text: Promise<string>; readonly at: number } | null = null;

  async function write(): Promise<string> {
    own ??= await measureProcess();
    const { describe, describeAway } = await import('./metrics-text.ts');
    const of = await read().then(
      (snapshot) => describe(version, snapshot),
      // What the process is like is asked for most when the database is away.
      () => describeAway(version),
    );
    return `${await own.metrics()}\n${of}`;
  }

  /** One for all who ask at the same time: with a thousand triggers it takes a tenth of a second. */
  function shared(): Promise<string> {
    const now = performance.now();
    if (latest === null || now - latest.at > SHARED_MS) latest = { text: write(), at: now };
    return latest.text;
  }

  return async (res, caller) => {
    if (!mayCaller(caller, 'EVENTS_READ')) {
      const message = 'metrics need a token with scope EVENTS_READ';
      throw new AppError('FORBIDDEN', message, { scope: 'EVENTS_READ' });
    }
    if (caller.projects !== null) throw new AppError('FORBIDDEN', 'metrics need a token for all projects');
    const text = await shared();
    res.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text);
  };
}

/** For how long, in ms, what was written answers others too. */
const SHARED_MS = 1000;
/** How often the event loop's delay is looked at, in ms: often enough to see what holds it up. */
const LOOP_PRECISION_MS = 50;

async function measureProcess(): Promise<Registry> {
  const { Registry, collectDefaultMetrics } = await import('prom-client');
  const register = new Registry();
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: LOOP_PRECISION_MS });
  return register;
}
