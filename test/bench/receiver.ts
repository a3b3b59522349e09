/**
 * The receiver, in a process of its own and the same for every contestant: answers 200, counts, and measures the time
 * from the `sentAt` in the data (epoch ms) to the arrival. The first part of a path is its lane; lanes can hang.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { epochMs, setClock } from './clock.ts';
import { answerWith } from './inbox.ts';
import { type Distribution, distributionOf } from './latency.ts';

export interface LaneCount {
  readonly count: number;
  /** Epoch milliseconds; null where none came. */
  readonly firstAt: number | null;
  readonly lastAt: number | null;
  /** Requests by the caller's port. */
  readonly byPort: Readonly<Record<number, number>>;
  /** From `sentAt` to the arrival. */
  readonly latency: Distribution;
  /** How many arrived before their `sentAt`, and the most they were early, in ms. */
  readonly early: number;
  readonly earliestMs: number;
}

export type ReceiverQuestion =
  | { readonly kind: 'URL' }
  /** How many requests each lane has counted since it was taken. */
  | { readonly kind: 'COUNTS' }
  /** Everything about every lane; starts all anew. */
  | { readonly kind: 'TAKE' }
  /** These lanes, and no others, do not answer from now on. */
  | { readonly kind: 'HANG'; readonly lanes: readonly string[] };

class Lane {
  count = 0;
  firstAt: number | null = null;
  lastAt: number | null = null;
  early = 0;
  earliestMs = 0;
  readonly byPort: Record<number, number> = {};
  readonly latency: RecordableHistogram = createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 3 });
}

let lanes: Record<string, Lane> = {};
let hanging: ReadonlySet<string> = new Set();

const server = createServer((req, res) => {
  const arrivedAt = epochMs();
  const name = (req.url ?? '/').split('/')[1] ?? '';
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    note(name, arrivedAt, body?.toString('latin1') ?? '', req.socket);
    answer(name, res);
  });
});

function note(name: string, arrivedAt: number, body: string, socket: Socket): void {
  lanes[name] ??= new Lane();
  const lane = lanes[name];
  lane.count++;
  lane.firstAt ??= arrivedAt;
  lane.lastAt = arrivedAt;
  const port = socket.remotePort ?? 0;
  lane.byPort[port] = (lane.byPort[port] ?? 0) + 1;
  const at = body.indexOf('"sentAt":');
  if (at < 0) return;
  const ms = arrivedAt - Number.parseFloat(body.slice(at + 9, at + 30));
  lane.latency.record(Math.max(1, Math.round(ms * 1000)));
  if (ms < 0) {
    lane.early++;
    lane.earliestMs = Math.max(lane.earliestMs, -ms);
  }
}

function answer(name: string, res: ServerResponse): void {
  if (!hanging.has(name)) res.end('ok');
}

server.listen(0, '127.0.0.1', 4096);

answerWith((question: ReceiverQuestion) => {
  switch (question.kind) {
    case 'URL':
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    case 'COUNTS':
      return Object.fromEntries(Object.entries(lanes).map(([name, { count }]) => [name, count]));
    case 'TAKE': {
      const taken = Object.fromEntries(Object.entries(lanes).map(([name, lane]) => [name, report(lane)]));
      lanes = {};
      setClock();
      return taken;
    }
    case 'HANG':
      hanging = new Set(question.lanes);
      return null;
  }
});

function report({ latency, ...lane }: Lane): LaneCount {
  return { ...lane, latency: distributionOf(latency) };
}
