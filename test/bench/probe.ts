/**
 * Loaded into every process of the bench with `--import`, the product's included, so that none needs code for it: says
 * what the process has used, and from which local ports it has called others.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import type { Letter } from './inbox.ts';

export interface Usage {
  readonly cpuSeconds: number;
  readonly rssMb: number;
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

process.on('message', (message) => {
  const { id, question } = message as Letter;
  if (question !== 'usage') return;
  const { user, system } = process.cpuUsage();
  const usage: Usage = {
    cpuSeconds: (user + system) / 1e6,
    rssMb: process.memoryUsage.rss() / 1e6,
    ports: [...ports],
  };
  process.send?.({ id, value: usage });
});
