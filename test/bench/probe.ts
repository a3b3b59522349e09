/**
 * Loaded into every process of the bench with `--import`, the product's included, so that none needs code for it: says
 * what the process has used, and from which local ports it has called others.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Letter } from './inbox.ts';

export interface Usage {
  readonly cpuSeconds: number;
  readonly rssMb: number;
  /** What JavaScript holds on to, buffers included, after a full collection; 0 where nobody asked for it. */
  readonly heldMb: number;
  /** Local ports of TCP connections made, the last MAX_PORTS of them. */
  readonly ports: readonly number[];
}

const MAX_PORTS = 5000;
const ports = new Set<number>();

subscribe('net.client.socket', (message) => {
  const { socket } = message as { socket: Socket };
  socket.once('connect', () => {
    if (socket.localPort === undefined) return;
    ports.add(socket.localPort);
    for (const oldest of ports) {
      if (ports.size <= MAX_PORTS) break;
      ports.delete(oldest);
    }
  });
});

function collectAndCount(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1e6;
}

process.on('message', (message) => {
  const { id, question } = message as Letter;
  if (question !== 'usage' && question !== 'held') return;
  const { user, system } = process.cpuUsage();
  const usage: Usage = {
    cpuSeconds: (user + system) / 1e6,
    rssMb: process.memoryUsage.rss() / 1e6,
    heldMb: question === 'held' ? collectAndCount() : 0,
    ports: [...ports],
  };
  process.send?.({ id, value: usage });
});
