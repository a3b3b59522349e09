/**
 * A worker in a thread of its own, beside an API: neither's event loop waits for the other's, so a burst of calls holds up
 * no delivery, nor the heartbeat.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Config } from './config.ts';
import { StartupError } from './domain/errors.ts';
import type { DatabaseAddress } from './store/database.ts';

export interface DeliveryThread {
  /** Resolves when it delivers. Errors: those of `startDelivering`; it may be tried again. */
  start(order: Order): Promise<void>;
  /** Resolves, with the reason, when it has ended without having been asked to. */
  readonly broken: Promise<string>;
  /** Lets attempts in flight end, for `shutdownSeconds` at most, and ends the thread. */
  stop(): Promise<void>;
}

/** What the thread is told to start. Structured clone must know how to copy it. */
export interface Order {
  readonly config: Config;
  readonly address: DatabaseAddress;
}

/** What it is told. */
export type Word = { readonly kind: 'START'; readonly order: Order } | { readonly kind: 'STOP' };

/** What it answers; an error in parts, as a copy would lose its class and its code. */
export type Answer =
  | { readonly kind: 'STARTED' | 'STOPPED' }
  | {
      readonly kind: 'FAILED';
      readonly isStartupError: boolean;
      readonly message: string;
      readonly code: string | undefined;
    };

/** It loads its code at once, beside whatever else has to be done before it can start. */
export function openDeliveryThread(): DeliveryThread {
  const thread = new Worker(new URL('./delivery-thread-entry.ts', import.meta.url), { name: 'delivery' });
  const tell = (word: Word): void => thread.postMessage(word);
  let started = false;
  let stopping = false;
  const exited = new Promise<string>((resolve) => {
    thread.once('error', (error) => resolve(error instanceof Error ? `${error.stack}` : String(error)));
    thread.once('exit', (code) => resolve(`exit code ${code}`));
  });
  const broken = exited.then((why) =>
    stopping ? new Promise<string>(() => {}) : `the delivery thread ended by itself: ${why}`,
  );
  const nextAnswer = () => once(thread, 'message').then(([answer]) => answer as Answer);
  return {
    broken,
    async start(order) {
      const answered = nextAnswer();
      tell({ kind: 'START', order });
      const answer = await Promise.race([answered, broken]);
      if (typeof answer === 'string') throw new Error(answer);
      if (answer.kind === 'FAILED') throw toError(answer);
      started = true;
    },
    async stop() {
      stopping = true;
      if (started) {
        const stopped = nextAnswer();
        tell({ kind: 'STOP' });
        await Promise.race([stopped, exited]);
      }
      // Whatever a worker that was given up on still holds.
      await thread.terminate();
    },
  };
}

function toError({ isStartupError, message, code }: Extract<Answer, { kind: 'FAILED' }>): Error {
  return isStartupError ? new StartupError(message) : Object.assign(new Error(message), { code });
}
