/** One JSON line per fact, on standard output. */
import pino from 'pino';
import type { LogLevel } from './config.ts';

/** Facts beside the message: ids, counts, durations with their unit in the name. Never secrets. */
export type LogFields = Readonly<Record<string, unknown>>;
export type Log = (level: Exclude<LogLevel, 'silent'>, message: string, fields?: LogFields) => void;

export function createLog(level: LogLevel): Log {
  const logger = pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: named },
    serializers: { err: describe },
  });
  return (lineLevel, message, fields = {}) => logger[lineLevel](fields, message);
}

const named = (label: string) => ({ level: label });

/** Of an error what says where it happened; other fields may hold data: Postgres' `detail` is the whole failing row. */
function describe(error: unknown): LogFields | string {
  if (!(error instanceof Error)) return String(error);
  const { name, message, stack } = error;
  return { type: name, code: Reflect.get(error, 'code'), message, stack };
}
