/** What runs in the delivery thread. */
import { on } from 'node:events';
import { flushCompileCache } from 'node:module';
import { parentPort } from 'node:worker_threads';
import { startDelivering } from './delivering.ts';
import type { Answer, Order, Word } from './delivery-thread.ts';
import { StartupError } from './domain/errors.ts';
import { createLog } from './log.ts';
import { closeAll, type Opened, openSecrets } from './opening.ts';
import { listenForAnnouncements } from './store/announcements.ts';
import { openClient } from './store/database.ts';
import { rootOf, sqlState } from './store/database-errors.ts';

if (parentPort === null) throw new Error('delivery-thread-entry.ts is made to run as a thread');
const answer = (word: Answer): void => parentPort?.postMessage(word);
let close = async (): Promise<void> => {};

for await (const [word] of on(parentPort, 'message') as AsyncIterable<[Word]>) {
  if (word.kind === 'STOP') break;
  try {
    close = await start(word.order);
    answer({ kind: 'STARTED' });
    flushCompileCache();
  } catch (error) {
    const root = rootOf(error);
    const message = root instanceof Error ? root.message : String(root);
    answer({ kind: 'FAILED', isStartupError: error instanceof StartupError, message, code: sqlState(error) });
  }
}
await close();
answer({ kind: 'STOPPED' });

async function start({ config: copy, address }: Order): Promise<() => Promise<void>> {
  // A Buffer arrives as a plain Uint8Array.
  const config = { ...copy, encryptionKeys: copy.encryptionKeys.map((key) => Buffer.from(key)) };
  const log = createLog(config.logLevel);
  const opened: Opened = [];
  try {
    const listener = openClient(address, { name: 'herald listen', max: 1 });
    opened.push({ what: 'listener', close: () => listener.end({ timeout: 1 }) });
    const announcements = await listenForAnnouncements(listener);
    const secrets = await openSecrets(config);
    await startDelivering({ config, log, opened, address, announcements, secrets });
  } catch (error) {
    await closeAll(opened, log);
    throw error;
  }
  return () => closeAll(opened, log);
}
