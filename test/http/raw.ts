/** Bytes on a socket, for what no HTTP client would send. */
import { connect } from 'node:net';

export interface RawAnswer {
  /** Everything that came until the connection ended. */
  readonly text: string;
  /** Status codes of all answers on it. */
  readonly statuses: readonly number[];
  readonly tookMs: number;
}

/** Sends `bytes` to the server at `url`, and `more` piece by piece, until the server closes. */
export function sendRaw(
  url: string,
  bytes: string,
  more?: { readonly piece: string; readonly everyMs: number },
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const startedAt = performance.now();
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(Number(port), hostname);
    socket.setEncoding('latin1');
    const dripping = more && setInterval(() => socket.write(more.piece), more.everyMs);
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearInterval(dripping);
      const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status));
      resolve({ text, statuses, tookMs: performance.now() - startedAt });
    });
    socket.write(bytes);
  });
}
