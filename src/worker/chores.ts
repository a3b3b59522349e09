/** Work that comes round again and again. */
import type { Log } from '../log.ts';
import { describeError } from '../store/database-errors.ts';

export interface Chore {
  /** Resolves when a round that is under way has ended. */
  stop(): Promise<void>;
}

/** Does `work` every `intervalMs`, one round at a time; a round that fails is logged, and the next one tries again. */
export function every(intervalMs: number, log: Log, work: () => Promise<void>): Chore {
  let running: Promise<void> | null = null;
  const timer = setInterval(() => {
    running ??= work()
      .catch((error: unknown) => log('debug', 'a chore failed', { error: describeError(error) }))
      .finally(() => {
        running = null;
      });
  }, intervalMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}
