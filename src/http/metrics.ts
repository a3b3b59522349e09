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

/** Answers a caller that is known. Errors: AppError FORBIDDEN; what `read` throws. */
export type Metrics = (res: ServerResponse, caller: Caller) => Promise<void>;

export function createMetrics({ version, read }: MetricsOptions): Metrics {
  // Who is never asked loads none of it, and measures nothing.
  let own: Promise<Registry> | null = null;

  return async (res, caller) => {
    if (!mayCaller(caller, 'EVENTS_READ')) {
      const message = 'metrics need a token with scope EVENTS_READ';
      throw new AppError('FORBIDDEN', message, { scope: 'EVENTS_READ' });
    }
    if (caller.projects !== null) throw new AppError('FORBIDDEN', 'metrics need a token for all projects');
    own ??= measureProcess();
    const { describe } = await import('./metrics-text.ts');
    const parts = await Promise.all([(await own).metrics(), describe(version, await read())]);
    res.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(parts.join('\n'));
  };
}

/** How often the event loop's delay is looked at, in ms: often enough to see what holds it up. */
const LOOP_PRECISION_MS = 50;

async function measureProcess(): Promise<Registry> {
  const { Registry, collectDefaultMetrics } = await import('prom-client');
  const register = new Registry();
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: LOOP_PRECISION_MS });
  return register;
}
