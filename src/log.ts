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
  });
  return (lineLevel, message, fields = {}) => logger[lineLevel](fields, message);
}

const named = (label: string) => ({ level: label });
