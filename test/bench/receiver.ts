/** A receiver in a process of its own that answers 200 and counts: the same one for every contestant. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

let count = 0;
/** Milliseconds from the `sentAt` in the data (epoch, one machine) to the arrival. */
let latencies: number[] = [];

const server = createServer((req, res) => {
  if (req.method === 'GET') {
    const answer = JSON.stringify({ count, latencies: req.url === '/latencies' ? latencies : undefined });
    if (req.url === '/latencies') latencies = [];
    res.end(answer);
    return;
  }
  const now = performance.timeOrigin + performance.now();
  let text = '';
  req.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  req.on('end', () => {
    count++;
    const sentAt = /"sentAt":([\d.]+)/.exec(text)?.[1];
    if (sentAt !== undefined) latencies.push(now - Number(sentAt));
    res.end('ok');
  });
});
server.listen(0, '127.0.0.1', () => {
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook` });
});
process.on('disconnect', () => process.exit());
