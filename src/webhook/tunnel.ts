import { connect, isIP, type Socket } from 'node:net';
import type { EgressProxy } from '../domain/proxy.ts';
import { AttemptFailure, classifyError } from './classify.ts';

/** One way through the proxy. */
export interface Tunnel {
  /** To the proxy; destroy it to give up. */
  readonly socket: Socket;
}

/**
 * Asks the proxy for a connection to this address and port (CONNECT, RFC 9110 section 9.3.6), and hands over the socket
 * once it leads there. The proxy is told the address that was judged and never a name: what it would look up by itself
 * could be something else. Whatever goes wrong with the proxy is a NETWORK failure.
 */
export function openTunnel(
  proxy: EgressProxy,
  address: string,
  port: number,
  callback: (failure: AttemptFailure | null) => void,
): Tunnel {
  const socket = connect({ host: proxy.host, port: proxy.port, noDelay: true, autoSelectFamily: true });
  let head: Buffer = Buffer.alloc(0);

  function end(failure: AttemptFailure | null): void {
    socket.off('connect', ask).off('readable', read).off('end', closed).off('error', broken);
    callback(failure);
  }
  function ask(): void {
    const authority = isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
    const credentials = proxy.authorization === null ? '' : `proxy-authorization: ${proxy.authorization}\r\n`;
    socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n${credentials}\r\n`);
  }
  function read(): void {
    for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
      head = Buffer.concat([head, chunk]);
      const length = head.indexOf('\r\n\r\n');
      if (length === -1 && head.length <= MAX_HEAD_BYTES) continue;
      const status =
        length === -1 ? null : /^HTTP\/1\.[01] (\d{3})/.exec(head.toString('latin1', 0, 12))?.[1];
      const failure = status?.startsWith('2') === true ? null : refused(status ?? null, address);
      if (failure === null && head.length > length + 4) socket.unshift(head.subarray(length + 4));
      end(failure);
      return;
    }
  }
  const closed = () => end(proxyFailure('closed the connection without an answer'));
  const broken = (error: Error) => end(proxyFailure(`cannot be used: ${classifyError(error).message}`));

  socket.on('connect', ask).on('readable', read).on('end', closed).on('error', broken);
  return { socket };
}

/** Longest head of the proxy's answer. */
const MAX_HEAD_BYTES = 16 * 1024;

function refused(status: string | null, address: string): AttemptFailure {
  if (status === null) return proxyFailure('answered something else than HTTP');
  const reason = status === '407' ? 'wants other credentials' : `did not connect to ${address}`;
  return proxyFailure(`${reason} (${status})`);
}

function proxyFailure(what: string): AttemptFailure {
  return new AttemptFailure('NETWORK', `the egress proxy ${what}`);
}
