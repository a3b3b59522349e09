// Loaded before Herald (`node --import`), in both of its threads. On SIGUSR2 one of them fails as FAULT says: BLOCK keeps
// the API's event loop busy until there is a file BLOCKED_UNTIL; DIE throws in the delivery thread.
import { existsSync, writeSync } from 'node:fs';
import { BroadcastChannel, isMainThread } from 'node:worker_threads';

const channel = new BroadcastChannel('faults');
channel.unref();
const { FAULT, BLOCKED_UNTIL } = process.env;

if (isMainThread) {
  process.on('SIGUSR2', () => {
    if (FAULT === 'DIE') return channel.postMessage('DIE');
    writeSync(1, 'blocked\n');
    while (!existsSync(BLOCKED_UNTIL));
  });
} else {
  channel.onmessage = () => {
    throw new Error('made to die');
  };
}
